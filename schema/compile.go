package schema

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile/experimental/incremental"
	"github.com/bufbuild/protocompile/experimental/incremental/queries"
	"github.com/bufbuild/protocompile/experimental/ir"
	"github.com/bufbuild/protocompile/experimental/report"
	"github.com/bufbuild/protocompile/experimental/source"
	"github.com/bufbuild/protocompile/experimental/source/length"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/skewgate/skewgate/problem"
)

// This is the only file that imports protocompile, and its experimental
// compiler at that: the stable one stops at edition 2023
// (https://github.com/bufbuild/protocompile/issues/764). It makes no promise
// of stability, so nothing of it may be seen outside this file.

// sources gives the text of a file by its import path; an error that wraps
// fs.ErrNotExist when no input has it.
type sources interface {
	source(path string) (text string, err error)
	display(path string) string
}

// compile compiles files and what they import into one set, imports first.
// What is wrong with the sources is a problem.List.
func compile(ctx context.Context, from sources, paths []string, parallelism int) (set *descriptorpb.FileDescriptorSet, err error) {
	defer func() {
		if r := recover(); r != nil {
			set, err = nil, fmt.Errorf("compile %s: the compiler failed: %v\n%s", nameFiles(paths), r, firstLines(debug.Stack()))
		}
	}()
	opener := &compilerOpener{from: from}
	executor := incremental.New(
		incremental.WithParallelism(int64(max(1, parallelism))),
		incremental.WithReportOptions(report.Options{SuppressWarnings: true}),
	)
	query := queries.FDS{
		Opener:    &source.Openers{opener, source.WKTs()},
		Session:   new(ir.Session),
		Workspace: source.NewWorkspace(paths...),
	}
	results, diagnostics, err := incremental.Run(ctx, executor, query)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, fmt.Errorf("compile %s: %w", nameFiles(paths), cause)
		}
		return nil, fmt.Errorf("compile %s: the compiler failed: %s", nameFiles(paths), firstLines([]byte(err.Error())))
	}
	if list := compileProblems(diagnostics, from); len(list) > 0 {
		return nil, list
	}
	if fatal := results[0].Fatal; fatal != nil {
		return nil, fmt.Errorf("compile %s: %w", nameFiles(paths), fatal)
	}
	return reparse(results[0].Value)
}

// reparse sends the set through bytes: the compiler leaves options as unknown
// fields and shares memory with its trees, which this lets go of.
func reparse(set *descriptorpb.FileDescriptorSet) (*descriptorpb.FileDescriptorSet, error) {
	for i, file := range set.File {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
		if err != nil {
			return nil, fmt.Errorf("encode descriptor of %s: %w", file.GetName(), err)
		}
		again := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(data, again); err != nil {
			return nil, fmt.Errorf("decode descriptor of %s: %w", file.GetName(), err)
		}
		set.File[i] = again
	}
	return set, nil
}

// wellKnown gives the text of the files that come with every protobuf
// compiler.
func wellKnown(path string) (string, bool) {
	file, err := source.WKTs().Open(path)
	if err != nil {
		return "", false
	}
	return file.Text(), true
}

// compilerOpener feeds the compiler; it is a pointer, as openers must be
// comparable.
type compilerOpener struct{ from sources }

// Open implements source.Opener.
func (o *compilerOpener) Open(path string) (*source.File, error) {
	text, err := o.from.source(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fs.ErrNotExist
		}
		return nil, err
	}
	return source.NewFile(path, text), nil
}

// compileProblems are the errors of a compilation, in the order of files and
// lines, each once. Of very many the first are given: a person reads no more,
// and turning offsets into columns takes time.
func compileProblems(diagnostics *report.Report, from sources) problem.List {
	var errs []*report.Diagnostic
	for i := range diagnostics.Diagnostics {
		if d := &diagnostics.Diagnostics[i]; d.Level() <= report.Error {
			errs = append(errs, d)
		}
	}
	slices.SortStableFunc(errs, func(a, b *report.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File(), b.File()), cmp.Compare(a.Primary().Start, b.Primary().Start), cmp.Compare(a.Message(), b.Message()))
	})
	var list problem.List
	seen := map[problem.Problem]bool{}
	for i, d := range errs {
		if len(list) == maxProblems {
			list = append(list, problem.Problem{Message: fmt.Sprintf("and %d more problems", len(errs)-i)})
			return list
		}
		p := problem.Problem{Message: d.Message(), Hint: strings.Join(d.Help(), "; ")}
		if file := d.File(); file != "" {
			p.File = from.display(file)
		}
		if span := d.Primary(); !span.IsZero() {
			at := span.File.Location(span.Start, length.Runes)
			p.Line, p.Column = at.Line, at.Column
		}
		if !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list
}

func nameFiles(paths []string) string {
	if len(paths) == 1 {
		return paths[0]
	}
	return fmt.Sprintf("%d files", len(paths))
}

// firstLines keeps a compiler's failure readable.
func firstLines(text []byte) string {
	lines := strings.SplitN(string(text), "\n", 9)
	return strings.Join(lines[:min(len(lines), 8)], "\n")
}

// compileWellKnown gives the descriptor of a file that comes with every
// compiler; fs.ErrNotExist for any other.
func compileWellKnown(path string) (*descriptorpb.FileDescriptorProto, error) {
	if _, ok := wellKnown(path); !ok {
		return nil, fmt.Errorf("well-known %s: %w", path, fs.ErrNotExist)
	}
	set, err := compile(context.Background(), noSources{}, []string{path}, 1)
	if err != nil {
		return nil, err
	}
	return set.File[len(set.File)-1], nil
}

// noSources has no files.
type noSources struct{}

func (noSources) source(path string) (string, error) {
	return "", fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
}
func (noSources) display(path string) string { return path }
