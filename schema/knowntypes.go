package schema

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// checkKnownTypes refuses well-known types that are not what their name says:
// a JSON encoder treats them by name, and ends the process at fields that are
// not as it knows them.
func checkKnownTypes(files *protoregistry.Files) error {
	for _, known := range []protoreflect.FileDescriptor{
		anypb.File_google_protobuf_any_proto, durationpb.File_google_protobuf_duration_proto,
		emptypb.File_google_protobuf_empty_proto, fieldmaskpb.File_google_protobuf_field_mask_proto,
		structpb.File_google_protobuf_struct_proto, timestamppb.File_google_protobuf_timestamp_proto,
		wrapperspb.File_google_protobuf_wrappers_proto,
	} {
		for i := range known.Messages().Len() {
			want := known.Messages().Get(i)
			found, err := files.FindDescriptorByName(want.FullName())
			if err != nil {
				continue // not there
			}
			if message, ok := found.(protoreflect.MessageDescriptor); !ok || !sameFields(message, want) {
				return fmt.Errorf("%s: %s is not the well-known type of that name", found.ParentFile().Path(), want.FullName())
			}
		}
		for i := range known.Enums().Len() {
			want := known.Enums().Get(i)
			found, err := files.FindDescriptorByName(want.FullName())
			if err != nil {
				continue
			}
			if _, ok := found.(protoreflect.EnumDescriptor); !ok {
				return fmt.Errorf("%s: %s is not the well-known type of that name", found.ParentFile().Path(), want.FullName())
			}
		}
	}
	return nil
}

func sameFields(got, want protoreflect.MessageDescriptor) bool {
	if got.IsPlaceholder() {
		return true
	}
	for i := range want.Fields().Len() {
		w := want.Fields().Get(i)
		g := got.Fields().ByNumber(w.Number())
		if g == nil || g.Name() != w.Name() || g.Kind() != w.Kind() || g.IsList() != w.IsList() || g.IsMap() != w.IsMap() || typeName(g) != typeName(w) {
			return false
		}
	}
	return got.Fields().Len() == want.Fields().Len() && got.RequiredNumbers().Len() == 0
}

func typeName(f protoreflect.FieldDescriptor) protoreflect.FullName {
	switch {
	case f.Message() != nil:
		return f.Message().FullName()
	case f.Enum() != nil:
		return f.Enum().FullName()
	}
	return ""
}
