package rig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func cores() int { return runtime.NumCPU() }

// SelfCPU is the processor time of this process so far.
func SelfCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage: " + err.Error()) // fails only for wrong arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// CPU is the processor time of a process so far, in steps of 10 ms; 0 when it is gone.
func CPU(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(text, ')')
	if err != nil || i < 0 {
		return 0
	}
	f := strings.Fields(string(text[i+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100
}

// CPUOf sums this process and others.
func CPUOf(others ...*Process) func() time.Duration {
	return func() time.Duration {
		total := SelfCPU()
		for _, p := range others {
			total += CPU(p.Pid())
		}
		return total
	}
}

// Process is a server of a measurement.
type Process struct {
	Addr string // where it listens, when it was waited for

	cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
	stop sync.Once
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// started are the programs of one measurement, so that it can wait for their end.
type started struct {
	mu  sync.Mutex
	all []*Process
}

type startedKey struct{}

// Main is the main of a measurement: run ends early at SIGINT and SIGTERM, and
// whatever it started has ended before this process does.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := new(started)
	err := run(context.WithValue(ctx, startedKey{}, s))
	for _, p := range s.all {
		p.Kill()
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Start runs a program and waits until it accepts connections at addr. It is
// killed when ctx ends; Main waits for that.
func Start(ctx context.Context, addr string, argv ...string) (*Process, error) {
	p := &Process{Addr: addr, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its output
		close(p.done)
	}()
	if s, ok := ctx.Value(startedKey{}).(*started); ok {
		s.mu.Lock()
		s.all = append(s.all, p)
		s.mu.Unlock()
	}
	context.AfterFunc(ctx, p.Kill)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close() // nothing was sent on it
		}
		select {
		case <-p.done: // and if somebody answers there, it is not this program
			return nil, fmt.Errorf("%s ended at once:\n%s", argv[0], p.Output())
		default:
		}
		if err == nil {
			return p, nil
		}
		if time.Since(start) > 30*time.Second {
			p.Kill()
			return nil, fmt.Errorf("%s does not listen at %s:\n%s", argv[0], addr, p.Output())
		}
	}
}

// Pid is its process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Output is what it wrote.
func (p *Process) Output() string { return p.out.String() }

// Kill ends it at once and waits.
func (p *Process) Kill() {
	p.stop.Do(func() { _ = p.cmd.Process.Kill() }) // it may have ended
	<-p.done
}
