package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/skewgate/skewgate/problem"
	"github.com/skewgate/skewgate/schema"
)

func TestParseInputKnowsEveryForm(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"proto/a.proto": "", "set.binpb": "", "set.json.gz": "", "bare.git/HEAD": "", "bare.git/objects/x": "",
		"repo/.git/HEAD": "", "a,b/x.proto": "", "shop@v1/x.proto": "", "README.md": "",
	})
	t.Chdir(dir)
	for text, want := range map[string]schema.Input{
		"proto":                   {Kind: schema.KindDir, Path: "proto"},
		"proto,prefix=etcd/api/":  {Kind: schema.KindDir, Path: "proto", Prefix: "etcd/api"},
		"a,b":                     {Kind: schema.KindDir, Path: "a,b"},
		"shop@v1":                 {Kind: schema.KindDir, Path: "shop@v1"},
		"set.binpb":               {Kind: schema.KindImage, Path: "set.binpb"},
		"set.json.gz":             {Kind: schema.KindImage, Path: "set.json.gz"},
		"-":                       {Kind: schema.KindStdin},
		"bare.git":                {Kind: schema.KindGit, Path: "bare.git"},
		"repo/.git":               {Kind: schema.KindGit, Path: "repo/.git"},
		".git#tag=v41":            {Kind: schema.KindGit, Path: ".git", RevisionKind: "tag", Revision: "v41"},
		"#branch=release/2":       {Kind: schema.KindGit, Path: ".git", RevisionKind: "branch", Revision: "release/2"},
		"repo#commit=abc,subdir=": {},
		"bare.git#ref=HEAD~2,subdir=api/,prefix=x": {Kind: schema.KindGit, Path: "bare.git", RevisionKind: "ref", Revision: "HEAD~2", Subdir: "api", Prefix: "x"},
		"web@v41": {Kind: schema.KindRegistry, App: "web", Version: "v41"},
	} {
		got, err := schema.ParseInput(text)
		if want.Kind == 0 {
			wantError(t, err, "subdir needs a value")
			continue
		}
		want.Text = text
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got.String() != text || got.Kind != want.Kind || got.Path != want.Path || got.Prefix != want.Prefix || got.Subdir != want.Subdir ||
			got.RevisionKind != want.RevisionKind || got.Revision != want.Revision || got.App != want.App || got.Version != want.Version {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestParseInputSaysWhatIsWrongAndWhatToType(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"proto/a.proto": "", "README.md": ""})
	t.Chdir(dir)
	for text, want := range map[string][]string{
		"":                       {"empty input", "REPO.git#tag=NAME"},
		"prota":                  {"no such file", "did you mean proto?"},
		"proto,prefx=a":          {`unknown option "prefx"`, `did you mean "prefix"?`},
		"proto,prefix=../x":      {"not a path inside"},
		".git#tag=a,branch=b":    {"both given"},
		".git#tag=a,tag=b":       {"given twice"},
		".git#v41":               {`unknown option "v41"`, "tag"},
		"https://x/y.git#tag=v1": {"remote repositories are not read", "clone it"},
		"git@github.com:x/y.git": {"remote repositories are not read"},
		"proto/a.proto":          {"one .proto file", "directory"},
		"README.md":              {"no known kind of input", ".binpb"},
		"proto\x00":              {"empty input"},
	} {
		_, err := schema.ParseInput(text)
		wantError(t, err, want...)
		var list problem.List
		if !errors.As(err, &list) {
			t.Errorf("%q: %T is no problem.List", text, err)
		}
	}
}

func TestRegistryInputWithoutRegistryIsUnknown(t *testing.T) {
	_, err := load(t, "web@v41", schema.Options{})
	if !errors.Is(err, schema.ErrUnknown) {
		t.Fatalf("error %v is not ErrUnknown", err)
	}
	wantError(t, err, "web@v41", "--admin")
}

func TestDirectoryIsReadWithPrefixRootsAndProtoPath(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"in/skewgate.yaml":            "apiVersion: skewgate/v1\nkind: App\napp: shop\nschema: {roots: [api, more]}\n",
		"in/api/a/a.proto":            `syntax = "proto3"; package a; import "pre/b/b.proto"; import "third/c.proto"; service A { rpc X(b.B) returns (c.C); }`,
		"in/more/b/b.proto":           `syntax = "proto3"; package b; message B {}`,
		"in/ignored/z.proto":          `not a proto`,
		"in/api/.hidden/h.proto":      `not a proto`,
		"in/api/node_modules/n.proto": `not a proto`,
		"path/third/c.proto":          `syntax = "proto3"; package c; message C { string s = 1; }  service Foreign {}`,
	})
	set := mustLoad(t, dir+"/in,prefix=pre", schema.Options{ProtoPath: []string{dir + "/path"}})
	if got := serviceNames(set); got != "a.A" {
		t.Errorf("services %q: those of imports do not count", got)
	}
	if set.Manifest == nil || set.Manifest.App != "shop" {
		t.Errorf("manifest %+v", set.Manifest)
	}
	c := set.Message("c.C")
	if c == nil {
		t.Fatal("c.C is not there")
	}
	if got := set.Place(c.Fields().Get(0)); got != (schema.Place{File: filepath.Join(dir, "path/third/c.proto"), Line: 1, Column: 43}) {
		t.Errorf("place of c.C.s: %+v", got)
	}
}

func TestSymlinksAreFollowedInsideTheInputOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"in/real/a.proto":      `syntax = "proto3"; package a; service A {}`,
		"in/b.proto -> real/b": "", "in/real/b": `syntax = "proto3"; package b; service B {}`,
		"in/away -> ../out": "", "out/c.proto": `syntax = "proto3"; package c; service C {}`,
		"in/loop -> .": "",
	})
	if got := serviceNames(mustLoad(t, dir+"/in", schema.Options{})); got != "a.A b.B" {
		t.Errorf("services %q, want a.A b.B", got)
	}
	write(t, dir, map[string]string{"in/d.proto -> ../out/c.proto": ""})
	_, err := load(t, dir+"/in", schema.Options{})
	wantError(t, err, "in/d.proto", "leaves the input", "--proto-path")
}

func TestIrregularFilesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.proto": `syntax = "proto3"; package a; service A {}`})
	mkfifo(t, filepath.Join(dir, "fifo.proto")) // reading it would wait forever
	mkfifo(t, filepath.Join(dir, "skewgate.yaml"))
	if got := serviceNames(mustLoad(t, dir, schema.Options{})); got != "a.A" {
		t.Errorf("services %q", got)
	}
	if err := os.Remove(filepath.Join(dir, "a.proto")); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, dir, schema.Options{})
	wantError(t, err, "no .proto files")
}

func TestMissingImportIsAProblemWithItsPlaceAndAHint(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.proto":       "syntax = \"proto3\";\npackage a;\n\nimport \"b.proto\";\nimport \"x/y.proto\";\nimport public \"etcd/c.proto\";\nservice A {}\n",
		"proto/b.proto": `syntax = "proto3";`,
		"c.proto":       `syntax = "proto3";`,
	})
	_, err := load(t, dir, schema.Options{})
	wantError(t, err,
		dir+`/a.proto:4:8: import "b.proto" is not found`, "schema: {roots: [proto]}",
		dir+`/a.proto:5:8: import "x/y.proto" is not found`, "--proto-path",
		dir+`/a.proto:6:15: import "etcd/c.proto" is not found`, "prefix=etcd")
}

func TestCompileErrorsHaveTheirPlace(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.proto": "syntax = \"proto3\";\npackage a;\nmessage M {\n  Missing x = 1;\n  string y = 1;\n}\nservice A { rpc X(M) returns (M); }\n",
		"b.proto": "syntax = \"proto3\";\nmessage {\n",
	})
	_, err := load(t, dir, schema.Options{Want: everything})
	wantError(t, err, dir+"/a.proto:4:3: ", "Missing", dir+"/a.proto:5:", dir+"/b.proto:2:9: ")
}
