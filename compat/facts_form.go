package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A request, a response or a state message can itself be a well-known type
// whose ProtoJSON is no object of fields. Where the other side has another
// type there, no field holds the two and says that they differ: the call does,
// or the message that is stored.

// formsDiffer says that two messages have ProtoJSON that only running them can
// compare: one is a well-known type with a form of its own, the other is not
// that type.
func formsDiffer(w, r protoreflect.MessageDescriptor) bool {
	return (isJSONSpecial(w) || isJSONSpecial(r)) && w.FullName() != r.FullName()
}

// form is the fact that a root has such a pair of types; nil if it has none.
func (r root) form(json bool) *fact {
	if r.w == nil || r.r == nil || !json || !formsDiffer(r.w, r.r) {
		return nil
	}
	f := &fact{kind: messageForm, json: true, w: r.w, r: r.r, in: pair{r.w, r.r, true}}
	if r.call != nil {
		f.w, f.r = r.call, r.serve
	}
	return f
}
