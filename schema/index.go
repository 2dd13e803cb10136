package schema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/skewgate/skewgate/problem"
)

// index is every declaration of a side, its own files and what they import,
// by name. It is what decides which files must be compiled; texts are let go
// of once they are scanned.
type index struct {
	side   *side
	files  []*indexedFile
	byPath map[string]*indexedFile
	byName map[string][]node // almost always one
	// extensions of a message, by its full name. Whoever reaches the message
	// may meet them, though nothing refers to them.
	extensions map[string][]node
}

// indexedFile is a scanned file.
type indexedFile struct {
	*fileDecls
	path    string
	own     bool
	builtIn bool // the compiler's own copy of a well-known type
	// importsDigest covers the paths of all files imported, directly and not;
	// made on demand.
	importsDigest *tokenDigest
	shown         atomic.Pointer[[]*indexedFile] // see index.shown; the compiler asks for files at once
}

// node is a declaration in the graph of references.
type node struct {
	file *indexedFile
	i    int
}

func (n node) decl() *declaration { return &n.file.decls[n.i] }

// buildIndex scans all own files of a side, then what they import.
func buildIndex(ctx context.Context, s *side) (*index, error) {
	x := &index{side: s, byPath: map[string]*indexedFile{}, byName: map[string][]node{}, extensions: map[string][]node{}}
	if err := x.scanOwn(ctx); err != nil {
		return nil, err
	}
	if err := x.scanImports(); err != nil {
		return nil, err
	}
	for _, f := range x.files {
		for i := range f.decls {
			d := &f.decls[i]
			x.byName[d.name] = append(x.byName[d.name], node{f, i})
		}
	}
	for _, f := range x.files {
		for i := range f.decls {
			if d := &f.decls[i]; d.kind == declExtension && len(d.refs) > 0 {
				for _, extendee := range x.resolve(d, d.refs[0]) {
					name := extendee.decl().name
					x.extensions[name] = append(x.extensions[name], node{f, i})
				}
			}
		}
	}
	return x, nil
}

func (x *index) scanOwn(ctx context.Context) error {
	s := x.side
	inTree := make([]string, len(s.paths))
	for i, p := range s.paths {
		inTree[i] = s.own[p]
	}
	x.files = make([]*indexedFile, len(s.paths))
	interners := make(chan *interner, s.opts.parallelism())
	for range cap(interners) {
		interners <- newInterner()
	}
	var total atomic.Int64
	err := s.tree.readAll(ctx, inTree, func(i int, text []byte) error {
		if total.Add(int64(len(text))) > maxTotalBytes {
			return inputError(s.name, "give the directory of the schemas", "has more than %d MiB of .proto files", maxTotalBytes>>20)
		}
		names := <-interners
		defer func() { interners <- names }()
		x.files[i] = &indexedFile{fileDecls: declare(text, names), path: s.paths[i], own: true}
		return nil
	})
	for _, f := range x.files {
		if f != nil {
			x.byPath[f.path] = f
		}
	}
	return err
}

// scanImports adds files from outside the input, until no import is new.
// Imports that nothing has stay out; reach complains about those that matter.
func (x *index) scanImports() error {
	names := newInterner()
	missing := map[string]bool{}
	for i := 0; i < len(x.files); i++ { // it grows
		for _, imp := range x.files[i].imports {
			if x.byPath[imp.path] != nil || missing[imp.path] {
				continue
			}
			text, builtIn, err := x.side.outside(imp.path)
			if errors.Is(err, fs.ErrNotExist) {
				missing[imp.path] = true
				continue
			}
			if err != nil {
				return err
			}
			f := &indexedFile{fileDecls: declare(text, names), path: imp.path, builtIn: builtIn}
			x.files = append(x.files, f)
			x.byPath[imp.path] = f
			if len(x.files) > 2*maxFiles {
				return inputError(x.side.name, "", "imports more than %d files", maxFiles)
			}
		}
	}
	return nil
}

// missingImports are the imports that nothing has, of files and of all they
// import.
func (x *index) missingImports(files []*indexedFile) error {
	var problems problem.List
	seen := map[*indexedFile]bool{}
	for queue := slices.Clone(files); len(queue) > 0; {
		f := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[f] {
			continue
		}
		seen[f] = true
		for _, imp := range f.imports {
			if target := x.byPath[imp.path]; target != nil {
				queue = append(queue, target)
				continue
			}
			if len(problems) == maxProblems {
				return append(problems, problem.Problem{Message: "and more imports are not found"})
			}
			p := problem.Problem{File: x.side.display(f.path), Message: fmt.Sprintf("import %q is not found", imp.path), Hint: x.side.importHint(imp.path)}
			if text, err := x.side.read(f.path); err == nil {
				p.Line, p.Column = linePosition(bytes.TrimPrefix(text, byteOrderMark), imp.pathAt)
			}
			problems = append(problems, p)
		}
	}
	sortProblems(problems)
	return problems.Err()
}

// resolve gives the declarations that a name, written in d, may mean: one for
// each scope around d that has it. A compiler takes the innermost that its
// imports let it see; to reach all of them is safe and almost always the same.
func (x *index) resolve(d *declaration, name string) []node {
	if absolute, ok := strings.CutPrefix(name, "."); ok {
		return x.byName[absolute]
	}
	var found []node
	scope := d.name
	for {
		full := name
		if scope != "" {
			full = scope + "." + name
		}
		for _, n := range x.byName[full] {
			if k := n.decl().kind; k == declMessage || k == declEnum || k == declExtension {
				found = append(found, n)
			}
		}
		if scope == "" {
			return found
		}
		scope = parentName(scope)
	}
}

func parentName(fullName string) string {
	return fullName[:max(0, strings.LastIndexByte(fullName, '.'))]
}

// exposes tells whether importing a file shows one of others: it is one, or
// imports one publicly.
func (x *index) exposes(f *indexedFile, others map[*indexedFile]bool) bool {
	return slices.ContainsFunc(x.shown(f), func(shown *indexedFile) bool { return others[shown] })
}

// visible tells whether declarations of a file can be named in another.
func (x *index) visible(f, from *indexedFile) bool {
	if f == from {
		return true
	}
	for _, imp := range from.imports {
		if target := x.byPath[imp.path]; target != nil && slices.Contains(x.shown(target), f) {
			return true
		}
	}
	return false
}

// shown are the files whose declarations come with importing a file: itself
// and its public imports, and theirs.
func (x *index) shown(f *indexedFile) []*indexedFile {
	if known := f.shown.Load(); known != nil {
		return *known
	}
	seen := map[*indexedFile]bool{f: true}
	shown := []*indexedFile{f}
	for i := 0; i < len(shown); i++ { // it grows
		for _, imp := range shown[i].imports {
			if target := x.byPath[imp.path]; imp.public && target != nil && !seen[target] {
				seen[target] = true
				shown = append(shown, target)
			}
		}
	}
	f.shown.Store(&shown)
	return shown
}
