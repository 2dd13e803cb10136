package compat

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// codec writes with one version's schema and reads with another's. This is
// where verdicts are executed: nothing here knows a rule.
type codec struct {
	encoding       Encoding
	profile        Profile
	writer, reader *universe
	budget         *budget // nil: without a bound
}

// write marshals what a writer holds.
func (c codec) write(m proto.Message) ([]byte, error) {
	if c.encoding.isJSON() {
		b, err := protojson.MarshalOptions{Resolver: c.writer, AllowPartial: true}.Marshal(m)
		if err != nil {
			return nil, plainError(err)
		}
		var compact bytes.Buffer // protojson varies its white space on purpose
		if err := stdjson.Compact(&compact, b); err != nil {
			return nil, err
		}
		return compact.Bytes(), nil
	}
	b, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
	return b, plainError(err)
}

// read unmarshals as the reader does. partial lets required fields be missing,
// so that a witness for something else is not hidden by them.
func (c codec) read(data []byte, md protoreflect.MessageDescriptor, partial bool) (*dynamicpb.Message, error) {
	return readAs(data, md, c.reader, c.encoding, c.profile, partial)
}

func readAs(data []byte, md protoreflect.MessageDescriptor, u *universe, enc Encoding, profile Profile, partial bool) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(md)
	var err error
	if enc.isJSON() {
		err = protojson.UnmarshalOptions{Resolver: u, DiscardUnknown: enc == Lenient, AllowPartial: partial}.Unmarshal(data, m)
	} else {
		err = proto.UnmarshalOptions{Resolver: u, AllowPartial: partial}.Unmarshal(data, m)
	}
	if err == nil && profile == Spec && enc == Lenient {
		err = typedAnys(data, md, u)
	}
	if err == nil && profile == Spec && enc == Binary && u.checksText {
		err = checkExtensionText(m)
	}
	if err == nil && profile == Spec {
		if err = closeEnums(m, enc); err == nil && !partial {
			err = proto.CheckInitialized(m) // closing may have taken what is required
		}
	}
	return m, plainError(err)
}

// closeEnums does what the specification says and Go does not: in binary,
// numbers that a closed enum does not list leave their field for the unknown
// fields, a map entry as a whole; in JSON they are an error.
func closeEnums(m protoreflect.Message, enc Encoding) error {
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch shapeOf(fd) {
		case mapping:
			failed = closeMap(m, fd, v.Map(), enc)
		case list:
			failed = closeList(m, fd, v.List(), enc)
		default:
			failed = closeSingle(m, fd, v, enc)
		}
		return failed == nil
	})
	return failed
}

func closeSingle(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value, enc Encoding) error {
	if isMessage(fd) {
		return closeEnums(v.Message(), enc)
	}
	if !unlistedClosed(fd, v) {
		return nil
	}
	if enc.isJSON() {
		return unlistedError(fd, v)
	}
	m.Clear(fd)
	keepUnknown(m, fd, v)
	return nil
}

func closeList(m protoreflect.Message, fd protoreflect.FieldDescriptor, values protoreflect.List, enc Encoding) error {
	kept := 0
	for i := range values.Len() {
		v := values.Get(i)
		if isMessage(fd) {
			if err := closeEnums(v.Message(), enc); err != nil {
				return err
			}
			kept++
			continue
		}
		if unlistedClosed(fd, v) {
			if enc.isJSON() {
				return unlistedError(fd, v)
			}
			keepUnknown(m, fd, v)
			continue
		}
		values.Set(kept, v)
		kept++
	}
	values.Truncate(kept)
	return nil
}

func closeMap(m protoreflect.Message, fd protoreflect.FieldDescriptor, entries protoreflect.Map, enc Encoding) error {
	var failed error
	vd := fd.MapValue()
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		switch {
		case isMessage(vd):
			failed = closeEnums(v.Message(), enc)
		case unlistedClosed(vd, v):
			if enc.isJSON() {
				failed = unlistedError(vd, v)
				break
			}
			entry := dynamicpb.NewMessage(fd.Message())
			entry.Set(fd.MapKey(), k.Value())
			entry.Set(vd, v)
			raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
			if err != nil {
				failed = err
				break
			}
			b := protowire.AppendTag(m.GetUnknown(), fd.Number(), protowire.BytesType)
			m.SetUnknown(protowire.AppendBytes(b, raw))
			entries.Clear(k)
		}
		return failed == nil
	})
	return failed
}

func unlistedClosed(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	return fd.Kind() == protoreflect.EnumKind && fd.Enum().IsClosed() && fd.Enum().Values().ByNumber(v.Enum()) == nil
}

func unlistedError(fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	return fmt.Errorf("invalid value for enum field %s: %d is not in the closed enum %s", fd.JSONName(), v.Enum(), fd.Enum().FullName())
}

func keepUnknown(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value) {
	b := protowire.AppendTag(m.GetUnknown(), fd.Number(), protowire.VarintType)
	m.SetUnknown(protowire.AppendVarint(b, uint64(int64(v.Enum()))))
}

// codecError is a decoder's refusal in words that do not change from build to
// build.
type codecError struct{ text string }

func (e codecError) Error() string { return e.text }

// plainError removes what protobuf-go puts into its errors so that nobody
// depends on them: a prefix whose space is sometimes a no-break space.
func plainError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return codecError{strings.TrimPrefix(text, "proto: ")}
}
