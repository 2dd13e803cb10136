package compat

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// flow is one way that bytes of a class go.
type flow struct {
	class          *class
	leg            Leg
	writer, reader int // indexes of versions
	encoding       Encoding
	profile        Profile // the reader's
}

// newerWrites says which of the rules for a change is meant: added or removed.
// A worker and an object of different apps have no age in common; there what
// the writer has and the reader lacks counts as added.
func (f flow) newerWrites() bool {
	if f.leg != LegState && !f.class.linear() {
		return true
	}
	return f.writer > f.reader
}

// hit is a fact with its rule and its proven effect on one flow. A hit stands
// for every place that its change is reached from.
type hit struct {
	flow
	rule    *Rule
	fact    *fact
	effect  Effect
	methods []string
	proof   *witness // nil for what is looked up, not sent
}

// severity is that of the effect, unless the rule says that it is more.
func (h *hit) severity() Severity {
	s := severityOf(h.effect, h.leg)
	if h.rule.least != "" && h.rule.least.rank() < s.rank() {
		return h.rule.least
	}
	return s
}

// path names what changed, on the newer side where it is there.
func (h *hit) path() string {
	d := h.fact.w
	if h.fact.kind == oneofJoined || d == nil || h.fact.r != nil && !h.newerWrites() {
		d = h.fact.r
	}
	return string(d.FullName())
}

// judge turns facts into hits. It belongs to one check; it is not safe for
// concurrent use.
type judge struct {
	versions  []*version
	pair      *schema.Pair // nil in a matrix
	table     *table
	comparers map[[2]int]*comparer
	proofs    map[proofKey]*witness
	unchanged map[protoreflect.FullName]int // methods of services that are equal on both sides
	renames   map[report.Notice]bool        // messages that are compared across names, and such as are not
	moved     map[[2]int][2]map[protoreflect.FullName]protoreflect.FullName
	checks    int
	budget    *budget
}

type proofKey struct {
	fact     *fact
	encoding Encoding
	profile  Profile
}

func newJudge(versions []*version, pair *schema.Pair) *judge {
	j := &judge{
		versions: versions, pair: pair, table: newTable(), budget: newBudget(len(versions)), comparers: make(map[[2]int]*comparer),
		proofs: make(map[proofKey]*witness), unchanged: make(map[protoreflect.FullName]int), renames: make(map[report.Notice]bool),
		moved: make(map[[2]int][2]map[protoreflect.FullName]protoreflect.FullName),
	}
	if pair != nil {
		for _, u := range pair.Unchanged() {
			j.unchanged[u.Name] = u.Methods
		}
	}
	return j
}

// root is where a flow starts: a method's request or response, a state message.
type root struct {
	method string // /package.Service/Method; empty for state
	w, r   protoreflect.MessageDescriptor
	facts  []*fact // about the call itself

	call, serve protoreflect.Descriptor // the method as writer and reader know it; nil for state
}

// journey is a flow with where it starts.
type journey struct {
	flow
	roots []root
	nodes []*node
}

// journeys lists the flows of one class: every leg, both directions, each
// encoding. Facts are found on the way; they are not judged yet.
func (j *judge) journeys(c *class, encodings []Encoding) []journey {
	var out []journey
	add := func(fl flow) {
		if !j.sameSchema(fl.writer, fl.reader) {
			out = append(out, j.journey(fl))
		}
	}
	workers, objects := slices.Sorted(maps.Keys(c.workers)), slices.Sorted(maps.Keys(c.objects))
	for _, enc := range encodings {
		for _, w := range workers {
			for _, o := range objects {
				add(flow{c, LegRequest, w, o, enc, c.objects[o]})
				add(flow{c, LegResponse, o, w, enc, c.workers[w]})
			}
		}
		for _, a := range objects {
			for _, b := range objects {
				if len(c.state) > 0 {
					add(flow{c, LegState, a, b, enc, c.objects[b]})
				}
			}
		}
	}
	return out
}

func (j *judge) sameSchema(a, b int) bool { return j.versions[a].Set == j.versions[b].Set }

func (j *judge) journey(fl flow) journey {
	out := journey{flow: fl, roots: j.roots(fl)}
	out.nodes = make([]*node, len(out.roots))
	c := j.comparer(fl.writer, fl.reader)
	for i, r := range out.roots {
		if r.w != nil && r.r != nil {
			out.nodes[i] = c.compare(r.w, r.r, fl.encoding.isJSON())
		}
		if f := r.form(fl.encoding.isJSON()); f != nil {
			out.roots[i].facts = append(r.facts, f)
		}
	}
	return out
}

// hits walks from each root to every fact that it reaches, and keeps those
// that have an effect. Call markDirty first.
func (j *judge) hits(way journey) []*hit {
	collected := make(map[*fact]*hit)
	var order []*hit
	collect := func(f *fact, method string) {
		h := collected[f]
		if h == nil {
			h = &hit{flow: way.flow, fact: f}
			collected[f] = h
			order = append(order, h)
		}
		if method != "" {
			h.methods = append(h.methods, method)
		}
	}
	for i, r := range way.roots {
		for _, f := range r.facts {
			collect(f, r.method)
		}
		if way.nodes[i] != nil {
			if steps := way.nodes[i].walk(func(f *fact) { collect(f, r.method) }); !j.budget.spend(steps, r.w) {
				return nil
			}
		}
	}
	return group(j.effective(order))
}

// markDirty says which nodes lead to facts, once all are known.
func (j *judge) markDirty() {
	for _, c := range j.comparers {
		c.markDirty()
	}
}

// walk visits every fact that a node reaches, each once.
// It gives how many facts and nodes there were.
func (n *node) walk(visit func(*fact)) (steps int) {
	if !n.dirty {
		return 0
	}
	seen := map[*node]bool{n: true}
	for work := []*node{n}; len(work) > 0; {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		steps += 1 + len(n.facts)
		for _, f := range n.facts {
			visit(f)
		}
		for _, child := range n.children {
			if child.dirty && !seen[child] {
				seen[child] = true
				work = append(work, child)
			}
		}
	}
	return steps
}

func (j *judge) comparer(w, r int) *comparer {
	key := [2]int{w, r}
	if j.comparers[key] == nil {
		j.comparers[key] = newComparer(j.versions[w].universe, j.versions[r].universe, j.budget)
	}
	return j.comparers[key]
}

// effective keeps what has an effect that a witness shows.
func (j *judge) effective(hits []*hit) []*hit {
	var kept []*hit
	for _, h := range hits {
		h.rule = j.table.rule(h.fact, h.newerWrites())
		if h.rule == nil {
			continue
		}
		effects := h.rule.effects(h.fact, h.encoding, h.profile)
		if len(effects) == 0 || h.fact.kind == constraint && h.leg == LegState {
			continue // what is stored is loaded, not validated
		}
		if isDispatch(h.fact.kind) {
			h.effect = effects[0]
			kept = append(kept, h)
			continue
		}
		if h.proof = j.prove(h, effects); h.proof == nil {
			continue
		}
		h.effect = h.inState(h.proof.effect)
		kept = append(kept, h)
	}
	return kept
}

// inState makes a drop in state a loss where the encoding does not keep what
// it does not know: the next write is without it.
func (h *hit) inState(e Effect) Effect {
	if h.leg == LegState && !h.encoding.keepsUnknown() && (e == Drop || e == Presence && h.fact.kind == oneofUnknown) {
		return Loss
	}
	return e
}

func (j *judge) prove(h *hit, effects []Effect) *witness {
	key := proofKey{fact: h.fact, encoding: h.encoding, profile: h.profile}
	w, ok := j.proofs[key]
	if !ok {
		c := codec{h.encoding, h.profile, j.versions[h.writer].universe, j.versions[h.reader].universe, j.budget}
		if !j.budget.spend(factSteps, h.fact.in.w) {
			return nil
		}
		if w = c.prove(h.fact, effects); j.budget.err() != nil {
			return nil
		}
		j.proofs[key] = w
	}
	return w
}

func isDispatch(k kind) bool {
	switch k {
	case serviceMissing, methodMissing, clientStream, serverStream, idempotency, stateMissing:
		return true
	default:
		return false
	}
}

// group makes one hit of all that are one change: same rule, same path, same
// flow. The worst effect stands for all.
func group(hits []*hit) []*hit {
	type key struct {
		flow
		rule, path string
	}
	byKey := make(map[key]*hit)
	var out []*hit
	for _, h := range hits {
		k := key{h.flow, h.rule.ID, h.path()}
		first := byKey[k]
		if first == nil {
			byKey[k] = h
			out = append(out, h)
			continue
		}
		methods := slices.Concat(first.methods, h.methods)
		if h.effect.harm() < first.effect.harm() {
			first.fact, first.effect, first.proof = h.fact, h.effect, h.proof
		}
		first.methods = methods
	}
	for _, h := range out {
		slices.SortFunc(h.methods, strings.Compare)
		h.methods = slices.Compact(h.methods)
	}
	return out
}
