package compat

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// fewMethods is how many places a finding names; Reached counts them all.
const fewMethods = 3

// witnessLimit bounds the value and the bytes that a report shows.
const witnessLimit = 4 << 10

// merged is one change over all classes that reach it by one flow.
type merged struct {
	*hit
	of      []*class
	classes []string
	methods []string
}

// mergeClasses makes one finding of a change that several classes reach.
func mergeClasses(hits []*hit) []*merged {
	type key struct {
		rule, path, leg string
		writer, reader  int
		encoding        Encoding
		profile         Profile
		effect          Effect
	}
	byKey := make(map[key]*merged)
	var out []*merged
	for _, h := range hits {
		k := key{h.rule.ID, h.path(), string(h.leg), h.writer, h.reader, h.encoding, h.profile, h.effect}
		m := byKey[k]
		if m == nil {
			m = &merged{hit: h}
			byKey[k] = m
			out = append(out, m)
		}
		m.of = append(m.of, h.class)
		m.classes = append(m.classes, h.class.name)
		m.methods = append(m.methods, h.methods...)
	}
	for _, m := range out {
		slices.Sort(m.classes)
		slices.Sort(m.methods)
		m.methods = slices.Compact(m.methods)
	}
	return out
}

// finding says a hit in the words of a report.
func (k *check) finding(m *merged) report.Finding {
	h := m.hit
	severity := h.inWindow(k.window, k.opts.Strict)
	f := report.Finding{
		Rule: h.rule.ID, Severity: string(severity), Effect: string(h.effect), Leg: string(h.leg),
		InWindow: k.inWindow(m),
		Writer:   k.label(h.writer), Reader: k.label(h.reader),
		Encoding: string(h.encoding), Profile: string(h.profile),
		Class: m.classes[0], Path: h.path(), Title: h.rule.Title,
		Methods: m.methods[:min(len(m.methods), fewMethods)], Reached: len(m.methods),
		Old: k.place(h, false), New: k.place(h, true),
		Message: k.message(h), Fix: h.fixText(k.versions, k.grids[h.class]),
		Witness: h.witness(k.versions[h.writer].universe),
		When:    h.when(k.versions),
	}
	if f.Methods == nil {
		f.Methods = []string{}
	}
	if h.leg == LegState {
		f.Reached = 1
	}
	if len(m.classes) > 1 {
		f.Classes = m.classes
	}
	if severity != h.severity() {
		f.DefaultSeverity = string(h.severity())
	}
	f.Expand, f.Contract = h.sentence(h.rule.expand, k.versions), h.sentence(h.rule.contract, k.versions)
	return f
}

func (k *check) message(h *hit) string {
	return h.sentence(h.rule.says, k.versions) + h.otherProfile()
}

// otherProfile says where readers of the other profile do something else.
func (h *hit) otherProfile() string {
	other, who := Go, "a reader written in Go"
	if h.profile == Go {
		other, who = Spec, "a reader that follows the specification"
	}
	here, there := h.rule.effects(h.fact, h.encoding, h.profile), h.rule.effects(h.fact, h.encoding, other)
	switch {
	case isDispatch(h.fact.kind) || slices.Equal(here, there):
		return ""
	case len(there) == 0:
		if h.fact.wf.Kind() == protoreflect.StringKind || h.fact.wf.Kind() == protoreflect.BytesKind {
			return " (" + who + " does not check text of extensions)"
		}
		return " (" + who + " keeps the number)"
	case len(here) > 0 && here[0] == there[0]:
		return ""
	default:
		return " (" + who + ": " + outcomes[there[0]] + ")"
	}
}

// place is where the change stands on the older or the newer side.
func (k *check) place(h *hit, newSide bool) *report.Place {
	d, version := h.fact.w, h.writer
	if newSide != (h.writer > h.reader) {
		d, version = h.fact.r, h.reader
	}
	if d == nil {
		return nil
	}
	at := k.versions[version].Set.Place(d)
	if at == (schema.Place{}) {
		return nil
	}
	return &report.Place{File: at.File, Line: at.Line, Column: at.Column}
}

// fixText is what to do, given which order is safe.
func (h *hit) fixText(versions []*version, g *grid) string {
	rule := h.sentence(h.rule.fix, versions)
	if h.leg == LegState {
		if h.newerWrites() {
			if h.severity() == Error {
				return "do not go back after the first write by " + versions[h.writer].Name + "; or " + rule
			}
			return rule
		}
		return h.twoReleases(versions, rule)
	}
	at := h.meeting()
	order := "roll out objects first"
	if g.linear() && at[0] < at[1] || !g.linear() && g.worker[at[0]] == replaced {
		order = "roll out workers first"
	}
	switch {
	case h.severity() == Info:
		return "nothing, if it need not arrive; " + order + " if it must"
	case h.severity() == Warning:
		return order + " if it matters; or " + rule
	case g.order() == report.ExpandContract:
		return h.twoReleases(versions, rule)
	default:
		return order + "; or " + rule
	}
}

func (h *hit) twoReleases(versions []*version, rule string) string {
	if h.rule.expand == "" {
		return rule
	}
	return rule + "; or in two releases: first " + h.sentence(h.rule.expand, versions) + "; then " + h.sentence(h.rule.contract, versions)
}

// when says at which point of a rollout it breaks.
func (h *hit) when(versions []*version) string {
	if h.leg == LegState {
		if h.newerWrites() {
			return "after going back to " + versions[h.reader].Name
		}
		return "from the first object that moves to " + versions[h.reader].Name
	}
	at := h.meeting()
	return "while " + an(versions[at[0]].Name) + " worker can reach " + an(versions[at[1]].Name) + " object"
}

// witness says how a hit was proven.
func (h *hit) witness(u *universe) *report.Witness {
	if h.proof == nil {
		return &report.Witness{Kind: report.Dispatch, Executed: true, Bytes: []byte{}, Outcome: h.dispatchOutcome()}
	}
	w := &report.Witness{
		Kind: report.Decode, Executed: true, Outcome: h.proof.outcome, Bytes: h.proof.bytes,
		Type: string(h.proof.message.Descriptor().FullName()),
	}
	if w.Bytes == nil {
		w.Bytes = []byte{}
	}
	if len(w.Bytes) > witnessLimit {
		w.Bytes = w.Bytes[:witnessLimit]
	}
	data, err := protojson.MarshalOptions{AllowPartial: true, Resolver: u}.Marshal(h.proof.message)
	var compact bytes.Buffer
	if err == nil && stdjson.Compact(&compact, data) == nil && compact.Len() <= witnessLimit {
		w.Value = compact.Bytes()
	}
	return w
}

func (h *hit) dispatchOutcome() string {
	name := shortName(h.fact.w)
	switch h.fact.kind {
	case serviceMissing:
		return "UNIMPLEMENTED: unknown service " + name
	case methodMissing:
		return "UNIMPLEMENTED: unknown method " + name
	case clientStream, serverStream:
		return "INTERNAL: cardinality violation: the other side takes exactly one message"
	case idempotency:
		return "the caller may repeat the call; the callee does not promise that it is safe"
	default:
		return "that version has no state message " + name
	}
}

// sortFindings puts the most harmful first: what is in the window, then by
// severity, harm, leg.
func sortFindings(findings []report.Finding) {
	later := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(findings, func(a, b report.Finding) int {
		return cmp.Or(
			cmp.Compare(later(!a.InWindow), later(!b.InWindow)),
			cmp.Compare(later(a.Waived), later(b.Waived)),
			cmp.Compare(Severity(a.Severity).rank(), Severity(b.Severity).rank()),
			cmp.Compare(Effect(a.Effect).harm(), Effect(b.Effect).harm()),
			strings.Compare(a.Class, b.Class),
			strings.Compare(a.Path, b.Path),
			strings.Compare(a.Rule, b.Rule),
			strings.Compare(a.Leg, b.Leg),
			strings.Compare(a.Writer, b.Writer),
			strings.Compare(a.Reader, b.Reader),
			strings.Compare(a.Encoding, b.Encoding),
			strings.Compare(a.Profile, b.Profile),
		)
	})
}
