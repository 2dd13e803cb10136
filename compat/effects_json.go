package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The effects of changed types in ProtoJSON: a writer chooses a kind of token,
// a reader takes some kinds. Sources: the ProtoJSON mapping of the protobuf
// documentation; what protobuf-go does where that is silent.

// jsonOdd is what can come of well-known types with a JSON form of their own:
// which of it does is found by running them.
var jsonOdd = []Effect{Fails, Value, Loss, Drop, Presence}

// jsonType is the effect of reading wf's tokens as rf, for fields that are not
// both maps.
func jsonType(wf, rf protoreflect.FieldDescriptor, enc Encoding, p Profile) []Effect {
	switch {
	case specialPair(wf, rf):
		return jsonOdd
	case shapeOf(wf) != shapeOf(rf):
		return []Effect{Fails} // an array for a value, or the reverse
	default:
		return jsonElement(wf, rf, enc, p)
	}
}

// token is the form in which ProtoJSON writes a kind.
type token int

const (
	numberToken token = iota // 32-bit integers
	quotedToken              // 64-bit integers
	floatToken
	boolToken
	stringToken
	base64Token
	nameToken // enums
	objectToken
)

func tokenOf(fd protoreflect.FieldDescriptor) token {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return boolToken
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return floatToken
	case protoreflect.StringKind:
		return stringToken
	case protoreflect.BytesKind:
		return base64Token
	case protoreflect.EnumKind:
		return nameToken
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return objectToken
	}
	switch fd.Kind() {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return quotedToken
	default:
		return numberToken
	}
}

// jsonElement is the effect on one value.
func jsonElement(wf, rf protoreflect.FieldDescriptor, enc Encoding, p Profile) []Effect {
	w, r := tokenOf(wf), tokenOf(rf)
	switch {
	case w == objectToken && r == objectToken:
		return nil // compared by what is in them
	case w == objectToken || r == objectToken:
		return []Effect{Fails}
	}
	switch r {
	case boolToken:
		return failsUnless(w == boolToken)
	case stringToken:
		if w == base64Token {
			return []Effect{Value} // base64 text
		}
		return failsUnless(w == stringToken || w == quotedToken || w == nameToken)
	case base64Token:
		return toBytes(w)
	case floatToken:
		return toFloat(wf, rf, w)
	case nameToken:
		return toEnum(wf, rf, w, enc, p)
	default:
		return toInteger(wf, rf, w)
	}
}

func failsUnless(ok bool) []Effect {
	if ok {
		return nil
	}
	return []Effect{Fails}
}

// toBytes: text that is base64 by chance decodes.
func toBytes(w token) []Effect {
	switch w {
	case base64Token:
		return nil
	case stringToken:
		return []Effect{Value, Fails, Loss}
	case quotedToken, nameToken, floatToken: // "Infinity" is base64
		return []Effect{Fails, Value, Loss}
	default:
		return []Effect{Fails}
	}
}

func toFloat(wf, rf protoreflect.FieldDescriptor, w token) []Effect {
	narrow := rf.Kind() == protoreflect.FloatKind
	switch w {
	case floatToken:
		if narrow && wf.Kind() == protoreflect.DoubleKind {
			return []Effect{Fails, Value}
		}
		return nil
	case numberToken:
		if narrow {
			return []Effect{Value} // 24 bits of precision
		}
		return nil
	case quotedToken:
		return []Effect{Value}
	case base64Token:
		return []Effect{Fails, Value}
	default:
		return []Effect{Fails}
	}
}

func toEnum(wf, rf protoreflect.FieldDescriptor, w token, enc Encoding, p Profile) []Effect {
	switch w {
	case nameToken:
		return nil // value by value (facts_enum.go)
	case numberToken:
		closed := p == Spec && rf.Enum().IsClosed()
		if closed || !domainOf(wf).within(readable(rf)) {
			return []Effect{Fails, Semantic}
		}
		return []Effect{Semantic}
	case floatToken:
		return jsonText(enc, []Effect{Fails, Semantic})
	case boolToken:
		return []Effect{Fails}
	default:
		return jsonText(enc, []Effect{Fails, Value, Semantic})
	}
}

// jsonText: a reader that ignores unknown names ignores unknown enum names.
func jsonText(enc Encoding, effects []Effect) []Effect {
	if enc == Lenient {
		return append([]Effect{Loss, Presence}, effects...)
	}
	return effects
}

func toInteger(wf, rf protoreflect.FieldDescriptor, w token) []Effect {
	switch w {
	case numberToken, quotedToken:
		return failsUnless(domainOf(wf).within(domainOf(rf)))
	case base64Token:
		return []Effect{Fails, Value}
	default:
		return []Effect{Fails}
	}
}

// jsonMapKey is the effect of other key types; every key is a JSON string.
func jsonMapKey(wf, rf protoreflect.FieldDescriptor) []Effect {
	wk, rk := wf.MapKey(), rf.MapKey()
	switch {
	case rk.Kind() == protoreflect.StringKind:
		return nil
	case wk.Kind() == protoreflect.StringKind:
		return []Effect{Fails, Value, Loss}
	case wk.Kind() == protoreflect.BoolKind || rk.Kind() == protoreflect.BoolKind:
		return []Effect{Fails}
	default:
		return failsUnless(domainOf(wk).within(domainOf(rk)))
	}
}

// jsonMapValue is the effect of other value types.
func jsonMapValue(wf, rf protoreflect.FieldDescriptor, enc Encoding, p Profile) []Effect {
	if specialPair(wf, rf) {
		return jsonOdd
	}
	return jsonElement(wf.MapValue(), rf.MapValue(), enc, p)
}
