package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// Round is what one round of one contender did.
type Work struct {
	Ops     int
	Elapsed time.Duration
	CPU     time.Duration   // of everybody who took part, client included; 0 when it was not read
	Took    []time.Duration // one for each operation; empty when it was not measured
}

// Contender is one way to do the same thing.
type Contender struct {
	Name  string
	Round func(ctx context.Context) (Work, error)
}

// Result is what a contender did in all rounds.
type Result struct {
	Name         string
	Rate         Spread // operations per second
	CPU          Spread // µs per operation
	P50, P99     Spread // µs
	Ratio        Spread // of the rate to the first contender's in the same round
	CPURatio     Spread
	LatencyRatio Spread // of p50
}

// Compare lets the contenders take turns, A B C A B C …; the first one is what the others are held against.
func Compare(ctx context.Context, rounds int, contenders ...Contender) ([]Result, error) {
	works := make([][]Work, len(contenders))
	for range rounds {
		for i, c := range contenders {
			w, err := c.Round(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			if w.Ops == 0 || w.Elapsed == 0 {
				return nil, fmt.Errorf("%s did nothing in a round", c.Name)
			}
			works[i] = append(works[i], w)
		}
	}
	var out []Result
	for i, c := range contenders {
		out = append(out, resultOf(c.Name, works[i], works[0]))
	}
	return out, nil
}

func (w Work) rate() float64       { return float64(w.Ops) / w.Elapsed.Seconds() }
func (w Work) cpu() float64        { return float64(w.CPU.Nanoseconds()) / 1e3 / float64(w.Ops) }
func (w Work) q(q float64) float64 { return float64(Quantile(w.Took, q).Nanoseconds()) / 1e3 }

func resultOf(name string, works, base []Work) Result {
	of := func(f func(i int) float64) Spread {
		v := make([]float64, len(works))
		for i := range works {
			v[i] = f(i)
		}
		return SpreadOf(v)
	}
	return Result{
		Name:         name,
		Rate:         of(func(i int) float64 { return works[i].rate() }),
		CPU:          of(func(i int) float64 { return works[i].cpu() }),
		P50:          of(func(i int) float64 { return works[i].q(.5) }),
		P99:          of(func(i int) float64 { return works[i].q(.99) }),
		Ratio:        of(func(i int) float64 { return works[i].rate() / base[i].rate() }),
		CPURatio:     of(func(i int) float64 { return ratio(works[i].cpu(), base[i].cpu()) }),
		LatencyRatio: of(func(i int) float64 { return ratio(works[i].q(.5), base[i].q(.5)) }),
	}
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Print writes a table: median (min–max) of the rounds, and ratios to the first row.
func Print(w io.Writer, title string, results []Result) error {
	fmt.Fprintf(w, "%s\n", title)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  \tper second\tratio\tCPU µs each\tratio\tp50 µs\tp99 µs\tratio of p50")
	for _, r := range results {
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Rate.Format("%.0f"), r.Ratio.Format("%.2f"),
			r.CPU.Format("%.0f"), r.CPURatio.Format("%.2f"), r.P50.Format("%.0f"), r.P99.Format("%.0f"), r.LatencyRatio.Format("%.2f"))
	}
	return tw.Flush()
}

// For runs do from c goroutines for so long, each operation with a number of
// its own counted up by next, and measures it. cpu reads the processor time
// of everybody who takes part.
func For(ctx context.Context, d time.Duration, c int, next *atomic.Int64, cpu func() time.Duration, do func(ctx context.Context, i int64) error) (Work, error) {
	took := make([][]time.Duration, c)
	errs := make(chan error, c)
	var wg sync.WaitGroup
	before, start := cpu(), time.Now()
	for g := range c {
		wg.Go(func() {
			for time.Since(start) < d && ctx.Err() == nil {
				t := time.Now()
				if err := do(ctx, next.Add(1)); err != nil {
					errs <- err
					return
				}
				took[g] = append(took[g], time.Since(t))
			}
		})
	}
	wg.Wait()
	w := Work{Elapsed: time.Since(start), CPU: cpu() - before}
	for _, t := range took {
		w.Ops += len(t)
		w.Took = append(w.Took, t...)
	}
	select {
	case err := <-errs:
		return w, err
	default:
		return w, ctx.Err()
	}
}

// Header says on what, when and beside what else the figures were taken.
func Header(w io.Writer) {
	model := "unknown"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	fmt.Fprintf(w, "%s · %s · %d cores · load %s · %s\n", strings.Join(os.Args[1:], " "), model, cores(), Load(), time.Now().UTC().Format(time.RFC3339))
}

// Load is the load average of one, five and fifteen minutes.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	if err != nil || len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}
