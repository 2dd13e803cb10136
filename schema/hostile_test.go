package schema_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/skewgate/skewgate/problem"
	"github.com/skewgate/skewgate/schema"
)

// hang is how long a test waits before it calls an input one that hangs the
// checker: far more than a slow machine needs.
const hang = 2 * time.Minute

func each(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i+1)))
	}
	return b.String()
}

// Sources of up to 1 MB that a compiler would be slow or deep at end, with a
// Set or a problem.
func TestHostileSourcesEnd(t *testing.T) {
	head := `syntax = "proto2"; package p; `
	rows := map[string]struct{ text, want string }{
		"deep messages": {head + strings.Repeat("message A{", 100_000), "nested more than 64 deep"},
		"deep options":  {head + "message M { optional string s = 1 [(buf.validate.field) = {" + strings.Repeat("a<", 100_000) + "}]; }", "nested more than 64 deep"},
		"long name":     {`syntax = "proto2"; package ` + strings.Repeat("a.", 250_000) + "b; message M {}", "a name of more than 2048 bytes"},
		"garbage":       {strings.Repeat("} ; {", 50_000), "more problems"},
		"missing":       {head + each(10_000, `import "x#"; `) + "message M {}", "and more imports"},
		"same names":    {head + "message M {" + each(4_000, "optional M f = 1;") + "}", "declared multiple times"},
		"many messages": {head + each(5_000, "message M# { optional M1 m = 1; }"), ""},
		"no end":        {head + "message M { string s = 1; /* ", ""},
		"NUL":           {head + strings.Repeat("\x00", 1000), ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), hang)
			defer cancel()
			_, err := schema.Load(ctx, schema.Sources(map[string]string{"a.proto": row.text}), schema.Options{Want: everything})
			if ctx.Err() != nil {
				t.Fatal("it hangs")
			}
			if row.want != "" {
				wantError(t, err, row.want)
			}
			var list problem.List
			if asList(err, &list) && len(list) > 200 {
				t.Errorf("%d problems: nobody reads that", len(list))
			}
		})
	}
}

// A ladder of public imports has 2^n paths.
func TestPublicImportsThatFanOutEnd(t *testing.T) {
	files := map[string]string{}
	for i := range 60 {
		text := `syntax = "proto3"; `
		for j := max(0, i-8); j < i; j++ {
			text += fmt.Sprintf(`import public "f%d.proto"; `, j)
		}
		files[fmt.Sprintf("f%d.proto", i)] = text + fmt.Sprintf("message M%d { %s m = 1; } service S%d { rpc A(M%d) returns (M0); }", i, "M0", i, i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	_, err := schema.LoadPair(ctx, schema.Sources(files), schema.Sources(files), schema.Options{})
	if err != nil {
		t.Errorf("an unchanged tree needs no compiling: %v", err)
	}
	_, err = schema.Load(ctx, schema.Sources(files), schema.Options{Full: true})
	wantError(t, err, "public imports fan out")
}

// packedPath is a set whose only location has a path of n numbers, a byte each.
func packedPath(n int) []byte {
	data := make([]byte, n)
	for _, number := range []protowire.Number{1, 1, 9, 1} { // path, location, source_code_info, file
		data = append(protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.BytesType), uint64(len(data))), data...)
	}
	return data
}

func TestHostileDescriptorSetsEnd(t *testing.T) {
	set := func(files ...*descriptorpb.FileDescriptorProto) []byte {
		return must(proto.Marshal(&descriptorpb.FileDescriptorSet{File: files}))
	}
	ladder := func(n, width int) []byte {
		var files []*descriptorpb.FileDescriptorProto
		for i := range n {
			f := &descriptorpb.FileDescriptorProto{Name: proto.String(fmt.Sprint(i))}
			for j := max(0, i-width); j < i; j++ {
				f.PublicDependency = append(f.PublicDependency, int32(len(f.Dependency)))
				f.Dependency = append(f.Dependency, fmt.Sprint(j))
			}
			files = append(files, f)
		}
		return set(files...)
	}
	nested := &descriptorpb.DescriptorProto{Name: proto.String("M")}
	for range 200 {
		nested = &descriptorpb.DescriptorProto{Name: proto.String("M"), NestedType: []*descriptorpb.DescriptorProto{nested}}
	}
	for name, row := range map[string]struct {
		data []byte
		want string
	}{
		"ladder":       {ladder(2000, 20), "fan out"},
		"public chain": {ladder(20_000, 1), "fan out"},
		"deep":         {set(&descriptorpb.FileDescriptorProto{Name: proto.String("a"), MessageType: []*descriptorpb.DescriptorProto{nested}}), "nested more than 64 deep"},
		"long package": {set(&descriptorpb.FileDescriptorProto{Name: proto.String("a"), Package: proto.String(strings.Repeat("a.", 100_000) + "b")}), "names of more than"},
		"long type": {set(&descriptorpb.FileDescriptorProto{Name: proto.String("a"), MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M"),
			Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("f"), Number: proto.Int32(1), TypeName: proto.String(strings.Repeat("a.", 100_000) + "b")}}}}}), "names of more than"},
		"many files":     {bytes.Repeat([]byte{0x0a, 0}, 200_000), "has more than 100000 files"},
		"zipped files":   {bytes.Repeat(zipped(bytes.Repeat([]byte{0x0a, 0}, 1<<20)), 12), "more parts than any schema"},
		"zipped braces":  {append(zipped([]byte(`{"file":[`)), bytes.Repeat(zipped(bytes.Repeat([]byte(`{},`), 1<<20)), 8)...), "more parts than any schema"},
		"zipped numbers": {zipped(packedPath(128 << 20)), "more parts than any schema"},
		"zipped digits":  {append(zipped([]byte(`{"file":[{"sourceCodeInfo":{"location":[{"path":[`)), bytes.Repeat(zipped(bytes.Repeat([]byte(`0,`), 1<<20)), 80)...), "more parts than any schema"},
		"zipped zeros":   {bytes.Repeat(zipped(make([]byte, 1<<20)), 300), "is longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() {
				_, err := schema.Load(t.Context(), schema.Input{Kind: schema.KindStdin, Text: "-"}, schema.Options{Stdin: bytes.NewReader(row.data)})
				done <- err
			}()
			select {
			case err := <-done:
				wantError(t, err, row.want)
			case <-time.After(hang):
				t.Fatal("it hangs")
			}
		})
	}
}

// Trees that no git command makes: odd names, links in circles, submodules, a
// blob that is not there.
func TestHostileGitTreesEnd(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	blob := func(text string) string {
		write(t, dir, map[string]string{"blob": text})
		return git(t, dir, "hash-object", "-w", "blob")
	}
	entries := []string{
		"100644 blob " + blob(simpleA) + "\ta.proto",
		"100644 blob " + blob(`syntax = "proto3"; package odd; service Odd {}`) + "\todd \"\t\n\xff name.proto",
		"120000 blob " + blob("circle2") + "\tcircle1",
		"120000 blob " + blob("circle1") + "\tcircle2",
		"120000 blob " + blob(".") + "\tself",
		"120000 blob " + blob("../../../etc") + "\toutside",
		"120000 blob " + blob("a.proto\x00/etc/passwd") + "\tnul",
		"120000 blob " + blob(strings.Repeat("x/", 5000)) + "\tlong",
		"160000 commit 1234567890123456789012345678901234567890\tsubmodule.proto",
	}
	makeTree := func(entries []string) string {
		cmd := gitCommand(t, dir, "mktree", "-z", "--missing")
		cmd.Stdin = strings.NewReader(strings.Join(entries, "\x00") + "\x00")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return git(t, dir, "commit-tree", "-m", "x", strings.TrimSpace(string(out)))
	}
	if got := serviceNames(mustLoad(t, dir+"#commit="+makeTree(entries), schema.Options{})); got != "a.A odd.Odd" {
		t.Errorf("services %q", got)
	}
	missing := append(entries, "100644 blob 1234567890123456789012345678901234567890\tmissing.proto")
	_, err := load(t, dir+"#commit="+makeTree(missing), schema.Options{})
	wantError(t, err, "missing.proto", "is not in the repository")
}
