package compat

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// checksUTF8 says that a reader which follows the specification refuses text
// in this field that is not UTF-8, and that a writer does not write any.
func checksUTF8(fd protoreflect.FieldDescriptor) bool {
	if fd.IsExtension() {
		return extensionChecksUTF8(fd)
	}
	if x, ok := fd.(interface{ EnforceUTF8() bool }); ok {
		return x.EnforceUTF8()
	}
	return fd.Syntax() == protoreflect.Proto3
}

// extensionChecksUTF8 resolves features.utf8_validation of an extension: its
// own, else that of what it is declared in, else what editions begin with.
// protobuf-go keeps it for fields only.
func extensionChecksUTF8(xd protoreflect.FieldDescriptor) bool {
	if xd.Syntax() != protoreflect.Editions {
		return xd.Syntax() == protoreflect.Proto3
	}
	for d := protoreflect.Descriptor(xd); d != nil; d = d.Parent() {
		options, ok := d.Options().(interface {
			GetFeatures() *descriptorpb.FeatureSet
		})
		if !ok {
			continue
		}
		if f := options.GetFeatures(); f != nil && f.Utf8Validation != nil {
			return f.GetUtf8Validation() == descriptorpb.FeatureSet_VERIFY
		}
	}
	return true
}

// refusesBadText says that readers of a profile refuse text of this field that
// is not UTF-8. Go does not look at that of extensions in an edition, whatever
// their features say (protobuf-go, internal/strs).
func refusesBadText(fd protoreflect.FieldDescriptor, p Profile) bool {
	return checksUTF8(fd) && (p == Spec || !fd.IsExtension() || fd.Syntax() != protoreflect.Editions)
}

// checkExtensionText does what the specification says and Go does not: text of
// extensions that is not UTF-8 is refused.
func checkExtensionText(m protoreflect.Message) error {
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		checked := fd.IsExtension() && fd.Kind() == protoreflect.StringKind && checksUTF8(fd)
		element := elementOf(fd)
		if !checked && !isMessage(element) {
			return true
		}
		one := func(v protoreflect.Value) {
			switch {
			case failed != nil:
			case isMessage(element):
				failed = checkExtensionText(v.Message())
			case !utf8.ValidString(v.String()):
				failed = fmt.Errorf("string field %s contains invalid UTF-8", fd.FullName())
			}
		}
		switch shapeOf(fd) {
		case mapping:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { one(v); return failed == nil })
		case list:
			for i := range v.List().Len() {
				one(v.List().Get(i))
			}
		default:
			one(v)
		}
		return failed == nil
	})
	return failed
}
