package compat

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The effects of changed types in binary, the headline first. The tables of
// the encoding guide, written as conditions: wire type, zigzag, range.

// garbage is what comes of bytes of one kind parsed as another: mostly an
// error; where the bytes happen to parse, something that nobody wrote.
var garbage = []Effect{Fails, Value, Loss, Presence}

// binaryType is the effect of reading wf's bytes as rf, for fields that are
// not both maps.
func binaryType(wf, rf protoreflect.FieldDescriptor, p Profile) []Effect {
	t := writtenWire(wf)
	if !accepts(rf, t) {
		return []Effect{Loss, Presence} // kept as unknown; rf stays unset
	}
	if wf.IsMap() != rf.IsMap() {
		return []Effect{Loss, Value, Fails, Presence} // of equal keys, and of all for a single message, the last wins
	}
	effects := binaryElement(wf, rf, p)
	ws, rs := shapeOf(wf), shapeOf(rf)
	if ws != single && rs == single { // the last one wins, messages merge
		effects = prepend(Loss, effects)
		if !rf.HasPresence() {
			effects = append(effects, Presence)
		}
	}
	return effects
}

func prepend(e Effect, effects []Effect) []Effect {
	if slices.Contains(effects, e) {
		return effects
	}
	return append([]Effect{e}, effects...)
}

// binaryElement is the effect on one value whose wire type the reader takes.
func binaryElement(wf, rf protoreflect.FieldDescriptor, p Profile) []Effect {
	if isMessage(wf) && isMessage(rf) && opaquePair(wf, rf) { // delimited or not
		return garbage
	}
	if writtenWire(wf) != protowire.BytesType || wf.IsPacked() && isNumeric(rf) && elementWire(wf) == elementWire(rf) {
		return numberElement(wf, rf, p)
	}
	wm, rm := isMessage(wf), isMessage(rf)
	switch {
	case wf.IsPacked() && rf.Kind() == protoreflect.BytesKind:
		return []Effect{Value}
	case wf.IsPacked() || isNumeric(rf):
		return garbage
	case wm && rm:
		return nil // compared by what is in them
	case wm && rf.Kind() == protoreflect.BytesKind && wrapperKinds[wf.Message().FullName()]:
		return append([]Effect{Value}, presenceOf(rf)...) // the bytes are not what is wrapped
	case wm && rf.Kind() == protoreflect.BytesKind:
		return presenceOf(rf) // the bytes are the message
	case wm || rm:
		return garbage
	case wf.Kind() == protoreflect.BytesKind && rf.Kind() == protoreflect.StringKind && refusesBadText(rf, p):
		return []Effect{Fails}
	default:
		return nil
	}
}

// presenceOf: an empty message is set; empty bytes of an implicit field are not.
func presenceOf(rf protoreflect.FieldDescriptor) []Effect {
	if shapeOf(rf) == single && !rf.HasPresence() {
		return []Effect{Presence}
	}
	return nil
}

// numberElement is the effect on one number of a wire type that both share.
func numberElement(wf, rf protoreflect.FieldDescriptor, p Profile) []Effect {
	switch {
	case wf.Kind() == protoreflect.GroupKind, wf.Kind() == rf.Kind():
		return nil // the same, or compared by what is in them
	case isFloat(wf.Kind()) != isFloat(rf.Kind()):
		return []Effect{Value} // the same bits
	case rf.Kind() == protoreflect.BoolKind:
		if domainOf(wf).within(domain{0, 1}) && !isZigzag(wf.Kind()) {
			return nil
		}
		return []Effect{Loss}
	case isZigzag(wf.Kind()) != isZigzag(rf.Kind()):
		return append([]Effect{Value}, unnamed(rf, p)...)
	case rf.Kind() == protoreflect.EnumKind:
		return numberToEnum(wf, rf, p)
	case domainOf(wf).within(domainOf(rf)):
		return nil
	default:
		return []Effect{Value}
	}
}

func numberToEnum(wf, rf protoreflect.FieldDescriptor, p Profile) []Effect {
	var effects []Effect
	if !domainOf(wf).within(readable(rf)) {
		effects = append(effects, Value)
	}
	values := rf.Enum().Values()
	if wf.Kind() == protoreflect.BoolKind && values.ByNumber(0) != nil && values.ByNumber(1) != nil {
		return effects
	}
	return append(effects, unnamed(rf, p)...)
}

// unnamed is what becomes of a number that the reader's enum does not list.
func unnamed(rf protoreflect.FieldDescriptor, p Profile) []Effect {
	switch {
	case rf.Kind() != protoreflect.EnumKind:
		return nil
	case p == Spec && rf.Enum().IsClosed():
		return []Effect{Loss, Fails} // what is required is then missing
	default:
		return []Effect{Semantic}
	}
}

// binaryMapKey is the effect of other key types. Keys that no longer tell
// entries apart make entries vanish.
func binaryMapKey(wf, rf protoreflect.FieldDescriptor) []Effect {
	wk, rk := wf.MapKey(), rf.MapKey()
	if elementWire(wk) == protowire.BytesType && elementWire(rk) == protowire.BytesType {
		return nil
	}
	if accepts(rk, elementWire(wk)) && len(numberElement(wk, rk, Go)) == 0 {
		return nil
	}
	return []Effect{Loss, Value}
}

// binaryMapValue is the effect of other value types. A value that does not
// arrive leaves its key with the default.
func binaryMapValue(wf, rf protoreflect.FieldDescriptor, p Profile) []Effect {
	we, re := wf.MapValue(), rf.MapValue()
	if !accepts(re, elementWire(we)) {
		return []Effect{Loss, Fails} // an empty message may lack what it requires
	}
	return binaryElement(we, re, p)
}
