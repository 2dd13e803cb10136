package schema

import (
	"bytes"
	"cmp"
	"slices"
)

// graph is what declarations refer to: edges, and a digest of all that each
// one reaches. Both are made on demand, for what is asked about.
type graph struct {
	*index
	edges   map[node][]node
	closure map[node]tokenDigest
	// unsure declarations name something that is not there, or stand in an odd
	// file: they are never taken for unchanged.
	unsure map[node]bool
	// payloads are the types that Any fields of a declaration hold, by its name.
	payloads map[string][]string

	// Tarjan's algorithm
	number, low map[node]int
	stack       []node
	onStack     map[node]bool
}

func newGraph(x *index) *graph {
	return &graph{
		payloads: map[string][]string{},
		index:    x, edges: map[node][]node{}, closure: map[node]tokenDigest{}, unsure: map[node]bool{},
		number: map[node]int{}, low: map[node]int{}, onStack: map[node]bool{},
	}
}

// next gives what a declaration refers to directly, in the order written, each
// once.
func (g *graph) next(n node) []node {
	if edges, ok := g.edges[n]; ok {
		return edges
	}
	d := n.decl()
	var edges []node
	add := func(to node) {
		if to != n && !slices.Contains(edges, to) {
			edges = append(edges, to)
		}
	}
	for _, ref := range d.refs {
		found := g.resolve(d, ref)
		if len(found) == 0 {
			g.unsure[n] = true
		}
		for _, to := range found {
			add(to)
		}
	}
	if d.extendable {
		for _, extension := range g.extensions[d.name] {
			add(extension)
		}
	}
	for _, name := range g.payloads[d.name] {
		g.unsure[n] = true // so that its fields are there to be looked at
		for _, to := range g.byName[name] {
			add(to)
		}
	}
	if d.group && d.parent >= 0 { // its field is there
		add(node{n.file, d.parent})
	}
	if d.kind == declService {
		for _, m := range g.methods(n) {
			add(m)
		}
	}
	if n.file.odd {
		g.unsure[n] = true
	}
	g.edges[n] = edges
	return edges
}

func (g *graph) methods(service node) []node {
	var methods []node
	for i := service.i + 1; i < len(service.file.decls) && service.file.decls[i].parent == service.i; i++ {
		methods = append(methods, node{service.file, i})
	}
	return methods
}

// digest covers a declaration and everything it reaches. Two sides that give
// the same digest for a name give the same descriptors for all of it.
func (g *graph) digest(n node) tokenDigest {
	if d, ok := g.closure[n]; ok {
		return d
	}
	g.connect(n)
	return g.closure[n]
}

// digestWanted makes the digests of all that is wanted, and of methods.
func (g *graph) digestWanted() {
	roots, _ := g.wanted(g.side.opts.want(g.side.manifest))
	for _, n := range roots {
		g.digest(n)
	}
}

// connect is Tarjan's strongly connected components: declarations that reach
// each other share one digest. Its depth is that of the longest chain of
// references, which Go's growing stack has room for.
func (g *graph) connect(n node) {
	g.number[n] = len(g.number) + 1
	g.low[n] = g.number[n]
	g.stack = append(g.stack, n)
	g.onStack[n] = true
	for _, to := range g.next(n) {
		if g.number[to] == 0 {
			g.connect(to)
			g.low[n] = min(g.low[n], g.low[to])
		} else if g.onStack[to] {
			g.low[n] = min(g.low[n], g.number[to])
		}
	}
	if g.low[n] != g.number[n] {
		return
	}
	at := len(g.stack) - 1
	for g.stack[at] != n {
		at--
	}
	component := slices.Clone(g.stack[at:])
	g.stack = g.stack[:at]
	for _, m := range component {
		g.onStack[m] = false
	}
	g.closeComponent(component)
}

// closeComponent digests a component: its members by name, what each refers to
// by name and, outside the component, by digest.
func (g *graph) closeComponent(component []node) {
	slices.SortFunc(component, func(a, b node) int {
		return cmp.Or(cmp.Compare(a.decl().name, b.decl().name), bytes.Compare(a.decl().digest[:], b.decl().digest[:]))
	})
	var text []byte
	unsure := false
	for _, m := range component {
		d := m.decl()
		text = append(append(text, d.name...), 0, byte(d.kind))
		text = append(text, d.digest[:]...)
		if g.ambiguous(m) {
			imports := g.importsOf(m.file, nil)
			text = append(text, imports[:]...)
		}
		for _, to := range g.next(m) {
			text = append(append(text, to.decl().name...), 0)
			if c, ok := g.closure[to]; ok {
				text = append(text, c[:]...)
			}
			unsure = unsure || g.unsure[to]
		}
		unsure = unsure || g.unsure[m]
		text = append(text, 1)
	}
	sum := digestOf(text)
	for _, m := range component {
		g.closure[m] = sum
		if unsure {
			g.unsure[m] = true
		}
	}
}

// ambiguous tells that a name in the declaration may mean several others, so
// that what it means depends on what its file imports.
func (g *graph) ambiguous(n node) bool {
	d := n.decl()
	return slices.ContainsFunc(d.refs, func(ref string) bool { return len(g.resolve(d, ref)) > 1 })
}

// importsOf digests the paths of all that a file imports, in order.
func (g *graph) importsOf(f *indexedFile, above []*indexedFile) tokenDigest {
	if f.importsDigest != nil {
		return *f.importsDigest
	}
	var text []byte
	for _, imp := range f.imports {
		text = append(append(text, imp.path...), 0)
		target := g.byPath[imp.path]
		if target == nil || target == f || slices.Contains(above, target) { // missing, or a cycle that no compiler accepts
			continue
		}
		sum := g.importsOf(target, append(above[:len(above):len(above)], f))
		text = append(text, sum[:]...)
	}
	sum := digestOf(text)
	f.importsDigest = &sum
	return sum
}

// reach adds a declaration and everything it reaches to a set.
func (g *graph) reach(from node, into map[node]bool) {
	stack := []node{from}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if into[n] {
			continue
		}
		into[n] = true
		stack = append(stack, g.next(n)...)
	}
}
