package compat

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// showLimit keeps a value on one line of a report.
const showLimit = 120

// show writes a value as people write it in text form.
func show(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	var b strings.Builder
	switch shapeOf(fd) {
	case list:
		showList(&b, fd, v.List())
	case mapping:
		b.WriteString(showMap(fd, v.Map()))
	default:
		showElement(&b, fd, v)
	}
	return clip(b.String())
}

// showOne writes one element of a field, whatever the field's shape.
func showOne(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	var b strings.Builder
	showElement(&b, fd, v)
	return clip(b.String())
}

func clip(s string) string {
	if len(s) <= showLimit {
		return s
	}
	return strings.ToValidUTF8(s[:showLimit], "") + "…"
}

func showList(b *strings.Builder, fd protoreflect.FieldDescriptor, values protoreflect.List) {
	b.WriteByte('[')
	for i := range values.Len() {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len() > showLimit {
			b.WriteString("…")
			break
		}
		showElement(b, fd, values.Get(i))
	}
	b.WriteByte(']')
}

func showMap(fd protoreflect.FieldDescriptor, entries protoreflect.Map) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range sortedKeys(entries) {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len() > showLimit {
			b.WriteString("…")
			break
		}
		showElement(&b, fd.MapKey(), k.Value())
		b.WriteString(": ")
		showElement(&b, fd.MapValue(), entries.Get(k))
	}
	b.WriteByte('}')
	return clip(b.String())
}

func showElement(b *strings.Builder, fd protoreflect.FieldDescriptor, v protoreflect.Value) {
	if isMessage(fd) {
		showMessage(b, v.Message())
		return
	}
	b.WriteString(showScalar(fd, v))
}

func showMessage(b *strings.Builder, m protoreflect.Message) {
	b.WriteByte('{')
	first := true
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if !m.Has(fd) {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		if b.Len() > showLimit {
			b.WriteString("…")
			break
		}
		first = false
		b.WriteString(string(fd.Name()) + ": " + show(fd, m.Get(fd)))
	}
	b.WriteByte('}')
}

func showScalar(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch x := v.Interface().(type) {
	case protoreflect.EnumNumber:
		for i := range fd.Enum().Values().Len() {
			if value := fd.Enum().Values().Get(i); value.Number() == x {
				return string(value.Name())
			}
		}
		return fmt.Sprintf("%d (no name)", x)
	case string:
		return strconv.Quote(x)
	case []byte:
		return strconv.QuoteToASCII(string(x))
	default:
		return fmt.Sprint(x)
	}
}
