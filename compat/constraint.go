package compat

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Rules of validation are a part of the contract: what the reader's
// buf.validate rules refuse of what the writer's allow fails as surely as
// bytes that do not parse. Nothing of them is read here but where they differ
// and which constants they have: what they accept is asked of protovalidate's
// own library.

// validateNumber is the number of buf.validate's options.
const validateNumber = 1159

// constraintsFile is imported by every schema that has constraints.
const constraintsFile = "buf/validate/validate.proto"

// validators makes a universe's validator when it is first needed.
type validators struct {
	once sync.Once
	v    protovalidate.Validator
	err  error
}

func (s *validators) get() (protovalidate.Validator, error) {
	s.once.Do(func() { s.v, s.err = protovalidate.New() })
	return s.v, s.err
}

// rulesOf gives the buf.validate option of a declaration, or nil. The option
// may be known, or be bytes that the compiler kept.
func rulesOf(d protoreflect.Descriptor) protoreflect.Message {
	options := d.Options()
	if options == nil || !options.ProtoReflect().IsValid() || proto.Size(options) == 0 {
		return nil
	}
	data, err := proto.Marshal(options)
	if err != nil {
		return nil
	}
	again := options.ProtoReflect().New()
	if proto.Unmarshal(data, again.Interface()) != nil {
		return nil
	}
	xt, err := protoregistry.GlobalTypes.FindExtensionByNumber(again.Descriptor().FullName(), validateNumber)
	if err != nil || !again.Has(xt.TypeDescriptor()) {
		return nil
	}
	return again.Get(xt.TypeDescriptor()).Message()
}

// isExpression tells CEL from standard rules, by the name of a rule's field.
func isExpression(name protoreflect.Name) bool { return name == "cel" || name == "cel_expression" }

// parts splits rules into the standard ones and the CEL expressions.
func parts(rules protoreflect.Message) (standard, expressions protoreflect.Message) {
	if rules == nil {
		return nil, nil
	}
	standard, expressions = rules.New(), rules.New()
	rules.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if isExpression(fd.Name()) {
			expressions.Set(fd, v)
		} else {
			standard.Set(fd, v)
		}
		return true
	})
	return standard, expressions
}

func sameRules(a, b protoreflect.Message) bool {
	empty := func(m protoreflect.Message) bool { return m == nil || proto.Size(m.Interface()) == 0 }
	if empty(a) || empty(b) {
		return empty(a) == empty(b)
	}
	return proto.Equal(a.Interface(), b.Interface())
}

// constraints finds rules of the reader that the writer does not have in the
// same form. Whether they refuse anything is shown by a witness.
func (c *comparer) constraints(n *node, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) {
	for i := range n.r.Fields().Len() {
		rf := n.r.Fields().Get(i)
		rules := rulesOf(rf)
		if rules == nil {
			continue
		}
		standard, expressions := parts(rules)
		f := fact{kind: constraint, rf: rf, r: rf}
		var mine, theirs protoreflect.Message
		changedKind := true
		if from := arrivals[rf]; len(from) > 0 {
			f.wf, f.w = from[0], from[0]
			mine, theirs = parts(rulesOf(f.wf))
			changedKind = f.wf.Kind() != rf.Kind() || f.wf.HasPresence() != rf.HasPresence() || shapeOf(f.wf) != shapeOf(rf)
		}
		if !sameRules(expressions, theirs) {
			c.expression(rf)
		}
		if changedKind || !sameRules(standard, mine) {
			n.add(f)
		}
	}
	c.wholeConstraints(n)
}

// wholeConstraints compares rules about a oneof or a whole message.
func (c *comparer) wholeConstraints(n *node) {
	if rules := rulesOf(n.r); rules != nil && !sameRules(rules, rulesOf(n.w)) {
		c.expression(n.r)
	}
	for i := range n.r.Oneofs().Len() {
		od := n.r.Oneofs().Get(i)
		rules := rulesOf(od)
		if rules == nil {
			continue
		}
		var w protoreflect.Descriptor
		if mine := n.w.Oneofs().ByName(od.Name()); mine != nil {
			if w = mine; sameRules(rules, rulesOf(mine)) {
				continue
			}
		}
		n.add(fact{kind: constraint, r: od, w: w})
	}
}

// expression notes a CEL rule that changed: it is told, not judged.
func (c *comparer) expression(d protoreflect.Descriptor) {
	if !slices.Contains(c.expressions, d) {
		c.expressions = append(c.expressions, d)
	}
}

// proveConstraint looks for a message that the writer's rules allow and the
// reader's refuse.
func (c codec) proveConstraint(f *fact) *witness {
	writer, werr := c.writer.validators.get()
	reader, rerr := c.reader.validators.get()
	if werr != nil || rerr != nil {
		return nil
	}
	for _, m := range c.constrained(f) {
		data, err := c.write(m)
		if err != nil || f.wf != nil && violation(writer.Validate(m), f.wf) != "" || f.wf == nil && f.w != nil && violation(writer.Validate(m), f.w) != "" {
			continue
		}
		self := codec{c.encoding, c.profile, c.writer, c.writer, c.budget}
		if back, err := self.read(data, m.Descriptor(), true); err != nil || len(self.observe(m, back)) > 0 {
			continue
		}
		got, err := c.read(data, f.in.r, true)
		if err != nil {
			continue
		}
		if text := violation(reader.Validate(got), f.r); text != "" {
			return &witness{effect: Fails, message: m, bytes: data, outcome: "refused by validation: " + text}
		}
	}
	return nil
}

// violation gives the standard rule by which a field or oneof is refused.
func violation(err error, d protoreflect.Descriptor) string {
	var refused *protovalidate.ValidationError
	if !errors.As(err, &refused) {
		return ""
	}
	for _, v := range refused.Violations {
		path, rule := v.Proto.GetField().GetElements(), v.Proto.GetRule().GetElements()
		if len(path) == 0 || protoreflect.Name(path[0].GetFieldName()) != d.Name() {
			continue
		}
		expression := false
		for _, e := range rule {
			expression = expression || isExpression(protoreflect.Name(e.GetFieldName()))
		}
		if expression {
			continue
		}
		return fmt.Sprintf("%s (%s)", v, v.Proto.GetRuleId())
	}
	return ""
}

// constrained lists messages at the edges of what the rules of both sides say.
func (c codec) constrained(f *fact) []*dynamicpb.Message {
	s := sampler{u: c.writer, budget: c.budget, payload: f.in.w.FullName()}
	out := []*dynamicpb.Message{s.base(f)}
	if f.wf == nil {
		return out
	}
	var edge edges
	edge.collect(rulesOf(f.wf))
	edge.collect(rulesOf(f.rf))
	values := s.values(dynamicpb.NewMessage(f.in.w), f.wf, 2)
	values = append(values, edge.values(s, f)...)
	return append(out, c.each(f, s, values)...)
}

// edges are the constants of rules.
type edges struct {
	numbers []float64
	texts   []string
}

// edgeLimit bounds the length of a text made for a rule about lengths.
const edgeLimit = 4096

func (e *edges) collect(m protoreflect.Message) {
	if m == nil {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isExpression(fd.Name()), fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				e.one(fd, v.List().Get(i))
			}
		default:
			e.one(fd, v)
		}
		return true
	})
}

func (e *edges) one(fd protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case fd.Message() != nil:
		e.collect(v.Message())
	case isText(fd.Kind()):
		e.texts = append(e.texts, string(textBytes(v)))
	default:
		if r := numberOf(v); r != nil {
			n, _ := r.Float64()
			e.numbers = append(e.numbers, n-1, n, n+1)
		}
	}
}

// values makes field values of the constants: the numbers themselves, texts
// and lists of these lengths, texts as they are.
func (e *edges) values(s sampler, f *fact) []protoreflect.Value {
	var elements, out []protoreflect.Value
	we := elementOf(f.wf)
	for _, n := range e.numbers {
		if v, ok := numberValue(we.Kind(), n); ok {
			elements = append(elements, v)
		}
		if n >= 0 && n <= edgeLimit && isText(we.Kind()) {
			elements = append(elements, textValue(we.Kind(), strings.Repeat("a", int(n))))
		}
		if n > 0 && n <= 256 && f.wf.IsList() {
			out = append(out, s.repeated(f, int(n)))
		}
	}
	if isText(we.Kind()) {
		for _, text := range append(e.texts, "a@example.com", "example.com", "https://example.com/", "127.0.0.1", "3f2504e0-4f89-41d3-9a0c-0305e82c3301") {
			elements = append(elements, textValue(we.Kind(), text), textValue(we.Kind(), "x"+text))
		}
	}
	for _, v := range elements {
		out = append(out, s.holding(f.in.w, f.wf, v)...)
	}
	return out
}

// repeated is a list of n elements that differ where they can.
func (s sampler) repeated(f *fact, n int) protoreflect.Value {
	v := dynamicpb.NewMessage(f.in.w).NewField(f.wf)
	elements := s.elements(f.wf, 1)
	for i := range n {
		v.List().Append(elements[i%len(elements)])
	}
	return v
}

func textValue(k protoreflect.Kind, s string) protoreflect.Value {
	if k == protoreflect.BytesKind {
		return protoreflect.ValueOfBytes([]byte(s))
	}
	return protoreflect.ValueOfString(s)
}

// numberValue is n as a kind, where the kind can hold it.
func numberValue(k protoreflect.Kind, n float64) (protoreflect.Value, bool) {
	fits := func(lo, hi float64) bool { return n >= lo && n <= hi && n == math.Trunc(n) }
	switch k {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n)), fits(math.MinInt32, math.MaxInt32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(n)), fits(-1<<62, 1<<62)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n)), fits(0, math.MaxUint32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n)), fits(0, 1<<63)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n)), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(n), true
	default:
		return protoreflect.Value{}, false
	}
}
