//go:build !js

package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestReplay builds this package for a machine with one thread, whose clock
// and random numbers are fixed (testdata/run.js), and runs one seed twice: the
// histories are the same, record by record. Another seed has another history.
func TestReplay(t *testing.T) {
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
	run := func(name, seed string) (out, history string) {
		file := filepath.Join(dir, name)
		cmd := exec.Command("node", "--stack-size=8192", "testdata/run.js", strings.TrimSpace(string(goroot)), wasm,
			"-test.run=^TestSeed$", "-test.timeout=0", "-sim.seed="+seed, "-sim.time=3s", "-sim.brief", "-sim.history="+file)
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
	var outs, histories [3]string
	var runs sync.WaitGroup
	for i, seed := range []string{"7", "7", "8"} {
		runs.Go(func() { outs[i], histories[i] = run(string(rune('a'+i)), seed) })
	}
	runs.Wait()
	if t.Failed() {
		return
	}
	t.Log(outs[0])
	a, b := strings.Split(histories[0], "\n"), strings.Split(histories[1], "\n")
	if len(a) < 1000 {
		t.Fatalf("a history of %d records says little", len(a))
	}
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			t.Fatalf("the histories of one seed differ at record %d: %q", i, a[i])
		}
	}
	if outs[0] != outs[1] {
		t.Errorf("one seed gave\n%s\nand\n%s", outs[0], outs[1])
	}
	if histories[0] == histories[2] {
		t.Error("two seeds have one history")
	}
}
