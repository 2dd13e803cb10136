package schema

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// describe writes down everything about a declaration and what it reaches that
// a rule may look at, so that two compilations can be compared.
func describe(d protoreflect.Descriptor, set *Set, into map[string]string) {
	if _, done := into[string(d.FullName())]; done {
		return
	}
	into[string(d.FullName())] = ""
	var text proto.Message
	switch d := d.(type) {
	case protoreflect.ServiceDescriptor:
		for i := range d.Methods().Len() {
			describe(d.Methods().Get(i), set, into)
		}
		return
	case protoreflect.MethodDescriptor:
		text = protodesc.ToMethodDescriptorProto(d)
		describe(d.Input(), set, into)
		describe(d.Output(), set, into)
	case protoreflect.EnumDescriptor:
		text = protodesc.ToEnumDescriptorProto(d)
	case protoreflect.MessageDescriptor:
		m := protodesc.ToDescriptorProto(d)
		m.NestedType, m.EnumType, m.Extension = nil, nil, nil
		text = m
		fields := []protoreflect.FieldDescriptor{}
		for i := range d.Fields().Len() {
			fields = append(fields, d.Fields().Get(i))
		}
		if d.ExtensionRanges().Len() > 0 && !strings.HasPrefix(string(d.FullName()), "google.protobuf.") {
			set.Files().RangeFiles(func(f protoreflect.FileDescriptor) bool {
				eachExtension(f, func(x protoreflect.ExtensionDescriptor) {
					if x.ContainingMessage().FullName() == d.FullName() {
						fields = append(fields, x)
					}
				})
				return true
			})
		}
		for _, f := range fields {
			if f.IsExtension() {
				into[string(f.FullName())] = normal(protodesc.ToFieldDescriptorProto(f))
			}
			into[string(f.FullName())+" features"] = features(f)
			if f.Message() != nil {
				describe(f.Message(), set, into)
			}
			if f.Enum() != nil {
				describe(f.Enum(), set, into)
			}
		}
	}
	into[string(d.FullName())] = normal(text)
}

func features(f protoreflect.FieldDescriptor) string {
	strictUTF8 := "?"
	if e, ok := f.(interface{ EnforceUTF8() bool }); ok {
		strictUTF8 = map[bool]string{true: "utf8", false: "bytes"}[e.EnforceUTF8()]
	}
	return strings.Join([]string{f.Cardinality().String(), f.Kind().String(), strictUTF8,
		map[bool]string{true: "presence", false: ""}[f.HasPresence()], map[bool]string{true: "packed", false: ""}[f.IsPacked()]}, " ")
}

func eachExtension(in interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
}, do func(protoreflect.ExtensionDescriptor)) {
	for i := range in.Extensions().Len() {
		do(in.Extensions().Get(i))
	}
	for i := range in.Messages().Len() {
		eachExtension(in.Messages().Get(i), do)
	}
}

// normal is the text of a descriptor without options that no rule reads.
func normal(m proto.Message) string {
	m = proto.Clone(m)
	dropOptions(m.ProtoReflect())
	text, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return string(text)
}

func dropOptions(m protoreflect.Message) {
	var empty []protoreflect.FieldDescriptor
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsExtension() && !strings.HasPrefix(string(f.FullName()), "buf.validate."):
			empty = append(empty, f)
		case f.Message() != nil && f.IsList():
			for i := range v.List().Len() {
				dropOptions(v.List().Get(i).Message())
			}
		case f.Message() != nil && !f.IsMap():
			dropOptions(v.Message())
			if isOptions(v.Message()) && proto.Size(v.Message().Interface()) == 0 {
				empty = append(empty, f)
			}
		}
		return true
	})
	for _, f := range empty {
		m.Clear(f)
	}
	if isOptions(m) {
		m.SetUnknown(nil)
	}
}

func isOptions(m protoreflect.Message) bool {
	switch m.Interface().(type) {
	case *descriptorpb.MessageOptions, *descriptorpb.FieldOptions, *descriptorpb.EnumOptions, *descriptorpb.EnumValueOptions,
		*descriptorpb.MethodOptions, *descriptorpb.ServiceOptions, *descriptorpb.OneofOptions, *descriptorpb.ExtensionRangeOptions:
		return true
	}
	return false
}

// sameAsFull checks that a Pair with shortcuts tells the same as one without:
// what it calls unchanged is equal when compiled in full, and what it compiled
// is what a full compilation gives. It returns how much was unchanged and
// compiled, so that a test knows it checked something.
func sameAsFull(t testing.TB, short, full *Pair) (unchanged, compiled int) {
	t.Helper()
	equal := func(what string, a, b map[string]string) {
		t.Helper()
		for _, name := range slices.Sorted(keysOf(a, b)) {
			if a[name] != b[name] {
				t.Errorf("%s: %s differs:\n%q\n%q", what, name, a[name], b[name])
				return
			}
		}
	}
	described := func(d protoreflect.Descriptor, set *Set) map[string]string {
		m := map[string]string{}
		describe(d, set, m)
		return m
	}
	for i, side := range [][2]*Set{{short.Old, full.Old}, {short.New, full.New}} {
		other := [2]*Set{full.New, full.Old}[i]
		for _, s := range side[1].Services() {
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				got, _ := side[0].find(m.FullName()).(protoreflect.MethodDescriptor)
				twin, _ := other.find(m.FullName()).(protoreflect.MethodDescriptor)
				switch {
				case short.UnchangedMethod(m.FullName()):
					unchanged++
					if got != nil || twin == nil {
						t.Errorf("%s is called unchanged", m.FullName())
						continue
					}
					equal("unchanged", described(m, side[1]), described(twin, other))
				case got == nil:
					t.Errorf("%s is missing", m.FullName())
				case twin == nil: // shown
					if got.IsStreamingClient() != m.IsStreamingClient() || got.IsStreamingServer() != m.IsStreamingServer() ||
						got.Input().FullName() != m.Input().FullName() || got.Output().FullName() != m.Output().FullName() {
						t.Errorf("%s is shown as another", m.FullName())
					}
				default:
					compiled++
					equal("compiled", described(got, side[0]), described(m, side[1]))
				}
			}
			if got := side[0].Service(s.FullName()); got == nil && !short.UnchangedService(s.FullName()) {
				t.Errorf("service %s is missing", s.FullName())
			} else if got != nil && side[0].Place(got) != side[1].Place(s) {
				t.Errorf("service %s is at %v, not %v", s.FullName(), side[0].Place(got), side[1].Place(s))
			}
		}
	}
	return unchanged, compiled
}

func keysOf(maps ...map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range maps {
			for k := range m {
				if !seen[k] {
					seen[k] = true
					if !yield(k) {
						return
					}
				}
			}
		}
	}
}
