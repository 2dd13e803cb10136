package compat

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// filler sets random fields to random values.
type filler struct {
	g *schemaMaker
	codec
	s sampler
}

func (fl *filler) fill(m protoreflect.Message, rd protoreflect.MessageDescriptor, depth int) {
	if isJSONSpecial(m.Descriptor()) {
		fl.special(m, depth)
		return
	}
	for _, fd := range fl.writer.fields(m.Descriptor()) {
		if fd.Cardinality() != protoreflect.Required && !fl.g.oneIn(2) {
			continue
		}
		if in := fd.ContainingOneof(); in != nil && m.WhichOneof(in) != nil {
			continue
		}
		if fd.Message() != nil && (depth <= 0 && fd.Cardinality() != protoreflect.Required || depth < -4) {
			continue
		}
		fl.set(m, fd, rd, depth)
	}
	fl.s.fill(m, sampleDepth)
}

// special makes a well-known type: one that ProtoJSON takes, mostly.
func (fl *filler) special(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	name := m.Descriptor().FullName()
	switch {
	case wrapperKinds[name]:
		if !fl.g.oneIn(5) {
			m.Set(fields.ByNumber(1), pick(fl.g, scalars(fields.ByNumber(1))))
		}
	case isTime(m.Descriptor()):
		if fl.encoding == Binary && fl.g.oneIn(2) {
			m.Set(fields.ByNumber(1), pick(fl.g, scalars(fields.ByNumber(1))))
			return
		}
		m.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(pick(fl.g, []int64{0, 1, 1_767_322_800, 315_576_000_000, 253_402_300_799})))
		m.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(pick(fl.g, []int32{0, 1, 500_000_000, 999_999_999})))
	case name == "google.protobuf.FieldMask":
		for range fl.g.IntN(3) {
			m.Mutable(fields.ByNumber(1)).List().Append(protoreflect.ValueOfString(pick(fl.g, []string{"a", "a_b", "x.y", "foo_bar.baz"})))
		}
	case name == anyName:
		fl.anything(m)
	default:
		fl.dynamic(m, depth)
	}
}

// anything packs what every schema has, or nothing: what else an Any that no
// manifest speaks of holds, is not compared.
func (fl *filler) anything(m protoreflect.Message) {
	md := fl.writer.message("google.protobuf.Empty")
	if fl.g.oneIn(2) {
		md = fl.writer.message("google.protobuf.Duration")
	}
	if md == nil || fl.g.oneIn(3) {
		return
	}
	if holder := fl.s.pack(m.Descriptor(), dynamicpb.NewMessage(md)); holder != nil {
		holder.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool { m.Set(fd, v); return true })
	}
}

// dynamic makes a Struct, Value or ListValue; keys are names that fields of
// random schemas have.
func (fl *filler) dynamic(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	inner := func(fd protoreflect.FieldDescriptor) protoreflect.Value {
		v := dynamicpb.NewMessage(fd.Message())
		fl.dynamic(v, depth-1)
		return protoreflect.ValueOfMessage(v)
	}
	switch m.Descriptor().Name() {
	case "Struct":
		entries := m.Mutable(fields.ByNumber(1)).Map()
		for range fl.g.IntN(3) {
			key := fmt.Sprintf("f%d", 1+fl.g.IntN(fl.g.fresh+1))
			entries.Set(protoreflect.ValueOfString(key).MapKey(), inner(fields.ByNumber(1).MapValue()))
		}
	case "ListValue":
		for range fl.g.IntN(3) {
			m.Mutable(fields.ByNumber(1)).List().Append(inner(fields.ByNumber(1)))
		}
	default:
		kind := fields.Get(fl.g.IntN(fields.Len()))
		if isMessage(kind) && depth <= 0 {
			kind = fields.ByNumber(3)
		}
		if isMessage(kind) {
			m.Set(kind, inner(kind))
			return
		}
		m.Set(kind, pick(fl.g, scalars(kind)))
	}
}

func (fl *filler) set(m protoreflect.Message, fd protoreflect.FieldDescriptor, rd protoreflect.MessageDescriptor, depth int) {
	var peer protoreflect.FieldDescriptor
	if rd != nil {
		peer = place(fl.writer, fl.reader, fd, rd, fl.encoding.isJSON()).peer
	}
	switch shapeOf(fd) {
	case list:
		v := m.NewField(fd)
		for range fl.g.IntN(4) {
			v.List().Append(fl.element(fd, peer, depth))
		}
		m.Set(fd, v)
	case mapping:
		v := m.NewField(fd)
		var inner protoreflect.FieldDescriptor
		if peer != nil && peer.IsMap() {
			inner = peer.MapValue()
		}
		for range fl.g.IntN(4) {
			v.Map().Set(fl.element(fd.MapKey(), nil, depth).MapKey(), fl.element(fd.MapValue(), inner, depth))
		}
		m.Set(fd, v)
	default:
		m.Set(fd, fl.element(fd, peer, depth))
	}
}

func (fl *filler) element(fd, peer protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	if types := fl.writer.payloads[fd.FullName()]; len(types) > 0 && depth > 0 && !fl.g.oneIn(4) {
		payload := dynamicpb.NewMessage(fl.writer.message(pick(fl.g, types)))
		fl.fill(payload, nil, depth-1)
		if holder := fl.s.pack(fd.Message(), payload); holder != nil {
			return protoreflect.ValueOfMessage(holder)
		}
	}
	if fd.Message() != nil {
		v := dynamicpb.NewMessage(fd.Message())
		var rd protoreflect.MessageDescriptor
		if peer != nil {
			rd = peer.Message()
		}
		fl.fill(v, rd, depth-1)
		return protoreflect.ValueOfMessage(v)
	}
	if fd.Enum() != nil && !isNull(fd) && !fd.Enum().IsClosed() && peer != nil && peer.Enum() != nil && fl.g.oneIn(6) {
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(10 + fl.g.IntN(3)))
	}
	return pick(fl.g, scalars(fd))
}
