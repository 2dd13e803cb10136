package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// profile runs our check of a job in this process and writes into dir where
// the time and the memory went, for `go tool pprof`.
func profile(ctx context.Context, dir string, j job, encodings string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	f, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	var inputs [2]schema.Input
	for i, tree := range []string{j.old, j.new} {
		if inputs[i], err = schema.ParseInput(filepath.Join(".tools/corpora", tree)); err != nil {
			return err
		}
	}
	start := time.Now()
	step := func(name string) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Printf("%-6s %6.2f s, %4d MB on the heap, %5d MB made so far, %d collections\n",
			name, time.Since(start).Seconds(), m.HeapAlloc>>20, m.TotalAlloc>>20, m.NumGC)
		start = time.Now()
	}
	pair, err := schema.LoadPair(ctx, inputs[0], inputs[1], schema.Options{})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	step("load")
	if err := writeHeap(filepath.Join(dir, "load.pprof")); err != nil {
		return err
	}
	start = time.Now()
	opts := compat.Options{}
	for e := range strings.SplitSeq(encodings, ",") {
		opts.Encodings = append(opts.Encodings, compat.Encoding(e))
	}
	r, err := compat.Check(ctx, compat.Request{Pair: pair, Options: opts})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	step("check")
	if err := report.Render(io.Discard, "text", r, report.Options{}); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	step("text")
	return writeHeap(filepath.Join(dir, "check.pprof"))
}

func writeHeap(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	runtime.GC()
	return pprof.WriteHeapProfile(f)
}
