package compat_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// validateFile is buf/validate/validate.proto with all rules: what schemas in
// tests import.
const validateFile = "testdata/validate/validate.proto"

// TestValidateFileIsTheLibrarys: the file is made of the library's own
// descriptor, without comments and without the CEL by which it defines rules.
// SKEWGATE_UPDATE=1 writes it.
func TestValidateFileIsTheLibrarys(t *testing.T) {
	p := &protoPrinter{}
	file, err := protoregistry.GlobalFiles.FindFileByPath("buf/validate/validate.proto")
	if err != nil {
		t.Fatal(err)
	}
	p.line("// The declarations of protovalidate's options, made of the library's descriptor by")
	p.line("// TestValidateFileIsTheLibrarys. Use the real file in your schemas: https://buf.build/bufbuild/protovalidate")
	p.line("syntax = \"proto2\";\npackage buf.validate;\n")
	for i := range file.Imports().Len() {
		p.line("import %q;", file.Imports().Get(i).Path())
	}
	for i := range file.Extensions().Len() {
		x := file.Extensions().Get(i)
		p.line("extend %s {\n  %s\n}", x.ContainingMessage().FullName(), p.field(x, "optional "))
	}
	for i := range file.Messages().Len() {
		p.message(file.Messages().Get(i))
	}
	for i := range file.Enums().Len() {
		p.enum(file.Enums().Get(i))
	}
	if os.Getenv("SKEWGATE_UPDATE") != "" {
		if err := os.WriteFile(validateFile, p.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(validateFile)
	if err != nil || !bytes.Equal(have, p.Bytes()) {
		t.Errorf("%s is not what protovalidate has (%v): SKEWGATE_UPDATE=1 go test ./compat -run ValidateFile", validateFile, err)
	}
}

// protoPrinter writes declarations as source.
type protoPrinter struct {
	bytes.Buffer
	indent string
}

func (p *protoPrinter) line(format string, args ...any) {
	p.WriteString(p.indent + fmt.Sprintf(format, args...) + "\n")
}

func (p *protoPrinter) block(head string, body func()) {
	p.line("%s {", head)
	p.indent += "  "
	body()
	p.indent = strings.TrimPrefix(p.indent, "  ")
	p.line("}")
}

func (p *protoPrinter) message(md protoreflect.MessageDescriptor) {
	p.block("message "+string(md.Name()), func() {
		for i := range md.ExtensionRanges().Len() {
			r := md.ExtensionRanges().Get(i)
			p.line("extensions %d to %d;", r[0], r[1]-1)
		}
		for i := range md.Fields().Len() {
			if fd := md.Fields().Get(i); fd.ContainingOneof() == nil {
				p.line("%s", p.field(fd, fd.Cardinality().String()+" "))
			}
		}
		for i := range md.Oneofs().Len() {
			od := md.Oneofs().Get(i)
			p.block("oneof "+string(od.Name()), func() {
				for j := range od.Fields().Len() {
					p.line("%s", p.field(od.Fields().Get(j), ""))
				}
			})
		}
		for i := range md.Messages().Len() {
			p.message(md.Messages().Get(i))
		}
	})
}

func (p *protoPrinter) field(fd protoreflect.FieldDescriptor, label string) string {
	kind := fd.Kind().String()
	switch {
	case fd.Message() != nil:
		kind = "." + string(fd.Message().FullName())
	case fd.Enum() != nil:
		kind = "." + string(fd.Enum().FullName())
	}
	return fmt.Sprintf("%s%s %s = %d;", label, kind, fd.Name(), fd.Number())
}

func (p *protoPrinter) enum(ed protoreflect.EnumDescriptor) {
	p.block("enum "+string(ed.Name()), func() {
		if ed.Options().(*descriptorpb.EnumOptions).GetAllowAlias() {
			p.line("option allow_alias = true;")
		}
		for i := range ed.Values().Len() {
			p.line("%s = %d;", ed.Values().Get(i).Name(), ed.Values().Get(i).Number())
		}
	})
}
