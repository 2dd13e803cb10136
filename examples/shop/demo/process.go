package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one child: its output goes to a log file, and to lines when asked.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // path
	done chan struct{}
	err  error // of Wait; read after done
}

// processes starts children and ends all of them, whatever happens.
type processes struct {
	dir string // for logs
	mu  sync.Mutex
	all []*process
}

// start runs a program. lines, when not nil, is called for each line on stdout.
func (ps *processes) start(name string, lines func(string), program string, args ...string) (*process, error) {
	path := filepath.Join(ps.dir, name+".log")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(program, args...), log: path, done: make(chan struct{})}
	p.cmd.SysProcAttr = childAttr()
	p.cmd.Stderr = file
	p.cmd.Stdout = file
	var stdout io.ReadCloser
	if lines != nil {
		p.cmd.Stdout = nil
		if stdout, err = p.cmd.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if err := startLocked(p.cmd); err != nil {
		file.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ps.mu.Lock()
	ps.all = append(ps.all, p)
	ps.mu.Unlock()
	go func() {
		defer close(p.done)
		defer file.Close()
		if stdout != nil {
			for sc := bufio.NewScanner(stdout); sc.Scan(); {
				lines(sc.Text())
			}
		}
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// signal sends a signal to a child of ours that has not ended.
func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (see %s)", p.name, p.log)
	default:
		return p.cmd.Process.Signal(s)
	}
}

// stop asks, waits, then kills.
func (p *process) stop(wait time.Duration) {
	p.signal(syscall.SIGCONT) //nolint:errcheck // it may have ended
	p.signal(syscall.SIGTERM) //nolint:errcheck
	select {
	case <-p.done:
	case <-time.After(wait):
		p.cmd.Process.Kill() //nolint:errcheck // it has ended then
		<-p.done
	}
}

// stopAll ends the children, the last started first; hosts that drain do so together.
func (ps *processes) stopAll() {
	ps.mu.Lock()
	all := ps.all
	ps.mu.Unlock()
	var wg sync.WaitGroup
	for i := len(all) - 1; i >= 0; i-- {
		wg.Go(func() { all[i].stop(5 * time.Second) })
	}
	wg.Wait()
}

// ended gives the first child that ended by itself, or nil.
func (ps *processes) ended() *process {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		select {
		case <-p.done:
			return p
		default:
		}
	}
	return nil
}

// tail gives the last lines of a child's log.
func (p *process) tail(n int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// freePorts finds n ports on the loopback address, below the range from which
// the kernel takes ports for outgoing connections, so that none is lost
// between the finding and the using.
func freePorts(n int) ([]int, error) {
	var ports []int
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for port := 18000; port < 32700 && len(ports) < n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		held, ports = append(held, l), append(ports, port)
	}
	if len(ports) < n {
		return nil, errors.New("no free ports on 127.0.0.1 between 18000 and 32700")
	}
	return ports, nil
}

// until polls ok every 20 ms, giving up when ctx ends, the time is over or a child has died.
func (ps *processes) until(ctx context.Context, what string, limit time.Duration, ok func() bool) error {
	deadline := time.Now().Add(limit)
	for !ok() {
		if p := ps.ended(); p != nil {
			return fmt.Errorf("%s ended while waiting for %s; the end of %s:\n%s", p.name, what, p.log, p.tail(8))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not come within %v; logs are in %s", what, limit, ps.dir)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
