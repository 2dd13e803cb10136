package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stage is what the scenes share.
type stage struct {
	term    terminal
	o       options
	started time.Time

	processes processes
	ports     ports
	edge      string // host:port that clients use
	hosts     map[string]*process
	workers   []*load
	frozen    frozen
	rolled    rolled
}

// ports of this machine that the demonstration uses.
type ports struct {
	store, xds, admin, gateway, edge, edgeAdmin int
	hosts                                       []int
}

const lease = 3 * time.Second

func (s *stage) bin(name string) string  { return filepath.Join(s.o.dir, "bin", name) }
func (s *stage) file(name string) string { return filepath.Join(s.o.dir, name) }
func (s *stage) admin() string           { return fmt.Sprintf("http://127.0.0.1:%d", s.ports.admin) }
func (s *stage) store() string           { return fmt.Sprintf("redis://127.0.0.1:%d", s.ports.store) }

func (s *stage) say(format string, args ...any) { s.term.say(format, args...) }

// show runs skewgate as a person would, printing the command and what it said.
// It gives the exit status: 1 and 3 are answers too.
func (s *stage) show(ctx context.Context, args ...string) (int, error) {
	s.term.command("skewgate " + strings.Join(args, " "))
	out, code, err := s.skewgate(ctx, args...)
	s.term.output(out)
	return code, err
}

// skewgate runs a command against this mesh and gives its stdout.
func (s *stage) skewgate(ctx context.Context, args ...string) (string, int, error) {
	cmd := exec.CommandContext(ctx, s.bin("skewgate"), args...)
	cmd.Env = append(cmd.Environ(), "SKEWGATE_ADMIN="+s.admin(), "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == 1 || exit.ExitCode() == 3) {
		return stdout.String() + stderr.String(), exit.ExitCode(), nil
	}
	if err != nil {
		return "", 2, fmt.Errorf("skewgate %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), 0, nil
}

// query runs a command with -o json and decodes its answer.
func (s *stage) query(ctx context.Context, into any, args ...string) error {
	out, _, err := s.skewgate(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("skewgate %s: answer is not JSON: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
