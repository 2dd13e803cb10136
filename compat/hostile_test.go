package compat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// hang is how long a test waits before it calls a check one that hangs: far
// more than a slow machine needs.
const hang = 2 * time.Minute

type (
	protoFile    = descriptorpb.FileDescriptorProto
	protoMessage = descriptorpb.DescriptorProto
	protoField   = descriptorpb.FieldDescriptorProto
)

func field(name string, number int, kind descriptorpb.FieldDescriptorProto_Type, typeName string) *protoField {
	f := &protoField{Name: &name, Number: proto.Int32(int32(number)), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	if typeName != "" {
		f.TypeName = &typeName
	}
	return f
}

func many(f *protoField) *protoField {
	f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	return f
}

// file has messages and a service that takes the first and returns it.
func file(messages ...*protoMessage) *protoFile {
	root := ".a." + messages[0].GetName()
	return &protoFile{
		Name: proto.String("a.proto"), Package: proto.String("a"), Syntax: proto.String("proto2"), MessageType: messages,
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Do"), InputType: &root, OutputType: &root},
		}}},
	}
}

func message(name string, fields ...*protoField) *protoMessage {
	return &protoMessage{Name: &name, Field: fields}
}

const (
	tInt32   = descriptorpb.FieldDescriptorProto_TYPE_INT32
	tInt64   = descriptorpb.FieldDescriptorProto_TYPE_INT64
	tString  = descriptorpb.FieldDescriptorProto_TYPE_STRING
	tBytes   = descriptorpb.FieldDescriptorProto_TYPE_BYTES
	tMessage = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	tGroup   = descriptorpb.FieldDescriptorProto_TYPE_GROUP
	tEnum    = descriptorpb.FieldDescriptorProto_TYPE_ENUM
	tFloat   = descriptorpb.FieldDescriptorProto_TYPE_FLOAT
)

// checkImages loads two descriptor sets as bytes and checks them, large ones in
// binary, others in every encoding.
func checkImages(ctx context.Context, before, after []byte) (*report.Report, error) {
	var sets [2]*schema.Set
	for i, data := range [][]byte{before, after} {
		set, err := schema.Load(ctx, schema.Input{Kind: schema.KindStdin, Text: "-"}, schema.Options{Name: []string{"old", "new"}[i], Stdin: bytes.NewReader(data)})
		if err != nil {
			return nil, err
		}
		sets[i] = set
	}
	opts := compat.Options{Encodings: encodings}
	if len(before) > 100_000 {
		opts.Encodings = []compat.Encoding{compat.Binary}
	}
	r, err := compat.Check(ctx, compat.Request{Old: sets[0], New: sets[1], Options: opts})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	return r, errors.Join(report.JSON(&out, r), report.Render(&out, "text", r, report.Options{}))
}

type hostile struct {
	make func(side int) []*protoFile // 0 is old
	want string                      // what the error says; empty: it is checked
}

func hostileSets() map[string]hostile {
	rows := hostileSizes()
	for name, row := range hostileShapes() {
		rows[name] = row
	}
	for name, row := range hostileKnownTypes() {
		rows[name] = row
	}
	return rows
}

// hostileSizes are sets of about a megabyte, legal most of them.
func hostileSizes() map[string]hostile {
	return map[string]hostile{
		"a chain of 5,000 messages": {func(side int) []*protoFile {
			var all []*protoMessage
			for i := range 5_000 {
				all = append(all, message(fmt.Sprint("M", i), field("m", 1, tMessage, fmt.Sprint(".a.M", min(i+1, 4999))), field("n", 2+side, tInt32, "")))
			}
			return []*protoFile{file(all...)}
		}, ""},
		"10,000 messages in each other": {func(int) []*protoFile {
			m := message("M")
			for range 10_000 {
				m = &protoMessage{Name: proto.String("M"), NestedType: []*protoMessage{m}}
			}
			return []*protoFile{file(m)}
		}, "nested more than 64 deep"},
		"65,535 fields": {func(side int) []*protoFile {
			m := message("M")
			for i := range 65_535 {
				m.Field = append(m.Field, field(fmt.Sprint("f", i), i%18_999+i/18_999*20_000+1, []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side], ""))
			}
			return []*protoFile{file(m)}
		}, "too much differs"},
		"65,535 fields, one changed": {func(side int) []*protoFile {
			m := message("M")
			for i := range 65_535 {
				m.Field = append(m.Field, field(fmt.Sprint("f", i), i%18_999+i/18_999*20_000+1, tInt32, ""))
			}
			m.Field[3].Type = []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side].Enum()
			return []*protoFile{file(m)}
		}, ""},
		"100,000 enum values": {func(side int) []*protoFile {
			f := file(message("M", field("e", 1, tEnum, ".a.E")))
			e := &descriptorpb.EnumDescriptorProto{Name: proto.String("E")}
			for i := range 100_000 {
				e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(fmt.Sprint("V", i)), Number: proto.Int32(int32(i + side))})
			}
			f.EnumType = []*descriptorpb.EnumDescriptorProto{e}
			return []*protoFile{f}
		}, "too much differs"},
		"20,000 extensions": {func(side int) []*protoFile {
			m := message("M")
			m.ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{{Start: proto.Int32(1), End: proto.Int32(1 << 29)}}
			f := file(m)
			for i := range 20_000 {
				x := field(fmt.Sprint("x", i), i%18_000+1+i/18_000*20_000, []descriptorpb.FieldDescriptorProto_Type{tInt32, tInt64}[side], "")
				x.Extendee = proto.String(".a.M")
				f.Extension = append(f.Extension, x)
			}
			return []*protoFile{f}
		}, "too much differs"},
		"6,000 required fields, of messages too": {func(side int) []*protoFile {
			m, inner := message("M"), message("N")
			for i := range 3_000 {
				for _, f := range []*protoField{field(fmt.Sprint("f", i), i+1, tMessage, ".a.N"), field(fmt.Sprint("g", i), i+1, tInt32, "")} {
					f.Label = descriptorpb.FieldDescriptorProto_LABEL_REQUIRED.Enum()
					if f.TypeName != nil {
						m.Field = append(m.Field, f)
					} else {
						inner.Field = append(inner.Field, f)
					}
				}
			}
			inner.Field[0].Type = []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side].Enum()
			return []*protoFile{file(m, inner)}
		}, ""},
		"required fields that branch": {func(side int) []*protoFile {
			var all []*protoMessage
			for i := range 40 {
				m := message(fmt.Sprint("M", i), field("x", 100, []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side], ""))
				for j := range 40 {
					f := field(fmt.Sprint("f", j), j+1, tMessage, fmt.Sprint(".a.M", (i+j+1)%40))
					f.Label = descriptorpb.FieldDescriptorProto_LABEL_REQUIRED.Enum()
					m.Field = append(m.Field, f)
				}
				all = append(all, m)
			}
			return []*protoFile{file(all...)}
		}, "too much differs"},
		"20,000 reserved ranges": {func(side int) []*protoFile {
			m := message("M", field("f", 1, []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side], ""))
			for i := range 20_000 {
				m.ReservedRange = append(m.ReservedRange, &descriptorpb.DescriptorProto_ReservedRange{Start: proto.Int32(int32(2*i + 2)), End: proto.Int32(int32(2*i + 3))})
			}
			return []*protoFile{file(m)}
		}, ""},
		"1,000 services of 20 methods": {func(side int) []*protoFile {
			f := file(message("M", field("f", 1, []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side], "")))
			for i := range 1000 {
				s := &descriptorpb.ServiceDescriptorProto{Name: proto.String(fmt.Sprint("S", i))}
				for j := range 20 {
					s.Method = append(s.Method, &descriptorpb.MethodDescriptorProto{Name: proto.String(fmt.Sprint("D", j)), InputType: proto.String(".a.M"), OutputType: proto.String(".a.M")})
				}
				f.Service = append(f.Service, s)
			}
			return []*protoFile{f}
		}, ""},
	}
}

// hostileShapes are sets that no compiler makes.
func hostileShapes() map[string]hostile {
	one := func(change func(f *protoFile, side int)) func(side int) []*protoFile {
		return func(side int) []*protoFile {
			f := file(message("M", field("f", 1, []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side], "")))
			change(f, side)
			return []*protoFile{f}
		}
	}
	entry := func(fields ...*protoField) func(side int) []*protoFile {
		return one(func(f *protoFile, side int) {
			e := message("GEntry", fields...)
			e.Options = &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}
			m := f.MessageType[0]
			m.NestedType = append(m.NestedType, e)
			m.Field = append(m.Field, many(field("g", 2, tMessage, ".a.M.GEntry")))
		})
	}
	return map[string]hostile{
		"imports in a circle": {func(int) []*protoFile {
			a, b := file(message("M")), &protoFile{Name: proto.String("b.proto"), Dependency: []string{"a.proto"}}
			a.Dependency = []string{"b.proto"}
			return []*protoFile{a, b}
		}, "import cycle"},
		"imports itself":    {one(func(f *protoFile, _ int) { f.Dependency = []string{"a.proto"} }), "import cycle"},
		"import is missing": {one(func(f *protoFile, _ int) { f.Dependency = []string{"gone.proto"} }), "a.proto imports gone.proto, which is not in the set"},
		"a file twice":      {func(int) []*protoFile { return []*protoFile{file(message("M")), file(message("M"))} }, "a.proto"},
		"a message twice":   {one(func(f *protoFile, _ int) { f.MessageType = append(f.MessageType, message("M")) }), "a.M"},
		"a field twice": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("f", 2, tInt32, ""))
		}), "a.M.f"},
		"a number twice": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("g", 1, tInt32, ""))
		}), "a.M"},
		"name of no text": {one(func(f *protoFile, _ int) { f.MessageType[0].Name = proto.String("M\n;x") }), "name"},
		"no name":         {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].Name = proto.String("") }), "name"},
		"number 0":        {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].Number = proto.Int32(0) }), "number"},
		"number -1":       {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].Number = proto.Int32(-1) }), "number"},
		"number 2^29":     {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].Number = proto.Int32(1 << 29) }), "number"},
		"number 19000":    {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].Number = proto.Int32(19000) }), ""},
		"type is no message": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("g", 2, tMessage, ".a.S"))
		}), "a.M.g"},
		"type is missing": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("g", 2, tMessage, ".a.Gone"))
		}), "a.Gone"},
		"no type": {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].Type = nil }), "a.M.f"},
		"type 99": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_Type(99).Enum()
		}), "a.M.f"},
		"label 7": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field[0].Label = descriptorpb.FieldDescriptorProto_Label(7).Enum()
		}), "invalid cardinality"},
		"oneof 9": {one(func(f *protoFile, _ int) { f.MessageType[0].Field[0].OneofIndex = proto.Int32(9) }), "oneof"},
		"oneof of nothing": {one(func(f *protoFile, _ int) {
			f.MessageType[0].OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("o")}}
		}), "a.M.o"},
		"default is no number": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field[0].Type, f.MessageType[0].Field[0].DefaultValue = tInt32.Enum(), proto.String("x")
		}), "default"},
		"enum of nothing": {one(func(f *protoFile, _ int) { f.EnumType = []*descriptorpb.EnumDescriptorProto{{Name: proto.String("E")}} }), "a.E"},
		"reserved to 2^29": {one(func(f *protoFile, _ int) {
			f.MessageType[0].ReservedRange = []*descriptorpb.DescriptorProto_ReservedRange{{Start: proto.Int32(2), End: proto.Int32(1 << 29)}}
		}), ""},
		"reserved overlap": {one(func(f *protoFile, _ int) {
			r := &descriptorpb.DescriptorProto_ReservedRange{Start: proto.Int32(2), End: proto.Int32(1 << 29)}
			f.MessageType[0].ReservedRange = []*descriptorpb.DescriptorProto_ReservedRange{r, r}
		}), "overlapping"},
		"extension ranges overlap": {one(func(f *protoFile, _ int) {
			r := &descriptorpb.DescriptorProto_ExtensionRange{Start: proto.Int32(2), End: proto.Int32(1 << 29)}
			f.MessageType[0].ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{r, r}
		}), "overlapping"},
		"extension outside the range": {one(func(f *protoFile, _ int) {
			x := field("x", 5, tInt32, "")
			x.Extendee = proto.String(".a.M")
			f.Extension = []*protoField{x}
		}), "a.x"},
		"two extensions, one number": {one(func(f *protoFile, side int) {
			f.MessageType[0].ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{{Start: proto.Int32(5), End: proto.Int32(6)}}
			for _, name := range []string{"x", "y"}[:1+side] {
				x := field(name, 5, tInt32, "")
				x.Extendee = proto.String(".a.M")
				f.Extension = append(f.Extension, x)
			}
		}), ""},
		"options that nobody knows": {one(func(f *protoFile, side int) {
			f.MessageType[0].Options = &descriptorpb.MessageOptions{}
			f.MessageType[0].Options.ProtoReflect().SetUnknown([]byte{0xfa, 0x3f, 1, byte(side)})
		}), ""},
		"rules that are no rules": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field[0].Options = &descriptorpb.FieldOptions{}
			f.MessageType[0].Field[0].Options.ProtoReflect().SetUnknown([]byte{0xba, 0x48, 3, 0xff, 0xff, 0xff})
		}), "invalid wire-format data"},
		"entry of one field":       {entry(field("key", 1, tString, "")), "a.M.g"},
		"entry of nothing":         {entry(), "a.M.g"},
		"entry of three":           {entry(field("key", 1, tString, ""), field("value", 2, tString, ""), field("x", 3, tString, "")), "a.M.g"},
		"entry with a float key":   {entry(field("key", 1, tFloat, ""), field("value", 2, tString, "")), "a.M.g"},
		"entry with a message key": {entry(field("key", 1, tMessage, ".a.M"), field("value", 2, tString, "")), "a.M.g"},
		"entry with a list":        {entry(field("key", 1, tString, ""), many(field("value", 2, tString, ""))), "a.M.g"},
		"entry with other names":   {entry(field("k", 1, tString, ""), field("v", 2, tString, "")), "a.M.g"},
		"entry that is single": {func(side int) []*protoFile {
			f := entry(field("key", 1, tString, ""), field("value", 2, tString, ""))(side)[0]
			f.MessageType[0].Field[1].Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
			return []*protoFile{f}
		}, "a.M.g"},
		"entry of itself": {entry(field("key", 1, tString, ""), field("value", 2, tMessage, ".a.M.GEntry")), "a.M.GEntry.value"},
		"method takes an entry": {func(side int) []*protoFile {
			f := entry(field("key", 1, tString, ""), field("value", 2, tString, ""))(side)[0]
			f.Service[0].Method[0].InputType = proto.String(".a.M.GEntry")
			return []*protoFile{f}
		}, ""},
		"group in proto3": {one(func(f *protoFile, _ int) {
			f.Syntax = proto.String("proto3")
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("m", 2, tGroup, ".a.M"))
		}), "a.M.m"},
		"message set": {one(func(f *protoFile, _ int) {
			f.MessageType[0].Field = nil
			f.MessageType[0].Options = &descriptorpb.MessageOptions{MessageSetWireFormat: proto.Bool(true)}
		}), "is a MessageSet"},
		"edition of the future": {one(func(f *protoFile, _ int) {
			f.Syntax, f.Edition = proto.String("editions"), descriptorpb.Edition(99998).Enum()
		}), "edition"},
		"syntax of nobody": {one(func(f *protoFile, _ int) { f.Syntax = proto.String("proto9") }), "syntax"},
		"features of nobody": {one(func(f *protoFile, _ int) {
			f.Syntax, f.Edition = proto.String("editions"), descriptorpb.Edition_EDITION_2023.Enum()
			f.Options = &descriptorpb.FileOptions{Features: &descriptorpb.FeatureSet{
				FieldPresence: descriptorpb.FeatureSet_FieldPresence(77).Enum(), EnumType: descriptorpb.FeatureSet_EnumType(77).Enum(),
				MessageEncoding: descriptorpb.FeatureSet_MessageEncoding(77).Enum(), Utf8Validation: descriptorpb.FeatureSet_Utf8Validation(77).Enum()}}
		}), ""},
		"JSON names that collide": {one(func(f *protoFile, side int) {
			g := field("g", 2, tInt32, "")
			g.JsonName, f.MessageType[0].Field[0].JsonName = proto.String("x"), proto.String("x")
			f.MessageType[0].Field = append(f.MessageType[0].Field, g)
		}), ""},
		"JSON name of no text": {one(func(f *protoFile, side int) { f.MessageType[0].Field[0].JsonName = proto.String("[a.b]\x00\n\"") }), ""},
		"method twice":         {one(func(f *protoFile, _ int) { f.Service[0].Method = append(f.Service[0].Method, f.Service[0].Method[0]) }), "a.S.Do"},
	}
}

// hostileKnownTypes are well-known types that are not what their name says.
func hostileKnownTypes() map[string]hostile {
	rows := map[string]hostile{}
	for _, name := range []string{"Any", "Timestamp", "Duration", "Struct", "ListValue", "Value", "FieldMask", "StringValue", "BoolValue", "BytesValue", "Empty", "NullValue"} {
		for kind, fields := range map[string][]*protoField{
			"empty": nil, "of text": {field("type_url", 1, tString, ""), field("value", 2, tString, "")}, "lists": {many(field("seconds", 1, tBytes, "")), many(field("nanos", 2, tMessage, ".google.protobuf."+name))},
		} {
			want := "google.protobuf." + name + " is not the well-known type of that name"
			if name == "Empty" && kind == "empty" {
				want = ""
			}
			rows[name+" "+kind] = hostile{func(side int) []*protoFile {
				known := &protoFile{Name: proto.String("google/protobuf/x.proto"), Package: proto.String("google.protobuf"), MessageType: []*protoMessage{message(name, fields...)}}
				f := file(message("M", field("f", 1, tMessage, ".google.protobuf."+name), many(field("g", 2, tMessage, ".google.protobuf."+name)), field("h", 3, []descriptorpb.FieldDescriptorProto_Type{tInt32, tString}[side], "")))
				if side == 1 {
					f.MessageType[0].Field[0].Type, f.MessageType[0].Field[0].TypeName = tString.Enum(), nil
				}
				f.Dependency = []string{"google/protobuf/x.proto"}
				return []*protoFile{known, f}
			}, want}
		}
	}
	return rows
}

// Descriptor sets made to hurt are checked or refused, with what is wrong and
// where.
func TestHostileSets(t *testing.T) {
	for name, row := range hostileSets() {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var data [2][]byte
			for side := range data {
				var err error
				if data[side], err = proto.Marshal(&descriptorpb.FileDescriptorSet{File: row.make(side)}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), hang)
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := checkImages(ctx, data[0], data[1])
				done <- err
			}()
			select {
			case err := <-done:
				if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
					t.Errorf("want %q, is %v", row.want, err)
				}
			case <-ctx.Done():
				t.Fatal("it hangs")
			}
		})
	}
}
