package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// field finds what differs between a writer's field and the reader's field
// that its bytes go to.
func (c *comparer) field(n *node, wf, rf protoreflect.FieldDescriptor) {
	ws, rs := shapeOf(wf), shapeOf(rf)
	switch {
	case ws == mapping && rs == mapping:
		c.mapping(n, wf, rf)
	case ws != rs:
		n.add(fact{kind: fieldShape, wf: wf, rf: rf, w: wf, r: rf})
	case familyOf(wf, rf) != sameType:
		n.add(fact{kind: fieldType, wf: wf, rf: rf, w: wf, r: rf})
	}
	if !n.json && wf.Kind() == protoreflect.StringKind && rf.Kind() == protoreflect.StringKind {
		c.utf8(n, wf, rf, wf, rf)
	}
	c.unset(n, wf, rf)
	c.enums(n, wf, rf)
	c.descend(n, wf, rf)
}

func (c *comparer) mapping(n *node, wf, rf protoreflect.FieldDescriptor) {
	if wf.MapKey().Kind() != rf.MapKey().Kind() {
		n.add(fact{kind: mapKey, wf: wf, rf: rf, w: wf, r: rf})
	} else if !n.json && wf.MapKey().Kind() == protoreflect.StringKind {
		c.utf8(n, wf, rf, wf.MapKey(), rf.MapKey())
	}
	if familyOf(wf.MapValue(), rf.MapValue()) != sameType {
		n.add(fact{kind: mapValue, wf: wf, rf: rf, w: wf, r: rf})
	} else if !n.json && wf.MapValue().Kind() == protoreflect.StringKind {
		c.utf8(n, wf, rf, wf.MapValue(), rf.MapValue())
	}
}

func (c *comparer) utf8(n *node, wf, rf, we, re protoreflect.FieldDescriptor) {
	if checksUTF8(re) && !checksUTF8(we) {
		n.add(fact{kind: fieldUTF8, wf: wf, rf: rf, w: wf, r: rf})
	}
}

// unset compares what it means that a single scalar is not set.
func (c *comparer) unset(n *node, wf, rf protoreflect.FieldDescriptor) {
	if shapeOf(wf) != single || shapeOf(rf) != single || isMessage(wf) || isMessage(rf) || wf.Cardinality() == protoreflect.Required {
		return
	}
	if wf.HasPresence() && !rf.HasPresence() {
		n.add(fact{kind: fieldPresence, wf: wf, rf: rf, w: wf, r: rf})
	}
	if !c.writer.sameDefault(wf, rf) {
		n.add(fact{kind: fieldDefault, wf: wf, rf: rf, w: wf, r: rf})
	}
}

// descend leads to the messages that a field holds, where they arrive.
func (c *comparer) descend(n *node, wf, rf protoreflect.FieldDescriptor) {
	if we, re := entryValues(wf, rf); we != nil && !n.json && arrives(wf, rf, n.json) {
		n.children = append(n.children, c.node(pair{we.Message(), re.Message(), n.json}))
		return
	}
	if n.json && (shapeOf(wf) != shapeOf(rf) || specialPair(wf, rf)) || opaquePair(wf, rf) || !arrives(wf, rf, n.json) {
		return
	}
	wm, rm := wf.Message(), rf.Message()
	if shapeOf(wf) == mapping && shapeOf(rf) == mapping {
		wm, rm = wf.MapValue().Message(), rf.MapValue().Message()
		if wm != nil && rm != nil && !n.json && !accepts(rf.MapValue(), elementWire(wf.MapValue())) {
			return
		}
	}
	if wm == nil || rm == nil {
		return
	}
	if wm.FullName() == anyName && rm.FullName() == anyName {
		c.payloads(n, wf, rf)
	}
	n.children = append(n.children, c.node(pair{wm, rm, n.json}))
}
