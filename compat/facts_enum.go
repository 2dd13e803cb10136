package compat

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// enums finds the numbers and names of the writer's enum that mean something
// else, or nothing, to the reader's.
func (c *comparer) enums(n *node, wf, rf protoreflect.FieldDescriptor) {
	we, re := elementOf(wf), elementOf(rf)
	if we.Enum() == nil || re.Enum() == nil || isNull(we) || isNull(re) || !arrives(wf, rf, n.json) || n.json && shapeOf(wf) != shapeOf(rf) {
		return
	}
	if !c.budget.spend(enumSteps(we.Enum(), re.Enum()), we.Enum()) {
		return
	}
	values := we.Enum().Values()
	seen := make(map[protoreflect.EnumNumber]bool)
	for i := range values.Len() {
		v := values.Get(i)
		if seen[v.Number()] || v.Number() == 0 && shapeOf(wf) == single && !wf.HasPresence() {
			continue // zero of an implicit field is not written
		}
		seen[v.Number()] = true
		k, other := enumKind(v, we.Enum(), re.Enum(), n.json)
		if k != 0 {
			n.add(fact{kind: k, wf: wf, rf: rf, w: v, r: other, number: v.Number()})
		}
	}
	if !we.Enum().IsClosed() && re.Enum().IsClosed() {
		n.add(fact{kind: enumClosed, wf: wf, rf: rf, w: we.Enum(), r: re.Enum(), number: unlistedNumber(we.Enum(), re.Enum())})
	}
}

// enumKind says what a written value is to the reader; 0 is the same.
func enumKind(v protoreflect.EnumValueDescriptor, we, re protoreflect.EnumDescriptor, json bool) (kind, protoreflect.Descriptor) {
	names := enumNames(we, v.Number())
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
	case sameEnum(we, v.Number(), re, v.Number()) == Value:
		if byName != nil {
			return enumRenumbered, byName
		}
		return enumRenumbered, byNumber
	default:
		return 0, nil
	}
}

func firstNamed(ed protoreflect.EnumDescriptor, names []protoreflect.Name) protoreflect.EnumValueDescriptor {
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); slices.Contains(names, v.Name()) {
			return v
		}
	}
	return nil
}

// unlistedNumber is a small number that neither enum lists.
func unlistedNumber(a, b protoreflect.EnumDescriptor) protoreflect.EnumNumber {
	n := protoreflect.EnumNumber(1)
	for a.Values().ByNumber(n) != nil || b.Values().ByNumber(n) != nil {
		n++
	}
	return n
}
