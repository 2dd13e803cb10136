//go:build !js

package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestReplay builds this package for a machine with one thread, whose clock
// and random numbers are fixed (testdata/run.js), and runs one seed
// twice, and one negative control: the histories are the same, record by record. Another seed has another history.
func TestReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wasm := filepath.Join(dir, "sim.wasm")
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", wasm, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build for js/wasm: %v\n%s", err, out)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	run := func(name, seed string, args ...string) (out, history string) {
		file := filepath.Join(dir, name)
		cmd := exec.Command("node", append([]string{"--stack-size=8192", "testdata/run.js", strings.TrimSpace(string(goroot)), wasm,
			"-test.run=^TestSeed$", "-test.timeout=0", "-sim.seed=" + seed, "-sim.history=" + file}, args...)...)
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("seed %s: %v (Node.js 18 or later must be installed)\n%s", seed, err, b)
		}
		h, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("seed %s: %v", seed, err)
		}
		return string(b), string(h)
	}
	runs := []struct {
		seed string
		args []string
	}{
		{"7", []string{"-sim.time=2s", "-sim.brief"}},
		{"7", []string{"-sim.time=2s", "-sim.brief"}},
		{"8", []string{"-sim.time=1s", "-sim.brief"}},
		{"1", []string{"-sim.control=" + replayed}},
		{"1", []string{"-sim.control=" + replayed}},
	}
	outs, histories := make([]string, len(runs)), make([]string, len(runs))
	var all sync.WaitGroup
	for i, r := range runs {
		all.Go(func() { outs[i], histories[i] = run(strconv.Itoa(i), r.seed, r.args...) })
	}
	all.Wait()
	if t.Failed() {
		return
	}
	t.Log(outs[0], outs[3])
	same(t, histories[0], histories[1])
	same(t, histories[3], histories[4])
	if outs[0] != outs[1] || outs[3] != outs[4] {
		t.Errorf("one seed gave\n%s\nand\n%s, or\n%s\nand\n%s", outs[0], outs[1], outs[3], outs[4])
	}
	if !strings.Contains(outs[3], "I1a broke") {
		t.Errorf("the control broke nothing: %s", outs[3])
	}
	if histories[0] == histories[2] {
		t.Error("two seeds have one history")
	}
}

// replayed is the control that is run twice; I1a must break.
const replayed = "no released[]"

// same says where two histories differ.
func same(t *testing.T, one, other string) {
	t.Helper()
	a, b := strings.Split(one, "\n"), strings.Split(other, "\n")
	if len(a) < 1000 {
		t.Fatalf("a history of %d records says little", len(a))
	}
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			t.Fatalf("the histories of one seed differ at record %d: %q", i, a[i])
		}
	}
}
