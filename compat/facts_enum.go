package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// enums finds the numbers and names of the writer's enum that mean something
// else, or nothing, to the reader's.
func (c *comparer) enums(n *node, wf, rf protoreflect.FieldDescriptor) {
	we, re := elementOf(wf), elementOf(rf)
	if we.Enum() == nil || re.Enum() == nil || isNull(we) || isNull(re) || !arrives(wf, rf, n.json) || n.json && shapeOf(wf) != shapeOf(rf) {
		return
	}
	facts := c.enumFacts(enumPair{we.Enum(), re.Enum(), n.json})
	if !c.budget.spend(factSteps*len(facts), we.Enum()) {
		return
	}
	for _, x := range facts {
		if x.value.Number() == 0 && shapeOf(wf) == single && !wf.HasPresence() {
			continue // zero of an implicit field is not written
		}
		n.add(fact{kind: x.kind, wf: wf, rf: rf, w: x.value, r: x.other, number: x.value.Number()})
	}
	if !we.Enum().IsClosed() && re.Enum().IsClosed() {
		n.add(fact{kind: enumClosed, wf: wf, rf: rf, w: we.Enum(), r: re.Enum(), number: unlistedNumber(we.Enum(), re.Enum())})
	}
}

// enumPair is a writer's enum and the reader's that its numbers go to.
type enumPair struct {
	w, r protoreflect.EnumDescriptor
	json bool
}

// enumFact is a written value that means something else, or nothing, to the reader.
type enumFact struct {
	value protoreflect.EnumValueDescriptor
	kind  kind
	other protoreflect.Descriptor
}

// enumFacts compares two enums once, however many fields hold them.
func (c *comparer) enumFacts(p enumPair) []enumFact {
	facts, ok := c.enumsOf[p]
	if ok || !c.budget.spend(enumSteps(p.w, p.r), p.w) {
		return facts
	}
	seen := make(map[protoreflect.EnumNumber]bool)
	for i := range p.w.Values().Len() {
		v := p.w.Values().Get(i)
		if seen[v.Number()] {
			continue
		}
		seen[v.Number()] = true
		if k, other := c.writer.enumKind(v, p.w, p.r, p.json); k != 0 {
			facts = append(facts, enumFact{v, k, other})
		}
	}
	c.enumsOf[p] = facts
	return facts
}

// enumKind says what a written value is to the reader; 0 is the same.
func (u *universe) enumKind(v protoreflect.EnumValueDescriptor, we protoreflect.EnumDescriptor, re protoreflect.EnumDescriptor, json bool) (kind, protoreflect.Descriptor) {
	names := u.enumNames(we, v.Number())
	byNumber := re.Values().ByNumber(v.Number())
	byName := firstNamed(re, names)
	if json {
		switch {
		case re.Values().ByName(v.Name()) != nil:
			return 0, nil
		case byName != nil:
			return enumAlias, byName
		case byNumber != nil:
			return enumRenamed, byNumber
		default:
			return enumUnknown, nil
		}
	}
	switch {
	case byNumber == nil && byName == nil:
		return enumUnknown, nil
	case byNumber == nil:
		return enumRenumbered, byName
	case u.sameEnum(we, v.Number(), re, v.Number()) == Value:
		if byName != nil {
			return enumRenumbered, byName
		}
		return enumRenumbered, byNumber
	default:
		return 0, nil
	}
}

// firstNamed is the first value by declaration that has one of the names.
func firstNamed(ed protoreflect.EnumDescriptor, names []protoreflect.Name) protoreflect.EnumValueDescriptor {
	var first protoreflect.EnumValueDescriptor
	for _, name := range names {
		if v := ed.Values().ByName(name); v != nil && (first == nil || v.Index() < first.Index()) {
			first = v
		}
	}
	return first
}

// unlistedNumber is a small number that neither enum lists.
func unlistedNumber(a, b protoreflect.EnumDescriptor) protoreflect.EnumNumber {
	n := protoreflect.EnumNumber(1)
	for a.Values().ByNumber(n) != nil || b.Values().ByNumber(n) != nil {
		n++
	}
	return n
}
