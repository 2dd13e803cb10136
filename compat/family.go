package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// family classes a change of type by what it is to a person. It is symmetric:
// the change and its reverse are of one family, and so of one rule.
type family int

// The families, as the rules for types name them.
const (
	sameType      family = iota
	messageCoding        // delimited and length-prefixed
	anyMessage           // Any and something else
	structMessage        // Struct, Value or ListValue and something else
	wrapperScalar        // a wrapper and something else
	wellKnown            // another well-known type and something else
	messageText          // message and bytes or string
	stringBytes          // string and bytes
	boolNumber           // bool and another varint
	enumNumber           // enum and an integer of varints
	intCoding            // plain and zigzag varints
	intRange             // integers of one encoding, other range
	fixedSign            // fixed and sfixed of one width
	fixedFloat           // fixed and floating point of one width
	floatWidth           // float and double
	otherWire            // different wire types, nothing above
	listShape            // single and repeated
	mapShape             // a map and something else
)

// familyOf classes the change from the type of one value to that of another.
func familyOf(a, b protoreflect.FieldDescriptor) family {
	am, bm := a.Message(), b.Message()
	switch {
	case am != nil && bm != nil:
		return messageFamily(a, b)
	case am != nil || bm != nil:
		return mixedFamily(a, b)
	case a.Kind() == b.Kind():
		return nullFamily(a, b)
	case isText(a.Kind()) && isText(b.Kind()):
		return stringBytes
	case isFloat(a.Kind()) && isFloat(b.Kind()):
		return floatWidth
	case elementWire(a) != elementWire(b):
		return otherWire
	default:
		return numberFamily(a.Kind(), b.Kind())
	}
}

func nullFamily(a, b protoreflect.FieldDescriptor) family {
	if isNull(a) != isNull(b) {
		return wellKnown
	}
	return sameType
}

func messageFamily(a, b protoreflect.FieldDescriptor) family {
	an, bn := a.Message().FullName(), b.Message().FullName()
	switch {
	case a.Kind() != b.Kind():
		return messageCoding
	case an == bn || !jsonSpecials[an] && !jsonSpecials[bn]:
		return sameType // compared by what is in them
	case an == anyName || bn == anyName:
		return anyMessage
	case dynamicTypes[an] || dynamicTypes[bn]:
		return structMessage
	case wrapperKinds[an] || wrapperKinds[bn]:
		return wrapperScalar
	default:
		return wellKnown
	}
}

func mixedFamily(a, b protoreflect.FieldDescriptor) family {
	message, other := a, b
	if message.Message() == nil {
		message, other = b, a
	}
	name := message.Message().FullName()
	switch {
	case name == anyName:
		return anyMessage
	case dynamicTypes[name]:
		return structMessage
	case wrapperKinds[name]:
		return wrapperScalar
	case jsonSpecials[name]:
		return wellKnown
	case isText(other.Kind()):
		return messageText
	default:
		return otherWire
	}
}

func numberFamily(a, b protoreflect.Kind) family {
	either := func(k protoreflect.Kind) bool { return a == k || b == k }
	switch {
	case either(protoreflect.BoolKind):
		return boolNumber
	case either(protoreflect.EnumKind):
		return enumNumber
	case isZigzag(a) != isZigzag(b):
		return intCoding
	case isFloat(a) || isFloat(b):
		return fixedFloat
	case either(protoreflect.Fixed32Kind) || either(protoreflect.Fixed64Kind):
		return fixedSign
	default:
		return intRange
	}
}

const anyName = protoreflect.FullName("google.protobuf.Any")

var dynamicTypes = map[protoreflect.FullName]bool{
	"google.protobuf.Struct": true, "google.protobuf.Value": true, "google.protobuf.ListValue": true,
}

var wrapperKinds = map[protoreflect.FullName]bool{
	"google.protobuf.BoolValue": true, "google.protobuf.Int32Value": true, "google.protobuf.Int64Value": true,
	"google.protobuf.UInt32Value": true, "google.protobuf.UInt64Value": true, "google.protobuf.FloatValue": true,
	"google.protobuf.DoubleValue": true, "google.protobuf.StringValue": true, "google.protobuf.BytesValue": true,
}
