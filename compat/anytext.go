package compat

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// typedAnys holds the JSON text of a message to what the specification says of
// Any: an object with fields in it names its type in "@type". Go refuses one
// that does not where unknown names are errors, and takes it for an empty Any
// where they are ignored; protobuf-es and Python refuse it in both. What Go
// ignores is not in the message, so the text is walked beside the descriptor.
func typedAnys(data []byte, md protoreflect.MessageDescriptor, u *universe) error {
	if u.message == nil || u.message(anyName) == nil || !bytes.Contains(data, []byte("{")) {
		return nil
	}
	d := stdjson.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return err
	}
	return anyText{u}.message(doc, md)
}

// anyText looks for Anys without a type. The text has been read as the message
// that it is walked beside.
type anyText struct{ u *universe }

func (t anyText) message(doc any, md protoreflect.MessageDescriptor) error {
	object, ok := doc.(map[string]any)
	switch {
	case !ok: // null, or the text of a well-known type
		return nil
	case md.FullName() == anyName:
		return t.holder(object)
	case isJSONSpecial(md): // nothing in them is an Any
		return nil
	}
	for name, value := range object {
		if fd := t.field(md, name); fd != nil && isMessage(elementOf(fd)) {
			if err := t.value(value, fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// holder looks at an Any, and at what it holds.
func (t anyText) holder(object map[string]any) error {
	if len(object) == 0 {
		return nil
	}
	url, ok := object["@type"].(string)
	if !ok {
		return fmt.Errorf(`%s: an object without "@type" that is not empty`, anyName)
	}
	held, err := t.u.FindMessageByURL(url)
	if err != nil {
		return err
	}
	if md := held.Descriptor(); isJSONSpecial(md) {
		return t.message(object["value"], md)
	}
	return t.message(object, held.Descriptor())
}

// field is what a JSON name means: its own name, the one for JSON, or the
// name of an extension in brackets.
func (t anyText) field(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		xt, err := t.u.FindExtensionByName(protoreflect.FullName(strings.TrimSuffix(inner, "]")))
		if err != nil {
			return nil
		}
		return xt.TypeDescriptor()
	}
	if fd := md.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	return md.Fields().ByTextName(name)
}

// value looks into the value of a field.
func (t anyText) value(doc any, fd protoreflect.FieldDescriptor) error {
	md := elementOf(fd).Message()
	switch values := doc.(type) {
	case []any:
		for _, v := range values {
			if err := t.message(v, md); err != nil {
				return err
			}
		}
	case map[string]any:
		if !fd.IsMap() {
			return t.message(doc, md)
		}
		for _, v := range values {
			if err := t.message(v, md); err != nil {
				return err
			}
		}
	}
	return nil
}
