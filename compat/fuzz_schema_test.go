package compat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/schema"
)

// schemaMaker invents schemas and changes them as people do, and as they
// should not.
type schemaMaker struct {
	*rand.Rand
	fresh int
}

func (g *schemaMaker) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *schemaMaker, from []T) T { return from[g.IntN(len(from))] }

// name gives names that collide rarely and look alike in JSON sometimes.
func (g *schemaMaker) name() string {
	g.fresh++
	return fmt.Sprintf("f%d", g.fresh)
}

const (
	messageNames = 4
	onlyPayload  = "P" // only Anys hold it, and one of two versions may lack it
	enumNames_   = 2
)

// file invents a schema of a random syntax.
func (g *schemaMaker) file() *descriptorpb.FileDescriptorProto {
	f := &descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t"),
		Dependency: []string{"google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto", "google/protobuf/struct.proto", "google/protobuf/any.proto", "google/protobuf/empty.proto", "google/protobuf/duration.proto", "google/protobuf/field_mask.proto"},
	}
	switch g.IntN(4) {
	case 0:
		f.Syntax = proto.String("proto2")
	case 1:
		f.Syntax = proto.String("proto3")
	case 2:
		f.Syntax, f.Edition = proto.String("editions"), descriptorpb.Edition_EDITION_2023.Enum()
	default:
		f.Syntax, f.Edition = proto.String("editions"), descriptorpb.Edition_EDITION_2024.Enum()
	}
	if f.Edition != nil {
		f.Options = g.fileFeatures()
	}
	for i := range enumNames_ {
		f.EnumType = append(f.EnumType, g.enum(f, i))
	}
	for i := range messageNames {
		f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{Name: proto.String(fmt.Sprintf("M%d", i))})
	}
	f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{Name: proto.String(onlyPayload)})
	for _, m := range f.MessageType {
		if f.GetSyntax() != "proto3" && g.oneIn(3) {
			m.ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{{Start: proto.Int32(100), End: proto.Int32(200)}}
		}
		if g.oneIn(2) {
			m.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("o" + g.name())}}
		}
		for range 1 + g.IntN(5) {
			g.addField(f, m)
		}
		if g.oneIn(4) {
			g.addAny(f, m)
		}
		if len(m.ExtensionRange) > 0 && g.oneIn(2) {
			g.addExtension(f, m)
		}
		if g.oneIn(30) {
			g.widen(f, m)
		}
	}
	f.Service = append(f.Service, g.service())
	return f
}

// fileFeatures are what an edition's file says for all that is in it.
func (g *schemaMaker) fileFeatures() *descriptorpb.FileOptions {
	features := &descriptorpb.FeatureSet{}
	if g.oneIn(4) {
		features.FieldPresence = descriptorpb.FeatureSet_IMPLICIT.Enum()
	}
	if g.oneIn(4) {
		features.EnumType = descriptorpb.FeatureSet_CLOSED.Enum()
	}
	if g.oneIn(3) {
		features.Utf8Validation = descriptorpb.FeatureSet_NONE.Enum()
	}
	if g.oneIn(5) {
		features.RepeatedFieldEncoding = descriptorpb.FeatureSet_EXPANDED.Enum()
	}
	if g.oneIn(6) {
		features.MessageEncoding = descriptorpb.FeatureSet_DELIMITED.Enum()
	}
	return &descriptorpb.FileOptions{Features: features}
}

// widen gives a message more fields than are looked at one by one.
func (g *schemaMaker) widen(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	for n := range int32(26) {
		field := &descriptorpb.FieldDescriptorProto{Name: proto.String(g.name()), Number: proto.Int32(30 + n)}
		g.setType(field)
		g.setLabel(f, m, field)
		m.Field = append(m.Field, field)
	}
}

// makeGroup makes a field of proto2 a group.
func (g *schemaMaker) makeGroup(m *descriptorpb.DescriptorProto, field *descriptorpb.FieldDescriptorProto) {
	name := strings.ToUpper(field.GetName())
	inner := &descriptorpb.FieldDescriptorProto{Name: proto.String("x"), Number: proto.Int32(1), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	g.setType(inner)
	m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{Name: proto.String(name), Field: []*descriptorpb.FieldDescriptorProto{inner}})
	field.Type, field.TypeName = descriptorpb.FieldDescriptorProto_TYPE_GROUP.Enum(), proto.String(".t."+m.GetName()+"."+name)
	field.Label = pick(g, []descriptorpb.FieldDescriptorProto_Label{descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED}).Enum()
}

func (g *schemaMaker) enum(f *descriptorpb.FileDescriptorProto, i int) *descriptorpb.EnumDescriptorProto {
	e := &descriptorpb.EnumDescriptorProto{Name: proto.String(fmt.Sprintf("E%d", i))}
	for j := range 1 + g.IntN(4) {
		number := int32(j)
		if j > 0 && g.oneIn(6) {
			number = -int32(j)
		}
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(fmt.Sprintf("E%d_V%d", i, j)), Number: proto.Int32(number)})
	}
	g.openness(f, e)
	return e
}

func (g *schemaMaker) openness(f *descriptorpb.FileDescriptorProto, e *descriptorpb.EnumDescriptorProto) {
	if f.Edition == nil {
		return
	}
	kind := pick(g, []descriptorpb.FeatureSet_EnumType{descriptorpb.FeatureSet_OPEN, descriptorpb.FeatureSet_CLOSED})
	e.Options = &descriptorpb.EnumOptions{Features: &descriptorpb.FeatureSet{EnumType: kind.Enum()}}
	e.Options.AllowAlias = nil
}

var wellKnownTypes = []string{
	"Int32Value", "StringValue", "BoolValue", "Timestamp", "Duration", "Struct", "Value", "Any", "Empty", "BytesValue", "Int64Value",
	"UInt32Value", "UInt64Value", "FloatValue", "DoubleValue", "ListValue", "FieldMask",
}

const nullValue = ".google.protobuf.NullValue"

// setType gives a field a random type.
func (g *schemaMaker) setType(field *descriptorpb.FieldDescriptorProto) {
	field.TypeName = nil
	t := descriptorpb.FieldDescriptorProto_Type(1 + g.IntN(18))
	if g.oneIn(5) {
		t = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	}
	switch {
	case t == descriptorpb.FieldDescriptorProto_TYPE_GROUP || t == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
		t = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		field.TypeName = proto.String(fmt.Sprintf(".t.M%d", g.IntN(messageNames)))
		if g.oneIn(2) {
			field.TypeName = proto.String(".google.protobuf." + pick(g, wellKnownTypes))
		}
	case t == descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		field.TypeName = proto.String(fmt.Sprintf(".t.E%d", g.IntN(enumNames_)))
		if g.oneIn(8) {
			field.TypeName = proto.String(nullValue)
		}
	}
	field.Type = t.Enum()
}

func (g *schemaMaker) freeNumber(m *descriptorpb.DescriptorProto) int32 {
	for {
		n := int32(1 + g.IntN(20))
		if !slices.ContainsFunc(m.Field, func(f *descriptorpb.FieldDescriptorProto) bool { return f.GetNumber() == n }) {
			return n
		}
	}
}

func (g *schemaMaker) addField(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	if len(m.Field) >= 12 {
		return
	}
	field := &descriptorpb.FieldDescriptorProto{Name: proto.String(g.name()), Number: proto.Int32(g.freeNumber(m))}
	if g.oneIn(7) {
		g.makeMap(m, field)
		m.Field = append(m.Field, field)
		return
	}
	if f.GetSyntax() == "proto2" && g.oneIn(8) {
		g.makeGroup(m, field)
		m.Field = append(m.Field, field)
		return
	}
	g.setType(field)
	g.setLabel(f, m, field)
	m.Field = append(m.Field, field)
}

// addAny adds a field that holds messages of any type.
func (g *schemaMaker) addAny(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	field := &descriptorpb.FieldDescriptorProto{Name: proto.String(g.name()), Number: proto.Int32(g.freeNumber(m))}
	field.Type, field.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".google.protobuf.Any")
	g.setLabel(f, m, field)
	m.Field = append(m.Field, field)
}

// setLabel gives a field a random cardinality, presence and encoding, and a
// place in a oneof sometimes.
func (g *schemaMaker) setLabel(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto, field *descriptorpb.FieldDescriptorProto) {
	field.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	field.OneofIndex, field.Proto3Optional, field.Options, field.DefaultValue = nil, nil, nil, nil
	features := &descriptorpb.FeatureSet{}
	isMessage := field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	switch {
	case g.oneIn(3):
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		if f.Edition != nil && !isMessage && packable(field) {
			features.RepeatedFieldEncoding = pick(g, []descriptorpb.FeatureSet_RepeatedFieldEncoding{descriptorpb.FeatureSet_PACKED, descriptorpb.FeatureSet_EXPANDED}).Enum()
		} else if packable(field) && g.oneIn(3) {
			field.Options = &descriptorpb.FieldOptions{Packed: proto.Bool(g.oneIn(2))}
		}
	case len(m.OneofDecl) > 0 && g.oneIn(3) && m.OneofDecl[0].GetName()[0] == 'o':
		field.OneofIndex = proto.Int32(0)
	case f.GetSyntax() == "proto2" && g.oneIn(8):
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_REQUIRED.Enum()
	case f.GetSyntax() == "proto3" && g.oneIn(2):
		field.Proto3Optional = proto.Bool(true)
	case f.Edition != nil && !isMessage:
		features.FieldPresence = pick(g, []descriptorpb.FeatureSet_FieldPresence{descriptorpb.FeatureSet_EXPLICIT, descriptorpb.FeatureSet_EXPLICIT, descriptorpb.FeatureSet_IMPLICIT, descriptorpb.FeatureSet_IMPLICIT, descriptorpb.FeatureSet_LEGACY_REQUIRED}).Enum()
	}
	if f.Edition != nil {
		if isMessage && g.oneIn(4) {
			features.MessageEncoding = descriptorpb.FeatureSet_DELIMITED.Enum()
		}
		if field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_STRING && g.oneIn(2) {
			features.Utf8Validation = descriptorpb.FeatureSet_NONE.Enum()
		}
		if proto.Size(features) > 0 {
			field.Options = &descriptorpb.FieldOptions{Features: features}
		}
	}
	g.setDefault(f, field, features)
	if g.oneIn(12) {
		field.JsonName = proto.String("j" + g.name())
	} else {
		field.JsonName = nil
	}
}

func (g *schemaMaker) setDefault(f *descriptorpb.FileDescriptorProto, field *descriptorpb.FieldDescriptorProto, features *descriptorpb.FeatureSet) {
	if f.GetSyntax() == "proto3" || field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED || features.GetFieldPresence() == descriptorpb.FeatureSet_IMPLICIT || !g.oneIn(4) {
		return
	}
	switch field.GetType() {
	case descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BYTES:
		field.DefaultValue = proto.String(pick(g, []string{"x", "y", ""}))
	case descriptorpb.FieldDescriptorProto_TYPE_BOOL:
		field.DefaultValue = proto.String("true")
	case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
	case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		if field.GetTypeName() == nullValue {
			return
		}
		field.DefaultValue = proto.String(field.GetTypeName()[3:] + "_V" + pick(g, []string{"0", "1"}))
	default:
		field.DefaultValue = proto.String(pick(g, []string{"0", "1", "7"}))
	}
}

func packable(field *descriptorpb.FieldDescriptorProto) bool {
	switch field.GetType() {
	case descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
		return false
	default:
		return true
	}
}

// mapKeys are the types that a map's key can have.
var mapKeys = []descriptorpb.FieldDescriptorProto_Type{
	descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_UINT32,
	descriptorpb.FieldDescriptorProto_TYPE_SINT32, descriptorpb.FieldDescriptorProto_TYPE_FIXED32, descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_UINT64,
}

// makeMap makes a field a map, with an entry type of its own.
func (g *schemaMaker) makeMap(m *descriptorpb.DescriptorProto, field *descriptorpb.FieldDescriptorProto) {
	entry := entryName(field.GetName())
	m.NestedType = slices.DeleteFunc(m.NestedType, func(n *descriptorpb.DescriptorProto) bool { return n.GetName() == entry })
	key := &descriptorpb.FieldDescriptorProto{Name: proto.String("key"), Number: proto.Int32(1), Type: pick(g, mapKeys).Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	value := &descriptorpb.FieldDescriptorProto{Name: proto.String("value"), Number: proto.Int32(2), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	g.setType(value)
	m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{
		Name: proto.String(entry), Field: []*descriptorpb.FieldDescriptorProto{key, value}, Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
	})
	field.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	field.TypeName = proto.String(".t." + m.GetName() + "." + entry)
	field.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	field.OneofIndex, field.Options, field.DefaultValue = nil, nil, nil
}

func entryName(field string) string { return "F" + field[1:] + "Entry" }

func (g *schemaMaker) addExtension(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	field := &descriptorpb.FieldDescriptorProto{Name: proto.String(g.name()), Number: proto.Int32(int32(100 + g.IntN(4))), Extendee: proto.String(".t." + m.GetName())}
	if slices.ContainsFunc(f.Extension, func(x *descriptorpb.FieldDescriptorProto) bool {
		return x.GetExtendee() == field.GetExtendee() && x.GetNumber() == field.GetNumber()
	}) {
		return
	}
	g.setType(field)
	g.setLabel(&descriptorpb.FileDescriptorProto{Syntax: proto.String("proto2")}, &descriptorpb.DescriptorProto{}, field)
	if field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED {
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	}
	field.JsonName, field.DefaultValue = nil, nil
	if f.Edition != nil {
		field.Options = nil
		features := &descriptorpb.FeatureSet{}
		switch {
		case field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_STRING:
			features.Utf8Validation = pick(g, []descriptorpb.FeatureSet_Utf8Validation{descriptorpb.FeatureSet_NONE, descriptorpb.FeatureSet_VERIFY}).Enum()
		case field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE && g.oneIn(3):
			features.MessageEncoding = descriptorpb.FeatureSet_DELIMITED.Enum()
		}
		if proto.Size(features) > 0 && !g.oneIn(3) {
			field.Options = &descriptorpb.FieldOptions{Features: features}
		}
	}
	f.Extension = append(f.Extension, field)
}

// aliases lets enums have two names for a number where they do.
func aliases(f *descriptorpb.FileDescriptorProto) {
	for _, e := range f.EnumType {
		seen := make(map[int32]bool)
		alias := false
		for _, v := range e.Value {
			alias = alias || seen[v.GetNumber()]
			seen[v.GetNumber()] = true
		}
		if e.Options != nil {
			e.Options.AllowAlias = nil
		}
		if alias {
			if e.Options == nil {
				e.Options = &descriptorpb.EnumOptions{}
			}
			e.Options.AllowAlias = proto.Bool(true)
		}
	}
}

// wellKnownFiles are what every invented schema imports.
var wellKnownFiles = []protoreflect.FileDescriptor{
	wrapperspb.File_google_protobuf_wrappers_proto, timestamppb.File_google_protobuf_timestamp_proto, structpb.File_google_protobuf_struct_proto,
	anypb.File_google_protobuf_any_proto, fieldmaskpb.File_google_protobuf_field_mask_proto, emptypb.File_google_protobuf_empty_proto, durationpb.File_google_protobuf_duration_proto,
}

// tidy makes a message valid where random changes left it otherwise: members
// of a oneof stand together, no oneof is empty, closed enums have presence, a
// proto3 optional has its synthetic oneof.
func tidy(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	slices.SortStableFunc(m.Field, func(a, b *descriptorpb.FieldDescriptorProto) int {
		return order(a.OneofIndex != nil) - order(b.OneofIndex != nil)
	})
	if !slices.ContainsFunc(m.Field, func(x *descriptorpb.FieldDescriptorProto) bool { return x.OneofIndex != nil }) {
		m.OneofDecl = nil
	}
	for _, field := range m.Field {
		if f.Edition != nil && implicit(f, field) {
			tidyImplicit(field)
		}
		if field.OneofIndex != nil || f.GetSyntax() != "proto3" || field.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL {
			field.Proto3Optional = nil
		}
		if field.GetProto3Optional() {
			field.OneofIndex = proto.Int32(int32(len(m.OneofDecl)))
			m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + field.GetName())})
		}
	}
}

// implicit says that a field of an edition has no presence of its own.
func implicit(f *descriptorpb.FileDescriptorProto, field *descriptorpb.FieldDescriptorProto) bool {
	own := field.Options.GetFeatures().GetFieldPresence()
	return own == descriptorpb.FeatureSet_IMPLICIT || own == descriptorpb.FeatureSet_FIELD_PRESENCE_UNKNOWN && f.Options.GetFeatures().GetFieldPresence() == descriptorpb.FeatureSet_IMPLICIT
}

// tidyImplicit: enums may be closed, which implicit presence does not go with,
// nor does a default.
func tidyImplicit(field *descriptorpb.FieldDescriptorProto) {
	field.DefaultValue = nil
	if field.GetType() != descriptorpb.FieldDescriptorProto_TYPE_ENUM || field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED || field.OneofIndex != nil {
		return
	}
	if field.Options == nil {
		field.Options = &descriptorpb.FieldOptions{}
	}
	if field.Options.Features == nil {
		field.Options.Features = &descriptorpb.FeatureSet{}
	}
	field.Options.Features.FieldPresence = descriptorpb.FeatureSet_EXPLICIT.Enum()
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// link makes a Set of a file, or nil when it is no valid schema.
func link(name string, f *descriptorpb.FileDescriptorProto) *schema.Set {
	f = proto.CloneOf(f)
	aliases(f)
	for _, m := range f.MessageType {
		tidy(f, m)
	}
	if slices.ContainsFunc(f.MessageType, oneKey) {
		return nil
	}
	files := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{f}}
	for _, fd := range wellKnownFiles {
		files.File = append(files.File, protodesc.ToFileDescriptorProto(fd))
	}
	set, err := schema.FromDescriptorSet(name, files, func(path string) bool { return path == f.GetName() })
	if err != nil {
		return nil
	}
	return set
}

// oneKey says that two fields of a message have one JSON name, which protoc
// refuses.
func oneKey(m *descriptorpb.DescriptorProto) bool {
	seen := make(map[string]bool)
	for _, field := range m.Field {
		if seen[jsonNameOf(field)] {
			return true
		}
		seen[jsonNameOf(field)] = true
	}
	return false
}
