package compat

import (
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// sampleDepth bounds how deep samples fill nested messages; recursive types
// would never end.
const sampleDepth = 4

// scalars lists values of one element at which encodings differ: boundaries of
// widths and signs, text that reads as something else, bytes that are no text.
// The first is an ordinary one that is not zero, where the type has one.
func scalars(fd protoreflect.FieldDescriptor) []protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return []protoreflect.Value{protoreflect.ValueOfBool(true), protoreflect.ValueOfBool(false)}
	case protoreflect.EnumKind:
		return enumScalars(fd.Enum())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return valuesOf(protoreflect.ValueOfInt32, 1, 2, -1, 0, 64, 300, math.MaxInt32, math.MinInt32, 1<<24+1)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return valuesOf(protoreflect.ValueOfInt64, 1, 2, -1, 0, 300, 1<<32+1, 1<<31, -1<<40, 1<<53+1, math.MaxInt64, math.MinInt64, 1<<40)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return valuesOf(protoreflect.ValueOfUint32, 1, 2, 0, 300, 1<<31, math.MaxUint32, 1<<24+1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return valuesOf(protoreflect.ValueOfUint64, 1, 2, 0, 300, 1<<32+1, 1<<31, 1<<63, 1<<53+1, math.MaxUint64, 1<<40)
	case protoreflect.FloatKind:
		return valuesOf(protoreflect.ValueOfFloat32, 1.5, 0, 1, -1, 0.1, 1e30, float32(math.NaN()), float32(math.Inf(1)))
	case protoreflect.DoubleKind:
		return valuesOf(protoreflect.ValueOfFloat64, 1.5, 0, 1, -1, 0.1, 1e300, math.NaN(), math.Inf(1))
	case protoreflect.StringKind:
		return stringScalars(fd)
	default:
		return valuesOf(protoreflect.ValueOfBytes, []byte("x"), []byte{0xff}, []byte{}, []byte{8}, []byte("abcd"), []byte{0xdb, 0x4d, 0x34})
	}
}

func valuesOf[T any](of func(T) protoreflect.Value, values ...T) []protoreflect.Value {
	out := make([]protoreflect.Value, len(values))
	for i, v := range values {
		out[i] = of(v)
	}
	return out
}

func stringScalars(fd protoreflect.FieldDescriptor) []protoreflect.Value {
	out := valuesOf(protoreflect.ValueOfString, "x", "", "abcd", "7", "1", "true", "\x08", "hello", "é", "2026-01-02T03:04:05Z", "1.5s", "a,b")
	if !checksUTF8(fd) {
		out = append(out, protoreflect.ValueOfString("\xff"))
	}
	return out
}

// enumScalars lists the numbers of an enum, those that are not zero first.
func enumScalars(ed protoreflect.EnumDescriptor) []protoreflect.Value {
	var out, zero []protoreflect.Value
	for i := range min(ed.Values().Len(), 32) {
		n := ed.Values().Get(i).Number()
		if n == 0 {
			zero = append(zero, protoreflect.ValueOfEnum(n))
			continue
		}
		out = append(out, protoreflect.ValueOfEnum(n))
	}
	return append(out, zero...)
}

// sampler makes messages of one version. Anys hold an empty message of the
// payload type, which the version must know.
type sampler struct {
	u       *universe
	budget  *budget // nil: without a bound
	payload protoreflect.FullName
	variant int // which value required fields get
	each    int // how many values of a field of a message are tried; 0: a few
}

// How many values of each field of a message are tried: many where nothing
// else looks into it.
const (
	fewInner  = 6
	manyInner = 16
)

// fill sets what must be set for the message to be valid: required fields, and
// what ProtoJSON insists on in well-known types.
func (s sampler) fill(m protoreflect.Message, depth int) {
	if m.Descriptor().FullName() == "google.protobuf.Value" && depth > 0 {
		m.Set(m.Descriptor().Fields().ByName("string_value"), protoreflect.ValueOfString("x"))
		return
	}
	numbers := m.Descriptor().RequiredNumbers()
	for i := range numbers.Len() {
		if !s.budget.spend(2, m.Descriptor()) {
			return // required fields of required fields can be more than there is time for
		}
		fd := m.Descriptor().Fields().ByNumber(numbers.Get(i))
		if !m.Has(fd) && depth > 0 {
			m.Set(fd, s.one(fd, depth-1))
		}
	}
}

// one is a valid value of one element: of a message with nothing set that need
// not be, so that filling ends.
func (s sampler) one(fd protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	if !isMessage(fd) {
		values := scalars(fd)
		return values[s.variant%len(values)]
	}
	v := dynamicpb.NewMessage(fd.Message())
	s.fill(v, depth)
	return protoreflect.ValueOfMessage(v)
}

// typical sets the first field that can be set to something ordinary.
func (s sampler) typical(m protoreflect.Message, depth int) {
	switch m.Descriptor().FullName() {
	case "google.protobuf.Value":
		return // fill has set it
	case anyName:
		m.Set(m.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfString("type.googleapis.com/"+string(s.payload)))
		return
	}
	fields := s.u.fields(m.Descriptor())
	for _, fd := range fields {
		if m.Has(fd) {
			return
		}
	}
	for _, fd := range fields {
		if isMessage(elementOf(fd)) && depth <= 0 {
			continue
		}
		if vs := s.values(m, fd, depth-1); len(vs) > 0 {
			m.Set(fd, vs[0])
			return
		}
	}
}

// values lists values of a whole field: of a list also two elements, of a map
// also two keys that a narrower key would merge.
func (s sampler) values(m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int) []protoreflect.Value {
	switch shapeOf(fd) {
	case list:
		return s.lists(m, fd, depth)
	case mapping:
		return s.maps(m, fd, depth)
	default:
		return s.elements(fd, depth)
	}
}

// elements lists values of one element.
func (s sampler) elements(fd protoreflect.FieldDescriptor, depth int) []protoreflect.Value {
	if !isMessage(fd) {
		return scalars(fd)
	}
	return s.messages(fd.Message(), depth)
}

// messages lists messages of one type.
func (s sampler) messages(md protoreflect.MessageDescriptor, depth int) []protoreflect.Value {
	first := dynamicpb.NewMessage(md)
	s.fill(first, sampleDepth)
	s.typical(first, depth)
	out := []protoreflect.Value{protoreflect.ValueOfMessage(first)}
	empty := dynamicpb.NewMessage(md)
	s.fill(empty, sampleDepth)
	out = append(out, protoreflect.ValueOfMessage(empty))
	if depth <= 0 {
		return out
	}
	fields := s.u.fields(md)
	for _, inner := range fields[:min(len(fields), 24)] {
		values := s.values(empty, inner, depth-1)
		for _, v := range values[:min(len(values), max(s.each, fewInner))] {
			one := dynamicpb.NewMessage(md)
			s.fill(one, sampleDepth)
			one.Set(inner, v)
			out = append(out, protoreflect.ValueOfMessage(one))
		}
	}
	return out
}

func (s sampler) lists(m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int) []protoreflect.Value {
	elements := s.elements(fd, depth)
	var out []protoreflect.Value
	add := func(values ...protoreflect.Value) {
		v := m.NewField(fd)
		for _, e := range values {
			v.List().Append(e)
		}
		out = append(out, v)
	}
	for _, e := range elements {
		add(e)
	}
	for _, e := range elements[:min(len(elements), 6)] {
		add(elements[0], e)
		add(e, e, elements[0])
	}
	return out
}

func (s sampler) maps(m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int) []protoreflect.Value {
	keys, elements := scalars(fd.MapKey()), s.elements(fd.MapValue(), depth)
	var out []protoreflect.Value
	add := func(v protoreflect.Value, keys ...protoreflect.Value) {
		field := m.NewField(fd)
		for _, k := range keys {
			field.Map().Set(k.MapKey(), v)
		}
		out = append(out, field)
	}
	for _, e := range elements {
		add(e, keys[0])
	}
	for _, k := range keys {
		add(elements[0], k)
	}
	for i, k := range keys {
		for _, other := range keys[i+1:] {
			add(elements[0], k, other)
		}
	}
	return out
}
