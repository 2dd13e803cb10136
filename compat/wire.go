package compat

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shape is how many values a field holds.
type shape int

const (
	single shape = iota
	list
	mapping
)

func shapeOf(fd protoreflect.FieldDescriptor) shape {
	switch {
	case fd.IsMap():
		return mapping
	case fd.IsList():
		return list
	default:
		return single
	}
}

// elementWire is the wire type of one value of fd.
func elementWire(fd protoreflect.FieldDescriptor) protowire.Type {
	switch fd.Kind() {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	default:
		return protowire.VarintType
	}
}

// writtenWire is the wire type under which a writer puts fd.
func writtenWire(fd protoreflect.FieldDescriptor) protowire.Type {
	if fd.IsPacked() {
		return protowire.BytesType
	}
	return elementWire(fd)
}

// accepts says whether a reader of fd takes this wire type at all; what it
// does not take it keeps as an unknown field.
func accepts(fd protoreflect.FieldDescriptor, t protowire.Type) bool {
	if elementWire(fd) == t {
		return true
	}
	return t == protowire.BytesType && fd.IsList() && isNumeric(fd)
}

// isNumeric says that fd's values can be packed.
func isNumeric(fd protoreflect.FieldDescriptor) bool {
	switch elementWire(fd) {
	case protowire.BytesType, protowire.StartGroupType:
		return false
	default:
		return true
	}
}

func isMessage(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil
}

func isZigzag(k protoreflect.Kind) bool {
	return k == protoreflect.Sint32Kind || k == protoreflect.Sint64Kind
}

func isFloat(k protoreflect.Kind) bool {
	return k == protoreflect.FloatKind || k == protoreflect.DoubleKind
}

func isText(k protoreflect.Kind) bool {
	return k == protoreflect.StringKind || k == protoreflect.BytesKind
}

// domain is the set of whole numbers a field can hold: lo <= 0 <= hi.
type domain struct {
	lo int64
	hi uint64
}

func (d domain) within(other domain) bool { return d.lo >= other.lo && d.hi <= other.hi }

// domainOf is what a writer may put into fd; not for floats and texts. A
// writer sets an enum only to numbers that its own schema lists (the one rule
// about other numbers is ENUM_CLOSED).
func domainOf(fd protoreflect.FieldDescriptor) domain {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return domain{0, 1}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return domain{math.MinInt32, math.MaxInt32}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return domain{math.MinInt64, math.MaxInt64}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return domain{0, math.MaxUint32}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return domain{0, math.MaxUint64}
	case protoreflect.EnumKind:
		var d domain
		values := fd.Enum().Values()
		for i := range values.Len() {
			n := int64(values.Get(i).Number())
			d.lo = min(d.lo, n)
			if n > 0 {
				d.hi = max(d.hi, uint64(n))
			}
		}
		return d
	default:
		return domain{}
	}
}

// readable is what a reader of fd can hold.
func readable(fd protoreflect.FieldDescriptor) domain {
	if fd.Kind() == protoreflect.EnumKind {
		return domain{math.MinInt32, math.MaxInt32}
	}
	return domainOf(fd)
}
