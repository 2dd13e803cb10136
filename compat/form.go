package compat

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wholeForm is a message as a normalised JSON document, and as text.
func wholeForm(u *universe, m protoreflect.Message) (doc any, text string, err error) {
	b, err := protojson.MarshalOptions{Resolver: u, AllowPartial: true}.Marshal(m.Interface())
	if err != nil {
		return nil, "", fmt.Errorf("marshal %s: %w", m.Descriptor().FullName(), err)
	}
	var compact bytes.Buffer
	if err := stdjson.Compact(&compact, b); err != nil {
		return nil, "", fmt.Errorf("compact %s: %w", m.Descriptor().FullName(), err)
	}
	d := stdjson.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, "", fmt.Errorf("parse %s: %w", m.Descriptor().FullName(), err)
	}
	return normalForm(doc), clip(compact.String()), nil
}

// whole compares messages that have no fields by which parts correspond, by
// what either side would write.
func (o *observer) whole(w, r protoreflect.Message) {
	wrote, wroteText, werr := wholeForm(o.writer, w)
	reads, readText, rerr := wholeForm(o.reader, r)
	effect := Value
	if werr == nil && rerr == nil {
		effect = formEffect(wrote, reads)
		if effect != "" && (w.Descriptor().FullName() == anyName || r.Descriptor().FullName() == anyName) {
			effect = Value // what an Any is, is no field of it that could be dropped
		}
	}
	if effect != "" {
		o.add(effect, nil, r.Descriptor(), wroteText, readText)
	}
}

// formEffect says what a document lost on its way. What an object no longer
// has is dropped, or of a zero that it was set; anything else is another value.
func formEffect(wrote, reads any) Effect {
	was, isObject := wrote.(map[string]any)
	is, stillObject := reads.(map[string]any)
	if !isObject || !stillObject {
		if reflect.DeepEqual(wrote, reads) {
			return ""
		}
		return Value
	}
	worst := Effect("")
	note := func(e Effect) {
		if e != "" && (worst == "" || e.harm() < worst.harm()) {
			worst = e
		}
	}
	for key := range is {
		if _, had := was[key]; !had {
			note(Value)
		}
	}
	for key, v := range was {
		got, has := is[key]
		switch {
		case has:
			note(formEffect(v, got))
		case isZeroForm(v) || reflect.DeepEqual(v, []any{}) || reflect.DeepEqual(v, map[string]any{}):
			note(Presence)
		default:
			note(Drop)
		}
	}
	return worst
}
