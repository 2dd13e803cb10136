// Command compat measures a check of two real trees of .proto files beside
// buf breaking, each a process of its own, in turns: wall time, processor time
// and peak memory.
//
//	bench/run.sh compat -rounds 3 -jobs google,google-same,etcd
//	bench/run.sh compat -profile /tmp/p -jobs google      # ours alone, in this process, for go tool pprof
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/skewgate/skewgate/bench/internal/rig"
)

func main() {
	rounds := flag.Int("rounds", 3, "rounds in which the contenders take turns")
	jobs := flag.String("jobs", "google,google-same,etcd,etcd-same", "what to check")
	encodings := flag.String("encodings", "binary;binary,json", "in which encodings; with json, buf's category is WIRE_JSON, else WIRE")
	profiles := flag.String("profile", "", "a directory: run ours alone, once, in this process, and write profiles there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *rounds, strings.Split(*jobs, ","), strings.Split(*encodings, ";"), *profiles)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

// job is two trees.
type job struct{ old, new string }

var trees = map[string]job{
	"google":      {"google-proto-files-4.0.0", "google-proto-files-6.0.1"},
	"google-same": {"google-proto-files-6.0.1", "google-proto-files-6.0.1"},
	"etcd":        {"etcd-v3.5.0", "etcd-v3.7.3"},
	"etcd-same":   {"etcd-v3.7.3", "etcd-v3.7.3"},
}

// contender is one way to check them, run in the new tree; found is its exit code when it has
// something to say.
type contender struct {
	name  string
	argv  func(j job) []string
	found int
}

func run(ctx context.Context, rounds int, names, encodings []string, profiles string) error {
	fetch := exec.CommandContext(ctx, "tools/compat-corpora.sh")
	fetch.Stdout, fetch.Stderr = os.Stderr, os.Stderr
	if err := fetch.Run(); err != nil {
		return fmt.Errorf("fetch the corpora: %w", err)
	}
	if profiles != "" {
		j, ok := trees[names[0]]
		if !ok {
			return fmt.Errorf("-jobs %q is not there", names[0])
		}
		return profile(ctx, profiles, j, encodings[len(encodings)-1])
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", ".tools/bench/skewgate", "./cmd/skewgate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build skewgate: %w\n%s", err, out)
	}
	rig.Header(os.Stdout)
	for _, name := range names {
		j, ok := trees[name]
		if !ok {
			return fmt.Errorf("-jobs %q is not there", name)
		}
		if err := compare(ctx, os.Stdout, name, j, rounds, contenders(encodings)); err != nil {
			return err
		}
	}
	return nil
}

// contenders come in pairs: ours, and what one would use instead.
func contenders(encodings []string) []contender {
	ours := func(encodings string) func(j job) []string {
		return func(j job) []string {
			return []string{"bench/skewgate", "compat", "check", "--old", "../" + j.old, "--new", ".", "--encoding", encodings}
		}
	}
	buf := func(category string) func(j job) []string {
		return func(j job) []string {
			return []string{"bin/buf", "breaking", ".", "--against", "../" + j.old, "--config", `{"version":"v2","breaking":{"use":["` + category + `"]}}`}
		}
	}
	var out []contender
	for _, e := range encodings {
		category := "WIRE"
		if strings.Contains(e, "json") {
			category = "WIRE_JSON"
		}
		out = append(out, contender{"skewgate, " + e, ours(e), 1}, contender{"buf breaking, " + category, buf(category), 100})
	}
	return out
}

// usage is what one process took.
type usage struct {
	wall, cpu time.Duration
	rss       float64 // MB, at the peak
	lines     int     // of its answer
}

func compare(ctx context.Context, w io.Writer, name string, j job, rounds int, all []contender) error {
	took := make([][]usage, len(all))
	for range rounds {
		for i, c := range all {
			u, err := once(ctx, j.new, c.argv(j), c.found)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", name, c.name, err)
			}
			took[i] = append(took[i], u)
		}
	}
	fmt.Fprintf(w, "\n%s: %s → %s, %d rounds, load now %s\n", name, j.old, j.new, rounds, rig.Load())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  \twall s\tprocessor s\tpeak MB\tlines\tbuf's wall : ours\tprocessor\tmemory")
	for i, c := range all {
		of := func(f func(u usage) float64) []float64 {
			v := make([]float64, rounds)
			for r := range rounds {
				v[r] = f(took[i][r])
			}
			return v
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d", c.name,
			rig.SpreadOf(of(func(u usage) float64 { return u.wall.Seconds() })).Format("%.2f"),
			rig.SpreadOf(of(func(u usage) float64 { return u.cpu.Seconds() })).Format("%.2f"),
			rig.SpreadOf(of(func(u usage) float64 { return u.rss })).Format("%.0f"), took[i][0].lines)
		if i%2 == 1 {
			fmt.Fprintf(t, "\t%s\t%s\t%s", against(took[i-1], took[i], func(u usage) float64 { return u.wall.Seconds() }),
				against(took[i-1], took[i], func(u usage) float64 { return u.cpu.Seconds() }),
				against(took[i-1], took[i], func(u usage) float64 { return u.rss }))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// against is how many times as much theirs took, round by round.
func against(ours, theirs []usage, f func(u usage) float64) string {
	v := make([]float64, len(ours))
	for i := range ours {
		v[i] = f(theirs[i]) / f(ours[i])
	}
	return rig.SpreadOf(v).Format("%.1f")
}

// once runs a process of .tools to its end, in a tree.
func once(ctx context.Context, tree string, argv []string, found int) (usage, error) {
	var out counter
	program, err := filepath.Abs(filepath.Join(".tools", argv[0]))
	if err != nil {
		return usage{}, err
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Dir = filepath.Join(".tools/corpora", tree)
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err = cmd.Run()
	u := usage{wall: time.Since(start), lines: out.lines}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != found) {
		return u, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out.first)
	}
	if strings.Contains(string(out.first), "imported file does not exist") { // buf's exit code is the same as for findings
		return u, fmt.Errorf("%s does not compile what it is to compare:\n%s", argv[0], out.first)
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = float64(ru.Maxrss) / 1024
	}
	return u, nil
}

// counter counts lines, and keeps the first few for a message.
type counter struct {
	lines int
	first []byte
}

func (c *counter) Write(p []byte) (int, error) {
	c.lines += strings.Count(string(p), "\n")
	if len(c.first) < 2000 {
		c.first = append(c.first, p[:min(len(p), 2000)]...)
	}
	return len(p), nil
}
