package schema

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/skewgate/skewgate/problem"
)

var scanSeeds = []string{
	`syntax = "proto3"; package a.b; import public "x.proto"; message M { repeated .a.B b = 1 [(x) = {a: "]"}, deprecated = true, (y).z = 2]; oneof o { int32 i = 2; } map<string, M> m = 3; reserved 4 to max, "r"; }`,
	`syntax = "proto2"; message M { optional group G = 1 { optional G g = 1; } extensions 100 to max [declaration = {number: 100}]; extend M { optional M x = 100; } } extend M { repeated group H = 101 { } }`,
	`edition = "2024"; option features.field_presence = IMPLICIT; export message M { local enum E { A = 0; B = -1 [deprecated = true]; } option (o) = { [a.b]: 1 }; } service S { rpc X(stream M) returns (.M) { option idempotency_level = IDEMPOTENT; } rpc Y(M) returns (stream M); }`,
	"message M { optional.Foo x = 1; } /* no end", `enum E { option = 1; reserved = 2; }`, `service S { rpc stream(stream) returns (stream.X); }`,
}

// The scanner and the reducer survive any text, stay inside of it, and do not
// see comments and layout.
func FuzzScan(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file := declare(text, newInterner())
		trimmed := bytes.TrimPrefix(text, byteOrderMark)
		for i, d := range file.decls {
			if file.odd {
				break
			}
			if d.start < 0 || d.end > len(trimmed) || d.start >= d.end || d.parent >= i || d.name == "" {
				t.Fatalf("declaration %+v in %q", d, text)
			}
			if d.parent >= 0 && (d.start < file.decls[d.parent].start || d.end > file.decls[d.parent].end) {
				t.Fatalf("declaration %+v leaves its parent in %q", d, text)
			}
		}
		if file.odd {
			return
		}
		all := reducer{file: &indexedFile{fileDecls: file}, text: trimmed, kept: func(int) bool { return true }}
		reduced := all.reduce(file.imports)
		again := declare(reduced, newInterner())
		if again.odd || len(again.decls) != len(file.decls) || len(again.imports) != len(file.imports) {
			t.Fatalf("%q is reduced to %q", text, reduced)
		}
		for i := range file.decls {
			if a, b := file.decls[i], again.decls[i]; a.name != b.name || a.kind != b.kind || a.digest != b.digest {
				t.Fatalf("%q is reduced to %q: %s %x is %s %x", text, reduced, a.name, a.digest, b.name, b.digest)
			}
		}
		none := reducer{file: &indexedFile{fileDecls: file}, text: trimmed, kept: func(int) bool { return false }}
		none.reduce(nil)
	})
}

// Any source gives a Set or an error, and the scanner understands what the
// compiler accepts.
func FuzzSource(f *testing.F) {
	for _, s := range scanSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		in := Sources(map[string]string{"a.proto": text})
		full, err := LoadPair(ctx, in, in, Options{Full: true, Want: func(*Manifest) *Want { return &Want{All: true} }})
		if ctx.Err() != nil {
			t.Fatal("it hangs")
		}
		if err != nil {
			return
		}
		short, err := LoadPair(ctx, in, in, Options{Want: func(*Manifest) *Want { return &Want{All: true} }})
		if err != nil {
			t.Fatalf("refused with shortcuts: %v", err)
		}
		sameAsFull(t, short, full)
	})
}

func FuzzParseInput(f *testing.F) {
	for _, s := range []string{"-", ".", ".git#tag=v1,subdir=a", "a@b", "x,prefix=y", "#branch=x", "https://x#tag=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := ParseInput(text)
		var list problem.List
		if err != nil && !errors.As(err, &list) {
			t.Fatalf("%T is no problem.List", err)
		}
		if err == nil && (in.Kind == 0 || in.String() != text) {
			t.Fatalf("%q: %+v", text, in)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("apiVersion: skewgate/v1\nkind: App\napp: shop\nschema: {roots: [proto]}\nexports:\n  Cart: {services: [a.B], state: opaque}\ncompat: {waivers: [{rule: X, path: y, reason: z, expires: 2027-01-01}]}\n"))
	f.Add([]byte("binds: &a {x: *a}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest("m.yaml", data)
		var list problem.List
		if err != nil && !errors.As(err, &list) {
			t.Fatalf("%T is no problem.List: %v", err, err)
		}
		if err == nil && (m.App == "" || len(m.Roots) == 0 || m.Profile == "") {
			t.Fatalf("%q is accepted as %+v", data, m)
		}
	})
}

func FuzzImage(f *testing.F) {
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		{Name: proto.String("a"), Package: proto.String("p"), MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M")}}, Dependency: []string{"google/protobuf/any.proto"}},
		{Name: proto.String("b"), Dependency: []string{"a"}, PublicDependency: []int32{0}, Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"),
			Method: []*descriptorpb.MethodDescriptorProto{{Name: proto.String("R"), InputType: proto.String(".p.M"), OutputType: proto.String("p.M")}}}}},
	}}
	data, err := proto.Marshal(set)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"file":[{"name":"a","options":{"[x]":1},"bufExtension":{"isImport":true}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := loadImage(t.Context(), Input{Kind: KindStdin, Text: "-"}, Options{Stdin: bytes.NewReader(data)})
		if err != nil {
			return
		}
		if _, err := s.Digest(); err != nil {
			t.Fatalf("digest: %v", err)
		}
		for _, service := range s.Services() {
			s.Place(service)
		}
	})
}
