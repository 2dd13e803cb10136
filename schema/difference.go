package schema

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// difference is what of two sides must be compiled to compare them, and what
// need not be.
type difference struct {
	sides     [2]*selection
	unchanged map[protoreflect.FullName]Unchanged
	methods   map[protoreflect.FullName]bool
}

// newDifference compares what is wanted on either side. It is not understood
// when a file is odd that something wanted may be in.
func newDifference(graphs [2]*graph) (d *difference, understood bool) {
	d = &difference{unchanged: map[protoreflect.FullName]Unchanged{}, methods: map[protoreflect.FullName]bool{}}
	wanted := map[string][2]bool{}
	for i, g := range graphs {
		s := g.side
		roots, missing := g.wanted(s.opts.want(s.manifest))
		if len(g.oddWhere(missing || s.opts.wantsEverything(s.manifest))) > 0 {
			return d, false
		}
		d.sides[i] = &selection{graph: g, kept: map[node]bool{}, lacks: missing}
		for _, n := range roots {
			by := wanted[n.decl().name]
			by[i] = true
			wanted[n.decl().name] = by
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		d.compare(name, wanted[name] == [2]bool{true, true})
	}
	return d, true
}

// compare decides on one name: the same on both sides, or to be compiled. What
// only one side wants is compiled on both where it is a message: the other
// side has another one in its place.
func (d *difference) compare(name string, both bool) {
	before, after := d.sides[0].graph.byName[name], d.sides[1].graph.byName[name]
	if len(before) != 1 || len(after) != 1 || before[0].decl().kind != after[0].decl().kind {
		d.keep(before, after)
		return
	}
	o, n := before[0], after[0]
	kind := o.decl().kind
	if d.equal(o, n) && (both || kind != declMessage) {
		switch kind {
		case declService:
			methods := d.sides[0].graph.methods(o)
			for _, m := range methods {
				d.methods[protoreflect.FullName(m.decl().name)] = true
			}
			d.unchanged[protoreflect.FullName(name)] = Unchanged{Name: protoreflect.FullName(name), Methods: len(methods)}
		case declMessage:
			d.unchanged[protoreflect.FullName(name)] = Unchanged{Name: protoreflect.FullName(name), Message: true}
		}
		return
	}
	if kind == declService {
		d.compareMethods(name, o, n)
		return
	}
	d.keep(before, after)
}

func (d *difference) equal(o, n node) bool {
	before, after := d.sides[0].graph, d.sides[1].graph
	return before.digest(o) == after.digest(n) && !before.unsure[o] && !after.unsure[n]
}

// keep compiles a name wherever it is: on one side only, declared twice, or
// another kind of thing.
func (d *difference) keep(nodes ...[]node) {
	for i, found := range nodes {
		g := d.sides[i].graph
		for _, n := range found {
			if n.decl().kind == declService && len(nodes[1-i]) == 0 {
				d.sides[i].stubs = append(d.sides[i].stubs, stub{service: n, methods: g.methods(n)})
				continue
			}
			g.reach(n, d.sides[i].kept)
		}
	}
}

// compareMethods keeps the methods of a service that differ, with the service
// around them; a method of one side only is shown.
func (d *difference) compareMethods(name string, o, n node) {
	services := [2]node{o, n}
	var methods [2]map[string]node
	for i, service := range services {
		methods[i] = map[string]node{}
		for _, m := range d.sides[i].graph.methods(service) {
			methods[i][m.decl().name] = m
		}
	}
	same := 0
	var alone [2][]node
	for i, side := range methods {
		for _, m := range slices.Sorted(maps.Keys(side)) {
			other, both := methods[1-i][m]
			switch {
			case !both:
				alone[i] = append(alone[i], side[m])
			case i == 1: // done from the other side
			case d.equal(side[m], other):
				same++
				d.methods[protoreflect.FullName(m)] = true
			default:
				d.sides[0].graph.reach(side[m], d.sides[0].kept)
				d.sides[1].graph.reach(other, d.sides[1].kept)
			}
		}
	}
	for i, service := range services {
		d.sides[i].kept[service] = true
		d.reachOptions(i, service)
		if len(alone[i]) > 0 {
			d.sides[i].stubs = append(d.sides[i].stubs, stub{service: service, methods: alone[i]})
		}
	}
	if same > 0 {
		d.unchanged[protoreflect.FullName(name)] = Unchanged{Name: protoreflect.FullName(name), Methods: same, Partial: true}
	}
}

// reachOptions keeps what a service's own options refer to.
func (d *difference) reachOptions(i int, service node) {
	g := d.sides[i].graph
	for _, to := range g.next(service) {
		if to.decl().kind != declMethod {
			g.reach(to, d.sides[i].kept)
		}
	}
}
