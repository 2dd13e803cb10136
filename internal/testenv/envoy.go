package testenv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// EnvoyBinary gives the real Envoy of the repository's .tools.
func EnvoyBinary(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(root(t), ".tools", "envoy", "envoy")
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("Envoy is not installed: run tools/envoy.sh (%v)", err)
	}
	return bin
}

// root is the folder that holds go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the working directory")
	return ""
}

// ValidateEnvoy has the real Envoy check a bootstrap (YAML).
func ValidateEnvoy(t testing.TB, bootstrap []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(EnvoyBinary(t), "-c", file, "--mode", "validate", "--log-level", "warn").CombinedOutput()
	if err != nil {
		t.Fatalf("Envoy refuses the bootstrap: %v\n%s\n%s", err, out, numbered(bootstrap))
	}
}

func numbered(text []byte) string {
	var b strings.Builder
	for i, line := range strings.Split(string(text), "\n") {
		fmt.Fprintf(&b, "%4d %s\n", i+1, line)
	}
	return b.String()
}

// Envoy is a running Envoy.
type Envoy struct {
	Admin string // http://127.0.0.1:port

	t   testing.TB
	cmd *exec.Cmd
	out *bytes.Buffer
}

// StartEnvoy runs a bootstrap (YAML) whose admin page listens at adminAddr,
// until the test ends, and waits until it is live.
func StartEnvoy(t testing.TB, bootstrap []byte, adminAddr string) *Envoy {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "envoy.yaml"), bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	e := &Envoy{Admin: "http://" + adminAddr, t: t, out: new(bytes.Buffer)}
	e.cmd = exec.Command(EnvoyBinary(t), "-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "--file-flush-interval-msec", "10")
	e.cmd.SysProcAttr = diesWithTest(nil)
	e.cmd.Dir, e.cmd.Stdout, e.cmd.Stderr = dir, e.out, e.out
	if err := e.cmd.Start(); err != nil {
		t.Fatalf("start Envoy: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = e.cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = e.cmd.Process.Kill() // it may have ended by itself
		<-ended
		if t.Failed() {
			t.Logf("Envoy said:\n%s", e.out)
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for {
		if body, err := e.get("/ready"); err == nil && strings.HasPrefix(body, "LIVE") {
			return e
		}
		select {
		case <-ended:
			t.Fatalf("Envoy ended at once:\n%s\n%s", e.out, numbered(bootstrap))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("Envoy is not live after 20 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// PID is Envoy's process, for tests that stop or kill it.
func (e *Envoy) PID() int { return e.cmd.Process.Pid }

func (e *Envoy) get(path string) (string, error) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(e.Admin + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// Get reads a page of the admin interface.
func (e *Envoy) Get(path string) string {
	e.t.Helper()
	body, err := e.get(path)
	if err != nil {
		e.t.Fatalf("Envoy's %s: %v", path, err)
	}
	return body
}

// Stat reads one counter or gauge; 0 when Envoy does not have it.
func (e *Envoy) Stat(name string) int {
	e.t.Helper()
	var page struct {
		Stats []struct {
			Name  string
			Value any
		}
	}
	if err := json.Unmarshal([]byte(e.Get("/stats?format=json&filter=^"+name+"$")), &page); err != nil {
		e.t.Fatalf("Envoy's stats: %v", err)
	}
	for _, s := range page.Stats {
		if v, ok := s.Value.(float64); ok && s.Name == name {
			return int(v)
		}
	}
	return 0
}
