package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/skewgate/skewgate/schema"
)

// fuzzCases is how many (schema pair, message, direction) cases a run has;
// SKEWGATE_FUZZ_CASES asks for more.
const fuzzCases = 10_000

// TestPredictionIsExecution holds the rules against execution: for random
// schemas, random changes of them and random messages, whatever comes out
// other than it went in was predicted for that field, and what no rule
// predicts does not happen.
func TestPredictionIsExecution(t *testing.T) {
	want := fuzzCases
	if s := os.Getenv("SKEWGATE_FUZZ_CASES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("SKEWGATE_FUZZ_CASES: %v", err)
		}
		want = n
	}
	seed := uint64(1)
	if s := os.Getenv("SKEWGATE_FUZZ_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SKEWGATE_FUZZ_SEED: %v", err)
		}
		seed = n
	}
	run := &fuzzRun{t: t, shown: make(map[string]int), rules: make(map[string]int)}
	for ; run.cases < want; seed++ {
		run.pair(seed)
		if run.failures > 20 {
			t.Fatalf("stopped after %d cases", run.cases)
		}
	}
	t.Logf("%d cases, %d schema pairs (%d more were no schemas), effects seen: %v", run.cases, run.pairs, run.invalid, run.shown)
	t.Logf("predicted by: %v", run.rules)
	for _, e := range []Effect{Fails, Value, Loss, Presence, Semantic, Drop} {
		if run.shown[string(e)] == 0 {
			t.Errorf("no case showed %s: the fuzzer does not reach it", e)
		}
	}
}

// TestMissingRuleIsSeen is the negative control: without a rule, the fuzzer
// fails.
func TestMissingRuleIsSeen(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"MESSAGE_JSON_FORM_CHANGED", "FIELD_REMOVED", "FIELD_INT_RANGE_CHANGED", "FIELD_WRAPPER_CHANGED", "FIELD_JSON_KEY_TAKEN"} {
		run := &fuzzRun{t: t, shown: make(map[string]int), rules: make(map[string]int), without: rule}
		for seed := uint64(1); run.failures == 0 && seed < 200; seed++ {
			run.pair(seed)
		}
		if run.failures == 0 {
			t.Errorf("without %s nothing is missed in %d cases", rule, run.cases)
		}
	}
}

type fuzzRun struct {
	t        *testing.T
	cases    int
	pairs    int
	invalid  int // pairs of which one is no schema
	failures int
	failed   uint64         // the last seed that did
	shown    map[string]int // effects
	rules    map[string]int // that had predicted one
	without  string         // a rule that is taken away, to see that it is missed
}

// pair invents two schemas and runs messages of each through the other.
func (run *fuzzRun) pair(seed uint64) {
	g := &schemaMaker{Rand: rand.New(rand.NewPCG(seed, 7))}
	f := g.file()
	changed := g.mutate(f)
	old, new := link("old", f), link("new", changed)
	if old == nil || new == nil {
		run.invalid++
		return
	}
	run.sets(seed, g, 4, old, new)
}

// anyPayloads has readers unpack what the Any fields of a random schema hold:
// one of its messages.
func (g *schemaMaker) anyPayloads(versions []*version) {
	for _, v := range versions {
		for _, m := range v.Set.Messages() {
			for i := range m.Fields().Len() {
				if fd := m.Fields().Get(i); elementOf(fd).Message() != nil && elementOf(fd).Message().FullName() == anyName {
					v.universe.declare(v.Set, fd.FullName(), []string{"t.M0", "t.M1", "t.M2", "t.M3", "t.P"})
				}
			}
		}
	}
}

// sets runs messages of each type of two schemas through the other.
func (run *fuzzRun) sets(seed uint64, g *schemaMaker, messages int, old, new *schema.Set) {
	run.pairs++
	versions := []*version{
		{Version: Version{Name: "old", Set: old}, universe: universeOf(old)},
		{Version: Version{Name: "new", Set: new}, universe: universeOf(new)},
	}
	if err := declarePayloads(versions); err != nil {
		run.t.Fatal(err)
	}
	if g.fresh > 0 { // it invented the schemas
		g.anyPayloads(versions)
	}
	for _, w := range []int{0, 1} {
		for _, enc := range []Encoding{Binary, JSON, Lenient} {
			for _, profile := range []Profile{Spec, Go} {
				if profile == Go && enc != Binary {
					continue // the same but for closed enums
				}
				d := &fuzzDirection{run: run, seed: seed, g: g, messages: messages, versions: versions, w: w, codec: codec{enc, profile, versions[w].universe, versions[1-w].universe, nil}}
				for _, m := range versions[w].Set.Messages() {
					if r := versions[1-w].Set.Message(m.FullName()); r != nil {
						d.root(root{w: m, r: r})
					}
				}
				if g.fresh > 0 {
					d.answer = run.whole(g, versions, enc, profile)
				}
				d.calls()
			}
		}
	}
}

type fuzzDirection struct {
	run      *fuzzRun
	seed     uint64
	g        *schemaMaker
	messages int // of each type
	versions []*version
	w        int
	codec
	judge  *judge
	hits   map[*fact]*hit
	form   *fact  // of the root, if it has one
	answer *check // nil: fixtures, which have tests of their own
	errors int    // how often an error by default was seen
}

// root predicts for a message and everything it reaches, then runs messages.
func (d *fuzzDirection) root(of root) {
	d.judge = newJudge(d.versions, nil)
	for kind, rows := range d.judge.table.byKind {
		d.judge.table.byKind[kind] = slices.DeleteFunc(rows, func(r Rule) bool { return r.ID == d.run.without })
	}
	c := d.judge.comparer(d.w, 1-d.w)
	top := c.compare(of.w, of.r, d.encoding.isJSON())
	c.markDirty()
	d.hits = make(map[*fact]*hit)
	class := newClass("x")
	fl := flow{class: class, leg: LegState, writer: d.w, reader: 1 - d.w, encoding: d.encoding, profile: d.profile}
	judged := func(f *fact) {
		for _, h := range d.judge.effective([]*hit{{flow: fl, fact: f}}) {
			d.hits[f] = h
		}
	}
	top.walk(judged)
	if d.form = of.form(d.encoding.isJSON()); d.form != nil {
		judged(d.form)
	}
	for range d.messages {
		d.message(of.w, of.r)
	}
}

// message runs one random message.
func (d *fuzzDirection) message(md, rd protoreflect.MessageDescriptor) {
	m := dynamicpb.NewMessage(md)
	filler := &filler{g: d.g, codec: d.codec, s: sampler{u: d.writer, payload: md.FullName()}}
	filler.fill(m, rd, 3)
	data, err := d.write(m)
	if err != nil {
		return
	}
	self := codec{d.encoding, d.profile, d.writer, d.writer, nil}
	back, err := self.read(data, md, false)
	if err != nil {
		return // a required field deep inside: no writer writes that
	}
	if seen := self.observe(m, back); len(seen) > 0 {
		d.fail(m, "the writer itself reads: %v", describe(seen))
		return
	}
	d.run.cases++
	covered := make(map[*fact]bool)
	d.touched(d.node(md, rd), m, covered, 0)
	if d.form != nil {
		covered[d.form] = true
	}
	got, err := d.read(data, rd, false)
	if err != nil {
		d.errors++
		d.run.shown[string(Fails)]++
		if !slices.ContainsFunc(keys(covered), func(f *fact) bool { return d.predicts(f, Fails) }) {
			d.fail(m, "%v, not predicted", err)
		}
		return
	}
	for _, o := range d.observe(m, got) {
		d.run.shown[string(o.effect)]++
		if severityOf(o.effect, LegResponse) == Error {
			d.errors++
		}
		if !slices.ContainsFunc(keys(covered), func(f *fact) bool {
			return (explains(f, o) || o.effect == Fails) && d.predicts(f, o.effect) // a payload is refused for whatever is in it
		}) {
			d.fail(m, "%s of %s in %s: wrote %s, reads %s, not predicted", o.effect, o.field.FullName(), o.in.FullName(), o.wrote, o.reads)
		}
	}
}

func keys(m map[*fact]bool) []*fact {
	var out []*fact
	for f := range m {
		out = append(out, f)
	}
	return out
}

// explains says that a fact is about the field that came out wrong.
func explains(f *fact, o observation) bool {
	return f.in.r == o.in && (f.wf == o.field || slices.Contains(f.group, o.field))
}

// predicts says that a proven finding allows an effect, and is reported as at
// least as severe.
func (d *fuzzDirection) predicts(f *fact, e Effect) bool {
	h := d.hits[f]
	if h == nil || !slices.Contains(h.rule.effects(f, d.encoding, d.profile), e) ||
		severityOf(h.proof.effect, LegRequest).rank() > severityOf(e, LegRequest).rank() {
		return false
	}
	d.run.rules[h.rule.ID]++
	return true
}

func (d *fuzzDirection) node(w, r protoreflect.MessageDescriptor) *node {
	return d.judge.comparer(d.w, 1-d.w).nodes[pair{w, r, d.encoding.isJSON()}]
}

// touched collects the facts about what a message has set, at every depth.
func (d *fuzzDirection) touched(n *node, m protoreflect.Message, facts map[*fact]bool, depth int) {
	if n == nil {
		return
	}
	for _, f := range n.facts {
		set := f.kind == fieldRequired || f.kind == fieldDefault
		for _, fd := range append([]protoreflect.FieldDescriptor{f.wf}, f.group...) {
			set = set || fd != nil && m.Has(fd)
		}
		if set {
			facts[f] = true
		}
	}
	for _, fd := range d.writer.fields(m.Descriptor()) {
		if !m.Has(fd) || fd.Message() == nil {
			continue
		}
		at := place(d.writer, d.reader, fd, n.r, n.json)
		if at.peer == nil || at.peer.Message() == nil {
			continue
		}
		if we, re := entryValues(fd, at.peer); we != nil && !n.json {
			child := d.node(we.Message(), re.Message())
			for _, e := range elements(fd, m.Get(fd)) {
				d.touched(child, e.Message().Get(we).Message(), facts, depth+1)
			}
			continue
		}
		d.touchedPayloads(fd, at.peer, m.Get(fd), facts, depth)
		if fd.IsMap() && at.peer.IsMap() {
			if fd.MapValue().Message() == nil || at.peer.MapValue().Message() == nil {
				continue
			}
			child := d.node(fd.MapValue().Message(), at.peer.MapValue().Message())
			for _, k := range sortedKeys(m.Get(fd).Map()) {
				d.touched(child, m.Get(fd).Map().Get(k).Message(), facts, depth+1)
			}
			continue
		}
		child := d.node(fd.Message(), at.peer.Message())
		for _, e := range elements(fd, m.Get(fd)) {
			d.touched(child, e.Message(), facts, depth+1)
		}
	}
}

// touchedPayloads collects the facts about what is packed into Anys.
func (d *fuzzDirection) touchedPayloads(fd, rf protoreflect.FieldDescriptor, v protoreflect.Value, facts map[*fact]bool, depth int) {
	we, re := elementOf(fd), elementOf(rf)
	if depth > 6 || len(d.writer.payloads[fd.FullName()]) == 0 || re.Message() == nil || re.Message().FullName() != anyName {
		return
	}
	for _, e := range elements(fd, v) {
		holder := e.Message()
		if fd.IsMap() {
			holder = holder.Get(we).Message()
		}
		packed, err := d.unpack(d.writer, holder)
		if err != nil {
			continue
		}
		if r := d.reader.message(packed.Descriptor().FullName()); r != nil {
			d.touched(d.node(packed.Descriptor(), r), packed, facts, depth+1)
		}
	}
}

func (d *fuzzDirection) fail(m *dynamicpb.Message, format string, args ...any) {
	d.run.t.Helper()
	if d.run.failed == d.seed {
		return // one failure of a pair is enough to read
	}
	d.run.failed = d.seed
	d.run.failures++
	if d.run.without != "" {
		return
	}
	text := ""
	for _, i := range []int{d.w, 1 - d.w} {
		file := d.versions[i].Set.Messages()[0].ParentFile()
		text += d.versions[i].Name + ":\n" + prototext.MarshalOptions{Multiline: false}.Format(protodesc.ToFileDescriptorProto(file)) + "\n"
	}
	d.run.t.Errorf("seed %d, %s→%s %s %s, %s: %s\n%s\n%s", d.seed, d.versions[d.w].Name, d.versions[1-d.w].Name, d.encoding, d.profile,
		m.Descriptor().FullName(), fmt.Sprintf(format, args...), show(anyField(m), protoreflect.ValueOfMessage(m)), text)
}

// anyField lets show print a message that no field holds.
func anyField(m protoreflect.Message) protoreflect.FieldDescriptor {
	return holder{md: m.Descriptor()}
}

type holder struct {
	protoreflect.FieldDescriptor
	md protoreflect.MessageDescriptor
}

func (h holder) Message() protoreflect.MessageDescriptor { return h.md }
func (h holder) IsMap() bool                             { return false }
func (h holder) IsList() bool                            { return false }

func describe(seen []observation) string {
	text := ""
	for _, o := range seen {
		text += fmt.Sprintf("%s %s: wrote %s, reads %s; ", o.effect, o.field.FullName(), o.wrote, o.reads)
	}
	return text
}
