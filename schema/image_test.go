package schema_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/skewgate/skewgate/schema"
)

func compiled(t *testing.T, files map[string]string) *descriptorpb.FileDescriptorSet {
	t.Helper()
	set, err := schema.Load(t.Context(), schema.Sources(files), schema.Options{Want: everything, Full: true})
	if err != nil {
		t.Fatal(err)
	}
	return set.DescriptorSet()
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func TestImagesAreReadInEveryForm(t *testing.T) {
	set := compiled(t, map[string]string{
		"shop/v1/cart.proto": cartProto,
		"lib/lib.proto":      `syntax = "proto3"; package lib; service Lib {}`,
	})
	for _, file := range set.File { // as buf marks an import
		if file.GetName() == "lib/lib.proto" {
			mark := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
			file.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 8042, protowire.BytesType), mark))
		}
	}
	binary, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	json, err := protojson.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	json = bytes.Replace(json, []byte(`"name":"lib/lib.proto"`), []byte(`"name":"lib/lib.proto","bufExtension":{"isImport":true}`), 1)
	json = bytes.Replace(json, []byte(`"name": "lib/lib.proto"`), []byte(`"name":"lib/lib.proto","bufExtension":{"isImport":true}`), 1)
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"a.binpb": binary, "a.binpb.gz": zipped(binary), "a.bin": binary, "a.json": json, "a.json.gz": zipped(json), "wrongly-named.json": binary,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		check := func(set *schema.Set) {
			if got := serviceNames(set); got != "shop.v1.CartService" {
				t.Errorf("%s: services %q", name, got)
			}
			if set.Service("lib.Lib") == nil {
				t.Errorf("%s: the import's service cannot be found", name)
			}
			if got := set.Place(set.Service("shop.v1.CartService")); got != (schema.Place{File: "shop/v1/cart.proto"}) {
				t.Errorf("%s: place without source info %+v", name, got)
			}
		}
		check(mustLoad(t, filepath.Join(dir, name), schema.Options{}))
		check(mustLoad(t, "-", schema.Options{Stdin: bytes.NewReader(data)}))
	}
}

func TestImageKeepsOptionsOfItsOwnExtensionsInJSON(t *testing.T) {
	set := compiled(t, map[string]string{"a.proto": `syntax = "proto2"; package a;
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional string rule = 50001; }
message M { optional string s = 1 [(rule) = "short"]; }
service A {}`})
	json := strings.Replace(string(must(protojson.Marshal(set))), `"options":{}`, `"options":{"[a.rule]":"short"}`, 1)
	got := mustLoad(t, "-", schema.Options{Stdin: strings.NewReader(json)})
	options := got.Message("a.M").Fields().Get(0).Options().ProtoReflect()
	want := protowire.AppendString(protowire.AppendTag(nil, 50001, protowire.BytesType), "short")
	if !bytes.Equal(options.GetUnknown(), want) {
		t.Errorf("options %x, want %x", options.GetUnknown(), want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestImageHasPlacesWhenItHasSourceInfo(t *testing.T) {
	set := compiled(t, map[string]string{"a.proto": simpleA})
	set.File[0].SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{Path: []int32{6, 0}, Span: []int32{0, 30, 42}}}}
	got := mustLoad(t, "-", schema.Options{Stdin: bytes.NewReader(must(proto.Marshal(set)))})
	if place := got.Place(got.Service("a.A")); place != (schema.Place{File: "a.proto", Line: 1, Column: 31}) {
		t.Errorf("place %+v", place)
	}
}

func TestBadImagesAreRefusedWithWhatToDo(t *testing.T) {
	complete := compiled(t, map[string]string{"shop/v1/cart.proto": cartProto, "b.proto": `syntax = "proto3"; import "shop/v1/cart.proto"; message B { shop.v1.Cart c = 1; }`})
	partial := &descriptorpb.FileDescriptorSet{}
	for _, file := range complete.File {
		if file.GetName() == "b.proto" {
			partial.File = append(partial.File, file)
		}
	}
	twice := &descriptorpb.FileDescriptorSet{File: append(complete.File[:1:1], complete.File...)}
	cyclic := compiled(t, map[string]string{"a.proto": simpleA})
	cyclic.File[0].Dependency = []string{"a.proto"}
	for name, row := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":    {nil, "has no files"},
		"text":       {[]byte("hello, world"), "is not a FileDescriptorSet"},
		"JSON":       {[]byte(`{"file": [7]}`), "is not a FileDescriptorSet"},
		"cut gzip":   {zipped([]byte("hello"))[:12], "unexpected EOF"},
		"no imports": {must(proto.Marshal(partial)), "b.proto imports shop/v1/cart.proto, which is not in the set"},
		"file twice": {must(proto.Marshal(twice)), "not a valid descriptor set"},
		"cycle":      {must(proto.Marshal(cyclic)), "not a valid descriptor set"},
		"deep":       {[]byte(`{"file":[{"messageType":[` + strings.Repeat(`{"nestedType":[`, 5000) + strings.Repeat(`]}`, 5000) + `]}]}`), "is not a FileDescriptorSet"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, "-", schema.Options{Stdin: bytes.NewReader(row.data)})
			wantError(t, err, row.want)
		})
	}
}

// registry is a Registry in memory.
type registry map[string]schema.Pushed

func (r registry) Get(_ context.Context, app, version string) (schema.Pushed, error) {
	p, ok := r[app+"@"+version]
	if !ok {
		return p, fmt.Errorf("%s@%s: %w", app, version, schema.ErrUnknown)
	}
	return p, nil
}

func (r registry) Versions(context.Context, string) ([]string, error) { return nil, nil }

func TestVersionsComeFromTheRegistry(t *testing.T) {
	set := compiled(t, map[string]string{"shop/v1/cart.proto": cartProto})
	r := registry{"shop@v41": {
		DescriptorSet: zipped(must(proto.Marshal(set))),
		Manifest:      []byte("apiVersion: skewgate/v1\nkind: App\napp: shop\nprofile: go\n"),
	}}
	got := mustLoad(t, "shop@v41", schema.Options{Registry: r})
	if got.Name != "v41" || got.Manifest.Profile != "go" || serviceNames(got) != "shop.v1.CartService" {
		t.Errorf("name %q, manifest %+v, services %q", got.Name, got.Manifest, serviceNames(got))
	}
	if _, err := load(t, "shop@v42", schema.Options{Registry: r}); !errors.Is(err, schema.ErrUnknown) {
		t.Errorf("error %v is not ErrUnknown", err)
	}
}

// What is not what was pushed is not compared with anything.
func TestWhatTheRegistryGivesHasTheDigestOfWhatWasPushed(t *testing.T) {
	set := compiled(t, map[string]string{"shop/v1/cart.proto": cartProto})
	data := must(proto.Marshal(set))
	pushed := must(must(schema.FromImage("", data)).Digest())
	set.File[len(set.File)-1].MessageType[0].Field[0].Number = proto.Int32(77)
	r := registry{
		"shop@v41": {DescriptorSet: data, Digest: pushed},
		"shop@v42": {DescriptorSet: must(proto.Marshal(set)), Digest: pushed},
		"shop@v43": {DescriptorSet: data, Digest: "sha256:0"},
	}
	mustLoad(t, "shop@v41", schema.Options{Registry: r})
	for _, version := range []string{"shop@v42", "shop@v43"} {
		_, err := load(t, version, schema.Options{Registry: r})
		wantError(t, err, version, "is not what was pushed")
		if errors.Is(err, schema.ErrUnknown) {
			t.Error("a damaged version is not an unknown one")
		}
	}
}

func TestARegisteredVersionIsNoPath(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"shop@v41/a.proto": simpleA})
	t.Chdir(dir)
	if in := must(schema.ParseInput("shop@v41")); in.Kind != schema.KindDir {
		t.Errorf("what exists as a path is %+v", in)
	}
	if in := must(schema.Registered("shop", "v41")); in.Kind != schema.KindRegistry || in.App != "shop" || in.Version != "v41" {
		t.Errorf("a version is %+v", in)
	}
	for _, row := range [][2]string{{"", "v1"}, {"shop", ""}, {"a@b", "v1"}, {"shop", "../v1"}, {"shop", "v1@v2"}} {
		if in, err := schema.Registered(row[0], row[1]); err == nil {
			t.Errorf("%q is taken for %+v", row, in)
		}
	}
}
