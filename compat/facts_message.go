package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message finds what differs between a writer's and a reader's message.
func (c *comparer) message(n *node) {
	if n.json && (isJSONSpecial(n.w) || isJSONSpecial(n.r)) {
		return // no object of fields; the field that holds them compares
	}
	arrivals := make(map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor)
	swapped := make(map[protoreflect.FieldDescriptor]bool)
	for _, wf := range c.writer.fields(n.w) {
		at := place(c.writer, c.reader, wf, n.r, n.json)
		if at.peer != nil && arrives(wf, at.peer, n.json) {
			arrivals[at.peer] = append(arrivals[at.peer], wf)
		}
		c.placed(n, wf, at, swapped)
	}
	c.required(n, arrivals)
	c.oneofs(n, arrivals)
	c.collisions(n, arrivals)
	if c.reader.constrained {
		c.constraints(n, arrivals)
	}
}

// arrives says that a reader's field takes the writer's bytes.
func arrives(wf, rf protoreflect.FieldDescriptor, json bool) bool {
	return json || accepts(rf, writtenWire(wf))
}

// placed turns where a field lands into facts.
func (c *comparer) placed(n *node, wf protoreflect.FieldDescriptor, at placing, swapped map[protoreflect.FieldDescriptor]bool) {
	switch at.identity {
	case unknown:
		c.unknown(n, wf, at)
	case moved:
		c.moved(n, wf, at, swapped)
	case reused:
		n.add(fact{kind: fieldReused, wf: wf, rf: at.meant, w: wf, r: at.meant, at: at})
	case taken:
		n.add(fact{kind: fieldKeyTaken, wf: wf, rf: at.peer, w: wf, r: at.peer, at: at})
	case renamed:
		if at.peer != nil {
			c.field(n, wf, at.peer)
			return
		}
		k := fieldRenamed
		switch {
		case wf.IsExtension() != at.meant.IsExtension():
			k = fieldExtension
		case wf.Name() == at.meant.Name():
			k = fieldKeyChanged
		}
		n.add(fact{kind: k, wf: wf, rf: at.meant, w: wf, r: at.meant, at: at})
	default:
		c.field(n, wf, at.peer)
	}
}

func (c *comparer) unknown(n *node, wf protoreflect.FieldDescriptor, at placing) {
	k := fieldUnknown
	var other protoreflect.Descriptor
	switch {
	case wf.IsExtension():
		k = extensionUnknown
	default:
		if od := c.readerOneof(n, wf); od != nil {
			k, other = oneofUnknown, od
		}
	}
	n.add(fact{kind: k, wf: wf, w: wf, other: other, at: at})
}

// readerOneof asks once for each oneof: that a field is unknown to the reader
// is all that the answer knows of it.
func (c *comparer) readerOneof(n *node, wf protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	od := wf.ContainingOneof()
	if od == nil || od.IsSynthetic() {
		return nil
	}
	key := oneofIn{od, n.pair}
	in, ok := c.oneofsOf[key]
	if !ok {
		in = readerOneof(c.writer, c.reader, wf, n.r, n.json)
		c.oneofsOf[key] = in
	}
	return in
}

// moved reports a pair of fields that swapped numbers once, under the one
// that the writer declares first.
func (c *comparer) moved(n *node, wf protoreflect.FieldDescriptor, at placing, swapped map[protoreflect.FieldDescriptor]bool) {
	if swapped[wf] {
		return
	}
	if at.peer != nil && !wf.IsExtension() {
		other := n.w.Fields().ByName(at.peer.Name())
		if other != nil && other.Number() == at.meant.Number() {
			swapped[other] = true
			n.add(fact{kind: fieldsSwapped, wf: wf, rf: at.peer, w: wf, r: at.meant, at: at,
				group: []protoreflect.FieldDescriptor{wf, other}})
			return
		}
	}
	n.add(fact{kind: fieldMoved, wf: wf, rf: at.peer, w: wf, r: at.meant, at: at})
}

// required finds fields that the reader insists on and that the writer may
// leave out.
func (c *comparer) required(n *node, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) {
	numbers := n.r.RequiredNumbers()
	for i := range numbers.Len() {
		rf := n.r.Fields().ByNumber(numbers.Get(i))
		sure := false
		var wf protoreflect.FieldDescriptor
		for _, from := range arrivals[rf] {
			wf = from
			sure = sure || from.Cardinality() == protoreflect.Required
		}
		if sure {
			continue
		}
		f := fact{kind: fieldRequired, wf: wf, rf: rf, r: rf}
		if wf != nil {
			f.w = wf
		} else if other := n.w.Fields().ByName(rf.Name()); other != nil {
			f.w = other
		}
		n.add(f)
	}
}

// oneofs finds oneofs of the reader into which fields fall that the writer can
// set together.
func (c *comparer) oneofs(n *node, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) {
	for i := range n.r.Oneofs().Len() {
		od := n.r.Oneofs().Get(i)
		if od.IsSynthetic() {
			continue
		}
		var group []protoreflect.FieldDescriptor
		for j := range od.Fields().Len() {
			group = append(group, arrivals[od.Fields().Get(j)]...)
		}
		if a, b := together(group); a != nil {
			var w protoreflect.Descriptor = a
			if in := a.ContainingOneof(); in != nil && !in.IsSynthetic() {
				w = in
			}
			n.add(fact{kind: oneofJoined, wf: a, rf: od.Fields().Get(0), w: w, r: od, group: append([]protoreflect.FieldDescriptor{a, b}, group...)})
		}
	}
}

// together finds two fields that one message can have set at once.
func together(group []protoreflect.FieldDescriptor) (a, b protoreflect.FieldDescriptor) {
	if len(group) == 0 {
		return nil, nil
	}
	x := group[0] // where none can be set beside the first, all are in its oneof
	in := x.ContainingOneof()
	for _, y := range group[1:] {
		if x != y && (in == nil || in != y.ContainingOneof()) {
			return x, y
		}
	}
	return nil, nil
}

// collisions finds JSON keys of the writer that mean one field to the reader.
func (c *comparer) collisions(n *node, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) {
	if !n.json {
		return
	}
	for i := range n.r.Fields().Len() {
		rf := n.r.Fields().Get(i)
		if a, b := together(arrivals[rf]); a != nil {
			n.add(fact{kind: keyCollision, wf: a, rf: rf, w: a, r: rf, group: []protoreflect.FieldDescriptor{a, b}})
		}
	}
}
