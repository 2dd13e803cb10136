package compat

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// edges are the constants of rules, and the values at which they decide.
type edges struct {
	s        sampler
	fact     *fact
	numbers  []*big.Rat
	counts   []int // of elements or entries
	texts    []string
	patterns []string
	times    []time.Duration // since 1970, or as long
}

// How large a value is made for a rule about lengths.
const (
	textLimit = 1 << 16 // characters
	listLimit = 1 << 12 // elements
	fewValues = 10      // of keys for every value, of elements for every length
)

// formats are texts of the forms that string rules know, and ones that are
// nearly that.
var formats = []string{
	"a@example.com", "example.com", "example.com:80", "https://example.com/", "/x", "127.0.0.1", "::1", "10.0.0.0/8", "10.0.0.1/8",
	"2001:db8::/32", "2001:db8::1/32", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301",
	"01ARZ3NDEKTSV4RRFFQ69G5FAV", "X-Header", "a b", "a_b", "-", "127.0.0.1:80", "[::1]:80", "example.proto", "a.b.c",
}

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
	case fd.Message() != nil && isTime(fd.Message()):
		t := timeOf(v.Message())
		e.times = append(e.times, t, t-1, t+1, t-time.Second, t+time.Second)
	case fd.Message() != nil:
		e.collect(v.Message())
	case fd.Name() == "pattern":
		e.patterns = append(e.patterns, v.String())
	case isText(fd.Kind()):
		e.texts = append(e.texts, string(textBytes(v)))
	case strings.HasSuffix(string(fd.Name()), "_items") || strings.HasSuffix(string(fd.Name()), "_pairs"):
		n := int(min(v.Uint(), listLimit))
		e.counts = append(e.counts, n, n+1, max(n-1, 0))
	default:
		if n := numberOf(v); n != nil {
			one := big.NewRat(1, 1)
			e.numbers = append(e.numbers, n, new(big.Rat).Sub(n, one), new(big.Rat).Add(n, one))
		}
	}
}

func isTime(md protoreflect.MessageDescriptor) bool {
	return md.FullName() == "google.protobuf.Timestamp" || md.FullName() == "google.protobuf.Duration"
}

// timeOf is a Timestamp or a Duration as a number; what a Duration of Go
// cannot hold is cut.
func timeOf(m protoreflect.Message) time.Duration {
	fields := m.Descriptor().Fields()
	seconds := min(max(m.Get(fields.ByNumber(1)).Int(), -math.MaxInt32*4), math.MaxInt32*4)
	return time.Duration(seconds)*time.Second + time.Duration(m.Get(fields.ByNumber(2)).Int())
}

// values makes values of the whole field.
func (e *edges) values() []protoreflect.Value {
	wf := e.fact.wf
	switch shapeOf(wf) {
	case mapping:
		return e.maps()
	case list:
		return e.lists()
	default:
		return e.elements(wf)
	}
}

// elements makes values of one element: the numbers themselves, texts of these
// lengths, texts as they are and nearly, what a wrapper holds.
func (e *edges) elements(fd protoreflect.FieldDescriptor) []protoreflect.Value {
	switch {
	case isMessage(fd):
		return e.messages(fd.Message())
	case isText(fd.Kind()):
		return e.textValues(fd.Kind())
	}
	var out []protoreflect.Value
	for _, n := range e.numbers {
		if v, ok := numberValue(fd.Kind(), n); ok {
			out = append(out, v)
		}
	}
	if fd.Enum() != nil && !fd.Enum().IsClosed() {
		out = append(out, protoreflect.ValueOfEnum(unlistedNumber(fd.Enum(), fd.Enum())))
	}
	return out
}

func (e *edges) textValues(k protoreflect.Kind) []protoreflect.Value {
	var texts []string
	for _, text := range e.texts {
		texts = append(texts, text, "x"+text, text+"x", "x"+text+"x")
	}
	texts = append(texts, formats...)
	at := decisive(e.patterns)
	for _, pattern := range e.patterns {
		texts = append(texts, matching(pattern, at)...)
	}
	for _, n := range append(e.lengths(textLimit), 4, 16) {
		texts = append(texts, strings.Repeat("a", n), strings.Repeat("é", n), strings.Repeat("é", n/2))
	}
	out := make([]protoreflect.Value, len(texts))
	for i, text := range texts {
		out[i] = textValue(k, text)
	}
	return out
}

// lengths are the numbers that can be lengths.
func (e *edges) lengths(limit int64) []int {
	var out []int
	for _, n := range e.numbers {
		if n.IsInt() && n.Num().IsInt64() && n.Num().Int64() >= 0 && n.Num().Int64() <= limit {
			out = append(out, int(n.Num().Int64()))
		}
	}
	return out
}

// messages makes well-known types at the edges.
func (e *edges) messages(md protoreflect.MessageDescriptor) []protoreflect.Value {
	var out []protoreflect.Value
	fill := func(set func(m *dynamicpb.Message, fields protoreflect.FieldDescriptors)) {
		m := dynamicpb.NewMessage(md)
		set(m, md.Fields())
		out = append(out, protoreflect.ValueOfMessage(m))
	}
	switch {
	case isTime(md):
		for _, t := range append(e.times, 0, -time.Hour, math.MaxInt32*4*time.Second) {
			fill(func(m *dynamicpb.Message, fields protoreflect.FieldDescriptors) {
				seconds, nanos := int64(t/time.Second), int32(t%time.Second)
				if nanos < 0 && md.Name() == "Timestamp" {
					seconds, nanos = seconds-1, nanos+int32(time.Second)
				}
				m.Set(fields.ByNumber(1), protoreflect.ValueOfInt64(seconds))
				m.Set(fields.ByNumber(2), protoreflect.ValueOfInt32(nanos))
			})
		}
	case wrapperKinds[md.FullName()]:
		for _, v := range e.elements(md.Fields().ByNumber(1)) {
			fill(func(m *dynamicpb.Message, fields protoreflect.FieldDescriptors) { m.Set(fields.ByNumber(1), v) })
		}
	case md.FullName() == anyName:
		for _, url := range e.texts {
			fill(func(m *dynamicpb.Message, fields protoreflect.FieldDescriptors) {
				m.Set(fields.ByNumber(1), protoreflect.ValueOfString(url))
			})
		}
	case md.FullName() == "google.protobuf.FieldMask":
		for _, path := range append(e.texts, "x") {
			fill(func(m *dynamicpb.Message, fields protoreflect.FieldDescriptors) {
				m.Mutable(fields.ByNumber(1)).List().Append(protoreflect.ValueOfString(path))
			})
		}
	}
	return out
}

// lists makes lists of one element, of so many as rules say: equal ones, and
// such as differ.
func (e *edges) lists() []protoreflect.Value {
	wf := e.fact.wf
	var out []protoreflect.Value
	add := func(n int, element func(i int) protoreflect.Value) {
		v := dynamicpb.NewMessage(e.fact.in.w).NewField(wf)
		for i := range n {
			v.List().Append(element(i))
		}
		out = append(out, v)
	}
	pool := e.elements(wf)
	for _, element := range pool {
		add(1, func(int) protoreflect.Value { return element })
	}
	pool = append(pool[:min(len(pool), fewValues)], e.s.elements(wf, 1)...)
	for _, n := range e.counts {
		for _, element := range pool[:min(len(pool), fewValues)] {
			add(n, func(int) protoreflect.Value { return element })
		}
		for _, different := range e.different(wf) {
			add(n, different)
		}
	}
	return out
}

// different makes as many elements as are wanted, no two the same, where the
// type has that many; texts of each length.
func (e *edges) different(fd protoreflect.FieldDescriptor) []func(i int) protoreflect.Value {
	if isText(fd.Kind()) {
		var out []func(i int) protoreflect.Value
		for _, width := range append(e.lengths(64), 1) {
			out = append(out, func(i int) protoreflect.Value {
				number := fmt.Sprint(i)
				return textValue(fd.Kind(), strings.Repeat("a", max(0, width-len(number)))+number)
			})
		}
		return out
	}
	if _, ok := numberValue(fd.Kind(), new(big.Rat)); ok && fd.Enum() == nil {
		return []func(i int) protoreflect.Value{func(i int) protoreflect.Value {
			v, _ := numberValue(fd.Kind(), big.NewRat(int64(i+1), 1))
			return v
		}}
	}
	elements := e.s.elements(fd, 1)
	return []func(i int) protoreflect.Value{func(i int) protoreflect.Value { return elements[i%len(elements)] }}
}

// maps makes maps of one entry, with each key and each value, and of so many
// as rules say.
func (e *edges) maps() []protoreflect.Value {
	wf := e.fact.wf
	keys := append(e.elements(wf.MapKey()), scalars(wf.MapKey())...)
	values := append(e.elements(wf.MapValue()), e.s.elements(wf.MapValue(), 1)...)
	var out []protoreflect.Value
	add := func(n int, key func(i int) protoreflect.Value, value protoreflect.Value) {
		v := dynamicpb.NewMessage(e.fact.in.w).NewField(wf)
		for i := range n {
			v.Map().Set(key(i).MapKey(), value)
		}
		out = append(out, v)
	}
	for i, k := range keys {
		for j, v := range values {
			if i < fewValues || j < fewValues {
				add(1, func(int) protoreflect.Value { return k }, v)
			}
		}
	}
	for _, n := range e.counts {
		for _, v := range values[:min(len(values), fewValues)] {
			for _, different := range e.different(wf.MapKey()) {
				add(n, different, v)
			}
		}
	}
	return out
}

func textValue(k protoreflect.Kind, s string) protoreflect.Value {
	if k == protoreflect.BytesKind {
		return protoreflect.ValueOfBytes([]byte(s))
	}
	return protoreflect.ValueOfString(s)
}

// numberValue is n as a kind, where the kind can hold it.
func numberValue(k protoreflect.Kind, n *big.Rat) (protoreflect.Value, bool) {
	switch k {
	case protoreflect.FloatKind:
		f, _ := n.Float32()
		return protoreflect.ValueOfFloat32(f), true
	case protoreflect.DoubleKind:
		f, _ := n.Float64()
		return protoreflect.ValueOfFloat64(f), true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n.Num().Uint64()), n.IsInt() && n.Num().IsUint64()
	}
	if !n.IsInt() || !n.Num().IsInt64() {
		return protoreflect.Value{}, false
	}
	i := n.Num().Int64()
	switch k {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(i)), i >= math.MinInt32 && i <= math.MaxInt32
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(i)), i >= math.MinInt32 && i <= math.MaxInt32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(i), true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(i)), i >= 0 && i <= math.MaxUint32
	default:
		return protoreflect.Value{}, false
	}
}
