package compat

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// mutate makes a new version of a schema: one to three changes.
func (g *schemaMaker) mutate(old *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f := proto.CloneOf(old)
	for range 1 + g.IntN(3) {
		g.change(f, pick(g, f.MessageType))
	}
	if g.oneIn(2) {
		g.changeService(f.Service[0])
	}
	if gone := f; g.oneIn(4) {
		if g.oneIn(2) {
			gone = old
		}
		gone.MessageType = slices.DeleteFunc(gone.MessageType, func(m *descriptorpb.DescriptorProto) bool { return m.GetName() == onlyPayload })
	}
	return f
}

func (g *schemaMaker) change(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	field := pick(g, m.Field)
	isMap := len(field.GetTypeName()) > 5 && field.GetTypeName()[len(field.GetTypeName())-5:] == "Entry"
	isGroup := field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP
	switch g.IntN(28) {
	case 0, 1:
		if isMap {
			g.makeMap(m, field)
			return
		}
		g.setType(field)
		g.setLabel(f, m, field)
	case 2:
		g.addField(f, m)
	case 3:
		if len(m.Field) > 1 {
			m.Field = slices.DeleteFunc(m.Field, func(x *descriptorpb.FieldDescriptorProto) bool { return x == field })
		}
	case 4:
		field.Number = proto.Int32(g.freeNumber(m))
	case 5:
		other := pick(g, m.Field)
		field.Number, other.Number = other.Number, field.Number
	case 6:
		if !isMap && !isGroup {
			field.Name = proto.String(g.name())
		}
	case 7, 8:
		if !isMap && !isGroup {
			g.setLabel(f, m, field)
		}
	case 9:
		g.makeMap(m, field)
	case 10:
		g.changeEnum(f, pick(g, f.EnumType))
	case 11:
		g.openness(f, pick(g, f.EnumType))
	case 12:
		if len(m.ExtensionRange) > 0 {
			g.addExtension(f, m)
		}
	case 13:
		if len(f.Extension) > 0 {
			i := g.IntN(len(f.Extension))
			f.Extension = slices.Delete(f.Extension, i, i+1)
		}
	case 14:
		g.toOneof(m, field)
	case 15:
		other := pick(g, m.Field)
		field.JsonName, other.JsonName = proto.String(jsonNameOf(other)), proto.String(jsonNameOf(field))
	case 16:
		other := pick(g, m.Field)
		field.JsonName = proto.String(jsonNameOf(other))
		m.Field = slices.DeleteFunc(m.Field, func(x *descriptorpb.FieldDescriptorProto) bool { return x == other && x != field })
	case 17:
		if isMap {
			toEntries(m, field)
		}
	case 18:
		if isGroup {
			field.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		} else if f.GetSyntax() == "proto2" && !isMap {
			g.makeGroup(m, field)
		}
	case 20, 21, 22:
		if !isMap && !isGroup {
			g.nearType(field)
		}
	case 23, 24:
		g.changeEnum(f, pick(g, f.EnumType))
	case 25:
		g.toField(f, m)
	case 26:
		m.Field = slices.DeleteFunc(m.Field, func(x *descriptorpb.FieldDescriptorProto) bool { return x == field && x.OneofIndex != nil })
		if len(m.Field) == 0 {
			g.addField(f, m)
		}
	case 19:
		if f.Edition != nil {
			f.Options = g.fileFeatures()
		}
	default:
		g.otherSyntax(f)
	}
}

func jsonNameOf(field *descriptorpb.FieldDescriptorProto) string {
	if field.JsonName != nil {
		return field.GetJsonName()
	}
	return field.GetName() // names here have no underscore
}

// near lists the types that people take for one another.
var near = [][]descriptorpb.FieldDescriptorProto_Type{
	{
		descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_UINT32, descriptorpb.FieldDescriptorProto_TYPE_UINT64,
		descriptorpb.FieldDescriptorProto_TYPE_SINT32, descriptorpb.FieldDescriptorProto_TYPE_SINT64, descriptorpb.FieldDescriptorProto_TYPE_BOOL, descriptorpb.FieldDescriptorProto_TYPE_ENUM,
	},
	{descriptorpb.FieldDescriptorProto_TYPE_FIXED32, descriptorpb.FieldDescriptorProto_TYPE_SFIXED32, descriptorpb.FieldDescriptorProto_TYPE_FLOAT},
	{descriptorpb.FieldDescriptorProto_TYPE_FIXED64, descriptorpb.FieldDescriptorProto_TYPE_SFIXED64, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE},
	{descriptorpb.FieldDescriptorProto_TYPE_FLOAT, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE},
	{descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE},
}

// nearType gives a field a type that is much like its own, and leaves all else
// as it is.
func (g *schemaMaker) nearType(field *descriptorpb.FieldDescriptorProto) {
	like := slices.DeleteFunc(slices.Clone(near), func(types []descriptorpb.FieldDescriptorProto_Type) bool {
		return !slices.Contains(types, field.GetType())
	})
	if len(like) == 0 {
		return
	}
	t := pick(g, pick(g, like))
	field.DefaultValue = nil
	if !packable(&descriptorpb.FieldDescriptorProto{Type: t.Enum()}) {
		field.Options = nil
	}
	if f := field.Options.GetFeatures(); f != nil {
		f.Utf8Validation, f.MessageEncoding = nil, nil
	}
	field.Type, field.TypeName = t.Enum(), nil
	switch t {
	case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		field.TypeName = proto.String(fmt.Sprintf(".t.E%d", g.IntN(enumNames_)))
	case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
		field.TypeName = g.callType()
	}
}

// toField makes an extension a regular field of its message.
func (g *schemaMaker) toField(f *descriptorpb.FileDescriptorProto, m *descriptorpb.DescriptorProto) {
	name := ".t." + m.GetName()
	i := slices.IndexFunc(f.Extension, func(x *descriptorpb.FieldDescriptorProto) bool { return x.GetExtendee() == name })
	if i < 0 {
		return
	}
	field := proto.CloneOf(f.Extension[i])
	field.Extendee = nil
	m.Field = append(m.Field, field)
	f.Extension = slices.DeleteFunc(f.Extension, func(x *descriptorpb.FieldDescriptorProto) bool { return x.GetExtendee() == name })
	m.ExtensionRange = nil
}

// toEntries makes a map a list of messages of the same form.
func toEntries(m *descriptorpb.DescriptorProto, field *descriptorpb.FieldDescriptorProto) {
	name := strings.TrimPrefix(field.GetTypeName(), ".t."+m.GetName()+".")
	for _, entry := range m.NestedType {
		if entry.GetName() != name {
			continue
		}
		rows := proto.CloneOf(entry)
		rows.Name, rows.Options = proto.String(strings.TrimSuffix(name, "Entry")+"Row"), nil
		m.NestedType = append(m.NestedType, rows)
		field.TypeName = proto.String(".t." + m.GetName() + "." + rows.GetName())
		return
	}
}

func (g *schemaMaker) toOneof(m *descriptorpb.DescriptorProto, field *descriptorpb.FieldDescriptorProto) {
	if field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED || field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED {
		return
	}
	if field.OneofIndex != nil {
		field.OneofIndex = nil
		return
	}
	if len(m.OneofDecl) == 0 {
		m.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("o" + g.name())}}
	}
	field.OneofIndex = proto.Int32(0)
	if field.Options.GetFeatures() != nil {
		field.Options.Features.FieldPresence = nil
	}
}

func (g *schemaMaker) changeEnum(f *descriptorpb.FileDescriptorProto, e *descriptorpb.EnumDescriptorProto) {
	i := g.IntN(len(e.Value))
	v := e.Value[i]
	switch g.IntN(5) {
	case 0:
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(e.GetName() + "_" + g.name()), Number: proto.Int32(int32(5 + g.IntN(3)))})
	case 1:
		if len(e.Value) > 1 && i > 0 {
			e.Value = slices.Delete(e.Value, i, i+1)
		}
	case 2:
		v.Name = proto.String(e.GetName() + "_" + g.name())
	case 3:
		other := e.Value[g.IntN(len(e.Value))]
		if f.GetSyntax() == "proto2" || i > 0 && other != e.Value[0] {
			v.Number, other.Number = other.Number, v.Number
		}
	default:
		alias := &descriptorpb.EnumValueDescriptorProto{Name: proto.String(e.GetName() + "_" + g.name()), Number: proto.Int32(v.GetNumber())}
		e.Value = slices.Insert(e.Value, i+g.IntN(2), alias)
	}
}

// otherSyntax moves a file to another syntax; features that it cannot say go.
func (g *schemaMaker) otherSyntax(f *descriptorpb.FileDescriptorProto) {
	was := f.GetSyntax()
	to := pick(g, []string{"proto2", "proto3", "editions"})
	f.Syntax, f.Edition = proto.String(to), nil
	if to == "editions" {
		f.Edition = pick(g, []descriptorpb.Edition{descriptorpb.Edition_EDITION_2023, descriptorpb.Edition_EDITION_2024}).Enum()
		g.toEdition(f, was)
		return
	}
	f.Options = nil
	for _, e := range f.EnumType {
		e.Options = nil
	}
	for _, m := range f.MessageType {
		if to == "proto3" {
			m.ExtensionRange = nil
		}
		for _, field := range m.Field {
			if field.Options.GetFeatures() != nil {
				field.Options = nil
			}
			if to == "proto3" {
				toProto3(field)
			}
		}
		for _, nested := range m.NestedType {
			for _, field := range nested.Field {
				if to == "proto3" {
					toProto3(field)
				}
			}
		}
	}
	for _, field := range f.Extension {
		field.Options = nil
	}
	if to == "proto3" {
		f.Extension = nil
	}
}

func toProto3(field *descriptorpb.FieldDescriptorProto) {
	field.DefaultValue = nil
	if field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED {
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	}
	if field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP {
		field.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	}
}

// toEdition says in features what the syntax said; what enums and strings do
// may change.
func (g *schemaMaker) toEdition(f *descriptorpb.FileDescriptorProto, was string) {
	for _, m := range f.MessageType {
		for _, field := range m.Field {
			g.toFeatures(field, was)
		}
	}
	for _, field := range f.Extension {
		g.toFeatures(field, "proto2")
	}
}

func (g *schemaMaker) toFeatures(field *descriptorpb.FieldDescriptorProto, was string) {
	if was == "editions" {
		return
	}
	features := &descriptorpb.FeatureSet{}
	single := field.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_REPEATED && field.OneofIndex == nil && field.GetType() != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	switch {
	case field.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED:
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		features.FieldPresence = descriptorpb.FeatureSet_LEGACY_REQUIRED.Enum()
	case field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP:
		field.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		features.MessageEncoding = descriptorpb.FeatureSet_DELIMITED.Enum()
	case was == "proto3" && single && !field.GetProto3Optional():
		features.FieldPresence = descriptorpb.FeatureSet_IMPLICIT.Enum()
	case field.GetType() == descriptorpb.FieldDescriptorProto_TYPE_STRING && g.oneIn(2):
		features.Utf8Validation = descriptorpb.FeatureSet_NONE.Enum()
	}
	field.Proto3Optional, field.Options = nil, nil
	if proto.Size(features) > 0 {
		field.Options = &descriptorpb.FieldOptions{Features: features}
	}
}
