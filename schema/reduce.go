package schema

import (
	"bytes"
	"slices"
	"strings"
)

// reduction is the part of a side that is compiled: its files, each with only
// the declarations that are kept, without comments, without options that no
// rule reads and without imports that nothing kept needs. It implements
// sources.
//
// What it gives must compile to the same descriptors of what is kept. It is
// checked by comparing findings with Options.Full; and when a reduced source
// does not compile, the full one is compiled instead, for its words and lines.
type reduction struct {
	graph *graph
	kept  map[node]bool
	files map[string]bool // import paths of files to compile
	texts map[string]string
}

// newReduction keeps nodes, which must be closed under graph.next but for the
// methods of services.
func newReduction(g *graph, kept map[node]bool) *reduction {
	r := &reduction{graph: g, kept: kept, files: map[string]bool{}, texts: map[string]string{}}
	for n := range kept {
		r.files[n.file.path] = true
	}
	return r
}

// display implements sources.
func (r *reduction) display(path string) string { return r.graph.side.display(path) }

// source implements sources.
func (r *reduction) source(path string) (string, error) {
	f := r.graph.byPath[path]
	if f == nil || f.odd || isWellKnownPath(path) {
		return r.graph.side.source(path)
	}
	text, err := r.graph.side.read(path)
	if err != nil {
		return "", err
	}
	w := reducer{file: f, text: bytes.TrimPrefix(text, byteOrderMark), kept: func(i int) bool { return r.kept[node{f, i}] }}
	reduced := w.reduce(r.neededImports(f))
	return string(reduced), checkSource(r.display(path), reduced)
}

// isWellKnownPath: the compiler relies on these files as they are.
func isWellKnownPath(path string) bool { return strings.HasPrefix(path, "google/protobuf/") }

// neededImports are those through which kept declarations of a file see what
// they refer to; and public ones, through which others see.
func (r *reduction) neededImports(f *indexedFile) []importDecl {
	all := f.headerExtension
	needed := map[*indexedFile]bool{}
	for i := range f.decls {
		n := node{f, i}
		if !r.kept[n] {
			continue
		}
		for _, to := range r.graph.next(n) {
			needed[to.file] = true
		}
		all = all || r.graph.unsure[n]
	}
	var imports []importDecl
	for _, imp := range f.imports {
		target := r.graph.byPath[imp.path]
		if all || imp.public || target == nil || r.graph.exposes(target, needed) {
			imports = append(imports, imp)
		}
	}
	return imports
}

// reducer writes one file, token by token.
type reducer struct {
	file *indexedFile
	text []byte
	kept func(i int) bool
	out  []byte

	declAt map[int]int // offset → declaration
	skipAt map[int]int // offset of an option that no rule reads → its end
	extend map[int]int // offset of an extend block → its end
}

func (w *reducer) reduce(imports []importDecl) []byte {
	w.declAt, w.skipAt, w.extend = map[int]int{}, map[int]int{}, map[int]int{}
	for i, d := range w.file.decls {
		if !d.group && d.kind != declExtension {
			w.declAt[d.start] = i
		}
	}
	for _, s := range w.file.options {
		w.skipAt[s.start] = s.end
	}
	for _, s := range w.file.extends {
		w.extend[s.start] = s.end
	}
	for _, s := range w.file.header {
		w.tokens(s.start, s.end, -1)
	}
	for _, imp := range imports {
		w.tokens(imp.start, imp.end, -1)
	}
	w.inside(-1, 0, len(w.text))
	return w.out
}

// tokens writes a part of the file as it is kept; self is the declaration
// that the part is.
func (w *reducer) tokens(start, end, self int) {
	l := lexer{text: w.text, end: start}
	last := -1
	for l.next() != tokenEOF && l.kind != tokenBad && l.start < end {
		if skip, ok := w.skipAt[l.start]; ok && skip > l.start {
			l.end = skip
			continue
		}
		if blockEnd, ok := w.extend[l.start]; ok {
			w.extensions(l.start, blockEnd)
			l.end = blockEnd
			continue
		}
		if i, ok := w.declAt[l.start]; ok && i != self {
			w.declaration(i)
			l.end = w.file.decls[i].end
			continue
		}
		if l.start != last {
			w.out = append(w.out, ' ')
		}
		w.out = append(w.out, l.token()...)
		last = l.end
	}
}

// declaration writes a declaration if it is kept; if only something inside of
// it is, then that with the name around it.
func (w *reducer) declaration(i int) {
	d := &w.file.decls[i]
	switch {
	case w.kept(i):
		w.tokens(d.start, d.end, i)
	case d.kind == declMessage && w.keepsInside(i):
		w.out = append(w.out, " message "+strings.TrimPrefix(d.name[len(parentName(d.name)):], ".")+" {"...)
		w.inside(i, d.start, d.end)
		w.out = append(w.out, '}')
	}
}

func (w *reducer) keepsInside(i int) bool {
	end := w.file.decls[i].end
	for j := i + 1; j < len(w.file.decls) && w.file.decls[j].start < end; j++ {
		if w.kept(j) {
			return true
		}
	}
	return false
}

// inside writes the kept declarations between two offsets, outermost ones
// only: those write what is inside of them.
func (w *reducer) inside(parent, start, end int) {
	for i := parent + 1; i < len(w.file.decls); i++ {
		d := &w.file.decls[i]
		if d.start >= end {
			return
		}
		if d.start < start {
			continue
		}
		if d.kind == declExtension {
			w.extension(i)
		} else if !d.group {
			w.declaration(i)
		}
		start = d.end
	}
}

// extensions writes the kept ones of a block.
func (w *reducer) extensions(start, end int) {
	decls := w.file.decls
	from, _ := slices.BinarySearchFunc(decls, start, func(d declaration, at int) int { return d.start - at })
	for i := from; i < len(decls) && decls[i].start < end; i++ {
		if d := &decls[i]; d.kind == declExtension && d.start > start {
			w.extension(i)
			start = d.end - 1
		}
	}
}

func (w *reducer) extension(i int) {
	if d := &w.file.decls[i]; w.kept(i) {
		w.out = append(w.out, " extend "+d.refs[0]+" {"...)
		w.tokens(d.start, d.end, i)
		w.out = append(w.out, '}')
	}
}
