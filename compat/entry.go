package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// In binary a map is a list of messages with the fields key and value. Where
// one version has the map and the other such messages, the values correspond,
// and what is in them is compared like anything else.

// entryValues are the fields that hold the values of a map on one side, and of
// messages that stand for its entries on the other; nil where those are not
// messages on both sides, or have nothing in common.
func entryValues(wf, rf protoreflect.FieldDescriptor) (we, re protoreflect.FieldDescriptor) {
	if wf.IsMap() == rf.IsMap() || !isMessage(wf) || !isMessage(rf) {
		return nil, nil
	}
	we, re = wf.Message().Fields().ByNumber(2), rf.Message().Fields().ByNumber(2)
	if we == nil || re == nil || !isMessage(we) || !isMessage(re) || shapeOf(we) != single || shapeOf(re) != single ||
		opaquePair(we, re) || !accepts(re, elementWire(we)) {
		return nil, nil
	}
	return we, re
}

// entry compares one entry with what stands for it: key and all else as one
// thing, which is the field's; what is in the values part by part.
func (o *observer) entry(w, r protoreflect.Message, we, re protoreflect.FieldDescriptor) (same bool) {
	if we == nil {
		return len(o.observe(w, r)) == 0
	}
	if len(o.observe(lacking(w, we), lacking(r, re))) > 0 {
		return false
	}
	if w.Has(we) {
		o.message(w.Get(we).Message(), r.Get(re).Message())
	}
	return true
}

// lacking is a message but for one field.
func lacking(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.Message {
	out := dynamicpb.NewMessage(m.Descriptor())
	m.Range(func(other protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if other.Number() != fd.Number() {
			out.Set(other, v)
		}
		return true
	})
	return out
}
