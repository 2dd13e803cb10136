package compat

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// witness is a message that shows a fault: it passes writer to writer and
// shows the effect writer to reader.
type witness struct {
	effect  Effect
	message *dynamicpb.Message
	bytes   []byte
	outcome string
}

// prove runs candidates until one shows the first of the effects that any of
// them shows. Without one the fact has no effect: nil. Required fields that
// the reader refuses would hide what the fact is about: they get other values.
func (c codec) prove(f *fact, effects []Effect) *witness {
	if f.kind == constraint {
		return c.proveConstraint(f)
	}
	variants := 1
	if f.in.w.RequiredNumbers().Len() > 0 {
		variants = maxVariants
	}
	for variant := range variants {
		if w := c.proveWith(f, effects, variant); w != nil {
			return w
		}
	}
	return nil
}

// maxVariants is how many values of required fields are tried: every one that
// scalars lists.
const maxVariants = 16

func (c codec) proveWith(f *fact, effects []Effect, variant int) *witness {
	best := len(effects)
	var found *witness
	for _, m := range c.candidates(f, variant) {
		w := c.run(f, m, effects[:best])
		if w == nil {
			continue
		}
		found, best = w, slices.Index(effects, w.effect)
		if best == 0 {
			break
		}
	}
	return found
}

// run writes one candidate and reads it on both sides.
func (c codec) run(f *fact, m *dynamicpb.Message, effects []Effect) *witness {
	if !c.budget.spend(c.proofSteps(f), f.in.w) {
		return nil
	}
	data, err := c.write(m)
	if err != nil {
		return nil // a writer could not have written it
	}
	self := codec{c.encoding, c.profile, c.writer, c.writer, c.budget}
	back, err := self.read(data, m.Descriptor(), false)
	if err != nil || len(self.observe(m, back)) > 0 {
		return nil
	}
	got, err := c.read(data, f.in.r, f.kind != fieldRequired)
	if err != nil {
		return c.refused(f, m, data, effects, err)
	}
	for _, e := range effects {
		for _, o := range c.observe(m, got) {
			if o.effect == e && o.in == f.in.r && (o.field == f.wf || slices.Contains(f.group, o.field)) {
				return &witness{effect: e, message: m, bytes: data, outcome: outcomeText(o)}
			}
		}
	}
	if f.kind == fieldType || f.kind == fieldShape { // what one message parses as may lack what another requires
		if _, err := c.read(data, f.in.r, false); err != nil {
			return c.refused(f, m, data, effects, err)
		}
	}
	return nil
}

// refused is the witness that a message makes if the reader refuses it for
// what the fact is about.
func (c codec) refused(f *fact, m *dynamicpb.Message, data []byte, effects []Effect, err error) *witness {
	_, partly := c.read(data, f.in.r, true)
	if !slices.Contains(effects, Fails) {
		return nil
	}
	if !c.blames(f, m, partly != nil) {
		if err = c.alone(f, m); partly == nil || err == nil {
			return nil
		}
	}
	return &witness{effect: Fails, message: m, bytes: data, outcome: "refused: " + err.Error()}
}

// blames says that the message is refused because of what the fact is about:
// without it, it is read; partial as in read.
func (c codec) blames(f *fact, m *dynamicpb.Message, partial bool) bool {
	if f.kind == fieldRequired || f.kind == messageForm {
		return true
	}
	without := dynamicpb.NewMessage(m.Descriptor())
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd != f.wf && !slices.Contains(f.group, fd) {
			without.Set(fd, v)
		}
		return true
	})
	data, err := c.write(without)
	if err != nil {
		return false
	}
	_, err = c.read(data, f.in.r, partial)
	return err == nil
}

// alone is why the reader refuses what the fact is about with nothing beside
// it, not even what the writer requires: of two required fields that the reader
// refuses, neither is to blame while the other is there. Nil if it does not.
func (c codec) alone(f *fact, m *dynamicpb.Message) error {
	only, none := dynamicpb.NewMessage(m.Descriptor()), dynamicpb.NewMessage(m.Descriptor())
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd == f.wf || slices.Contains(f.group, fd) {
			only.Set(fd, v)
		}
		return true
	})
	data, err := c.write(none)
	if err != nil {
		return nil
	}
	if _, err = c.read(data, f.in.r, true); err != nil {
		return nil // refused whatever is in it
	}
	if data, err = c.write(only); err != nil {
		return nil
	}
	_, err = c.read(data, f.in.r, true)
	return err
}

func outcomeText(o observation) string {
	switch o.effect {
	case Drop:
		return o.wrote + " → " + o.reads
	case Fails:
		return "packed " + o.wrote + ", the reader " + o.reads
	default:
		return "wrote " + o.wrote + ", reads " + o.reads
	}
}

// candidates lists messages that may show the fault, ordinary ones first.
func (c codec) candidates(f *fact, variant int) []*dynamicpb.Message {
	s := sampler{u: c.writer, budget: c.budget, payload: f.in.w.FullName(), variant: variant}
	switch f.kind {
	case fieldRequired:
		return c.omitting(f, s)
	case messageForm:
		return s.wholes(f.in.w, f.in.r)
	case payloadMissing:
		return c.each(f, s, s.packing(f))
	case fieldDefault:
		return []*dynamicpb.Message{s.base(f)}
	case fieldPresence:
		return c.each(f, s, []protoreflect.Value{zeroOf(f.wf)})
	case fieldUTF8:
		return c.each(f, s, s.badText(f))
	case enumUnknown, enumRenumbered, enumRenamed, enumAlias, enumClosed:
		return c.each(f, s, s.holding(f.in.w, f.wf, protoreflect.ValueOfEnum(f.number)))
	case oneofJoined, keyCollision:
		m := s.base(f)
		for _, fd := range f.group[:2] {
			values := s.values(m, fd, 1)
			if len(values) == 0 {
				return nil
			}
			m.Set(fd, values[0])
		}
		return []*dynamicpb.Message{m}
	case fieldsSwapped:
		back := *f
		back.wf = f.group[1]
		return append(c.each(f, s, s.values(dynamicpb.NewMessage(f.in.w), f.wf, 2)), c.each(&back, s, s.values(dynamicpb.NewMessage(f.in.w), back.wf, 2))...)
	default:
		if f.rf != nil && opaquePair(f.wf, f.rf) {
			s.each = manyInner
		}
		values := s.values(dynamicpb.NewMessage(f.in.w), f.wf, 2)
		if we := elementOf(f.wf).Enum(); we != nil && !we.IsClosed() && f.rf != nil {
			if re := elementOf(f.rf).Enum(); re != nil {
				values = append(values, s.holding(f.in.w, f.wf, protoreflect.ValueOfEnum(unlistedNumber(we, re)))...)
			}
		}
		out := c.each(f, s, values)
		if f.json && f.rf != nil && specialPair(f.wf, f.rf) {
			out = append(out, s.held(f)...)
		}
		return out
	}
}

func (s sampler) base(f *fact) *dynamicpb.Message {
	m := dynamicpb.NewMessage(f.in.w)
	s.fill(m, sampleDepth)
	return m
}

// each puts each value into a message of its own.
func (c codec) each(f *fact, s sampler, values []protoreflect.Value) []*dynamicpb.Message {
	out := make([]*dynamicpb.Message, len(values))
	for i, v := range values {
		out[i] = s.base(f)
		out[i].Set(f.wf, v)
	}
	return out
}

// omitting leaves out the required field, and sets what else the reader
// requires and the writer has.
func (c codec) omitting(f *fact, s sampler) []*dynamicpb.Message {
	m := s.base(f)
	arrivals := make(map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor)
	for _, wf := range c.writer.fields(f.in.w) {
		at := place(c.writer, c.reader, wf, f.in.r, f.json)
		arrivals[at.peer] = append(arrivals[at.peer], wf)
	}
	numbers := f.in.r.RequiredNumbers()
	for i := range numbers.Len() {
		rf := f.in.r.Fields().ByNumber(numbers.Get(i))
		if rf == f.rf {
			continue
		}
		for _, wf := range arrivals[rf] {
			if wf != f.wf && !m.Has(wf) {
				if values := s.values(m, wf, 1); len(values) > 0 {
					m.Set(wf, values[0])
				}
			}
		}
	}
	return []*dynamicpb.Message{m}
}

func zeroOf(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(0)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{})
	}
	for _, v := range scalars(fd) {
		if isZero(v) {
			return v
		}
	}
	return fd.Default()
}

// badText is a field that holds bytes that are not UTF-8, where they are not
// checked.
func (s sampler) badText(f *fact) []protoreflect.Value {
	bad := protoreflect.ValueOfString("\xff")
	m := dynamicpb.NewMessage(f.in.w)
	if !f.wf.IsMap() {
		return s.holding(f.in.w, f.wf, bad)
	}
	var out []protoreflect.Value
	if key := f.wf.MapKey(); key.Kind() == protoreflect.StringKind {
		v := m.NewField(f.wf)
		v.Map().Set(bad.MapKey(), s.elements(f.wf.MapValue(), 1)[0])
		out = append(out, v)
	}
	if f.wf.MapValue().Kind() == protoreflect.StringKind {
		v := m.NewField(f.wf)
		v.Map().Set(scalars(f.wf.MapKey())[0].MapKey(), bad)
		out = append(out, v)
	}
	return out
}

// holding is a field that holds one element.
func (s sampler) holding(md protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor, element protoreflect.Value) []protoreflect.Value {
	v := dynamicpb.NewMessage(md).NewField(fd)
	switch shapeOf(fd) {
	case list:
		v.List().Append(element)
		return []protoreflect.Value{v}
	case mapping:
		v.Map().Set(scalars(fd.MapKey())[0].MapKey(), element)
		return []protoreflect.Value{v}
	default:
		return []protoreflect.Value{element}
	}
}
