// Command histories runs a check over consecutive releases of real projects as
// they were published, beside buf breaking on the same trees, and writes a
// table: what is found by effect, what of it buf reports as well, what only buf
// reports, and what both took.
//
//	bench/run.sh histories
//	bench/run.sh histories -projects etcd,csi -out /tmp/h    # and keeps each report there
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/compat/report"
)

const corpora = ".tools/corpora/histories"

// history is a project and its releases that tools/compat-histories.sh fetches,
// oldest first.
type history struct {
	name     string
	releases []string
	args     []string
}

var histories = []history{
	{name: "etcd", releases: []string{"3.5.0", "3.5.35", "3.6.0", "3.6.16", "3.7.0", "3.7.3"}},
	{name: "containerd", releases: []string{"1.8.0", "1.9.0", "1.10.0", "1.11.1", "1.12.0"}},
	{name: "cri", releases: []string{"0.17.3", "0.20.6", "0.23.1", "0.25.3", "0.27.16", "0.30.14", "0.34.13", "0.37.2"}},
	{name: "csi", releases: []string{"1.5.0", "1.7.0", "1.8.0", "1.9.0", "1.10.0", "1.12.0", "1.13.0"}},
	{name: "cometbft", releases: []string{"0.34.35", "0.37.18", "0.38.26", "1.0.1"}},
	{name: "kubernetes", releases: []string{"0.30.14", "0.34.2", "0.37.2"}, args: []string{"--all-messages", "--encoding", "binary"}},
	{name: "googleapis", releases: []string{"3.0.0", "4.0.0", "5.0.0", "6.0.1"}},
}

func main() {
	projects := flag.String("projects", "", "only these, with commas; all if empty")
	out := flag.String("out", "", "a directory for each report, as JSON and text, and what buf says")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *projects, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "histories:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, projects, out string) error {
	for _, argv := range [][]string{
		{"tools/compat-histories.sh"},
		{"go", "build", "-trimpath", "-o", ".tools/bench/skewgate", "./cmd/skewgate"},
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
		}
	}
	rig.Header(w)
	fmt.Fprintln(w, "\n| project | from → to | services | order | breaks somebody (buf says so too) | warnings | buf's lines | of them only buf's | ours s | buf s |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, h := range histories {
		if projects != "" && !slices.Contains(strings.Split(projects, ","), h.name) {
			continue
		}
		for i := 1; i < len(h.releases); i++ {
			if err := h.step(ctx, w, out, h.releases[i-1], h.releases[i]); err != nil {
				return fmt.Errorf("%s %s: %w", h.name, h.releases[i], err)
			}
		}
	}
	return nil
}

// step compares two releases and writes a row.
func (h history) step(ctx context.Context, w io.Writer, out, from, to string) error {
	tree := filepath.Join(corpora, h.name, to)
	args := []string{"compat", "check", "--old", filepath.Join("..", from), "--new", ".", "--format", "json"}
	if h.args == nil {
		args = append(args, "--encoding", "binary,json-lenient") // what grpc-gateway and connect speak
	}
	text, ours, err := finish(ctx, tree, 1, ".tools/bench/skewgate", append(args, h.args...)...)
	if err != nil {
		return err
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("our report: %w", err)
	}
	said, theirs, err := finish(ctx, tree, 100, ".tools/bin/buf", "breaking", ".", "--against", filepath.Join("..", from),
		"--config", `{"version":"v2","breaking":{"use":["WIRE_JSON"]}}`, "--error-format", "json")
	if err != nil {
		return err
	}
	annotations, err := parse(said)
	if err != nil {
		return err
	}
	if out != "" {
		if err := keep(out, h.name+"-"+from+"-"+to, text, said); err != nil {
			return err
		}
	}
	found, warnings, onlyBuf := count(&r, annotations)
	fmt.Fprintf(w, "| %s | %s → %s | %d | %s | %s | %d | %d | %d | %.2f | %.2f |\n", h.name, from, to, services(&r), r.Order,
		found, warnings, len(annotations), onlyBuf, ours.Seconds(), theirs.Seconds())
	return nil
}

// finish runs a program to its end in a tree; found is its exit code when it
// has something to say.
func finish(ctx context.Context, tree string, found int, program string, args ...string) ([]byte, time.Duration, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, 0, fmt.Errorf("find %s: %w", program, err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = tree
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err = cmd.Run()
	took := time.Since(start)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != found) {
		return nil, took, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), took, nil
}

func keep(dir, name string, ours, theirs []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, name+".json"), ours, 0o644),
		os.WriteFile(filepath.Join(dir, name+".buf"), theirs, 0o644),
	)
}

func services(r *report.Report) int {
	seen := make(map[string]bool)
	for _, c := range r.Classes {
		for _, s := range c.Services {
			seen[s] = true
		}
	}
	return len(seen)
}
