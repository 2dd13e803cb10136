package testenv

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program under test. Its output is shown when the test fails. It
// ends with the test and, on Linux, with the test's process, however that ends.
type Process struct {
	Name string

	t    testing.TB
	argv []string
	env  []string
	out  *output
	cmd  *exec.Cmd
	done chan struct{}
}

// StartProcess runs argv with more environment.
func StartProcess(t testing.TB, name string, env []string, argv ...string) *Process {
	t.Helper()
	p := &Process{Name: name, t: t, argv: argv, env: env, out: &output{}}
	p.Start()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s (%s):\n%s", name, strings.Join(argv, " "), p.out)
		}
	})
	return p
}

// Start starts it again, after Kill.
func (p *Process) Start() {
	p.t.Helper()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.out, p.out, diesWithTest(nil)
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.Name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // a killed process reports the signal
	p.cmd, p.done = cmd, done
}

// Kill ends it with SIGKILL, also when it is stopped, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s: %v", p.Name, err)
	}
}

// Pause stops the process where it stands, unless it has ended.
func (p *Process) Pause() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Gone says whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Output is what it has written so far.
func (p *Process) Output() string { return p.out.String() }

// WaitForOutput polls until the output contains text, for at most a minute.
func (p *Process) WaitForOutput(text string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(p.out.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s did not write %q in a minute", p.Name, text)
		}
	}
}

// output keeps the last megabyte of what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const outputKept = 1 << 20

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 2*outputKept {
		o.buf.Next(o.buf.Len() - outputKept)
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
