package main

import (
	"bytes"
	"context"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// run runs the demonstration as `make run` does, from the top of the
// repository, in a folder of its own. interrupt, if not 0, is when Ctrl-C comes.
func run(t *testing.T, interrupt string, args ...string) (output string, code int) {
	t.Helper()
	testenv.EnvoyBinary(t) // fetched before the clock runs
	dir := t.TempDir()
	bin := filepath.Join(dir, "demo")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, append([]string{"--dir", dir}, args...)...)
	cmd.Dir = "../../.."
	var out watched
	out.word = interrupt
	out.found = func() { _ = cmd.Process.Signal(ctrlC()) }
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	left, _ := exec.Command("pgrep", "-f", dir+"/").Output()
	if len(left) > 0 {
		t.Errorf("processes are left behind: %s", left)
	}
	return out.text.String(), cmd.ProcessState.ExitCode()
}

// ctrlC is the signal of Ctrl-C. Where the tests run in the background of a
// shell it is ignored, in children too; SIGTERM takes the same way then.
func ctrlC() syscall.Signal {
	if signal.Ignored(syscall.SIGINT) {
		return syscall.SIGTERM
	}
	return syscall.SIGINT
}

// watched calls found once when word has been written. The buffer is no
// embedded one: its ReadFrom would be taken instead of Write.
type watched struct {
	text  bytes.Buffer
	word  string
	found func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if w.word != "" && strings.Contains(w.text.String(), w.word) {
		w.word = ""
		w.found()
	}
	return n, err
}

func TestDemonstration(t *testing.T) {
	out, code := run(t, "", "--exit")
	for _, want := range []string{
		"order: OBJECTS FIRST",
		"point of no return: from the first write by new on",
		"- FIELD_INT_RANGE_CHANGED shop.v1.CartState.total_cents",
		"late write refused",
		"late answer was withheld; its client got 409",
		"acknowledged writes lost        0",
		"no request failed other than by the frozen host",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q", want)
		}
	}
	if !regexp.MustCompile(`web@v1 +Cart@v1 .*\n +web@v1 +Cart@v2 `).MatchString(out) {
		t.Error("no skew table shows web v1 on both versions")
	}
	if code != 0 || t.Failed() {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestCtrlCLeavesNothingRunning(t *testing.T) {
	out, code := run(t, "rollout start shop --to v2", "--exit")
	if code != 130 || !strings.Contains(out, "stopped") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestMissingPythonSaysHowToGoOn(t *testing.T) {
	cmd := exec.Command("/bin/sh", "tools/envoy.sh")
	cmd.Dir = t.TempDir()
	if out, err := exec.Command("cp", "-r", "../../../tools", cmd.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bin := t.TempDir() // a PATH with what the script needs and no python3
	for _, tool := range []string{"dirname", "cat"} {
		if out, err := exec.Command("ln", "-s", "/usr/bin/"+tool, bin).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cmd.Env = []string{"PATH=" + bin}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "python3 is missing") || !strings.Contains(string(out), "make run ARGS=--no-edge") {
		t.Errorf("%v\n%s", err, out)
	}
}
