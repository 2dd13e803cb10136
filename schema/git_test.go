package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/schema"
)

const simpleA = `syntax = "proto3"; package a; service A {}`

func TestGitRevisionsAreReadWithoutCheckout(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	first := commit(t, repo, map[string]string{
		"proto/shop/cart.proto":               cartProto,
		"proto/shop/l.proto -> ../../links/l": "", "links/l": simpleA,
		"proto/linked -> ../links/dir": "", "links/dir/d.proto": `syntax = "proto3"; package d; service D {}`,
		"links/out -> /etc": "", "proto/self -> .": "",
		"skewgate.yaml": "apiVersion: skewgate/v1\nkind: App\napp: shop\nschema: {roots: [proto]}\n",
	}, "v41", "v4.2.0")
	commit(t, repo, map[string]string{"proto/shop/new.proto": `syntax = "proto3"; package n; service New {}`})
	git(t, repo, "branch", "release/1", first)
	git(t, repo, "update-ref", "refs/remotes/origin/upstream", first)
	git(t, dir, "clone", "-q", "--bare", repo, "bare.git")
	git(t, repo, "worktree", "add", "-q", filepath.Join(dir, "worktree"))
	write(t, repo, map[string]string{"proto/shop/uncommitted.proto": `not a proto`})

	for text, want := range map[string]string{
		"repo/.git#tag=v41":                    "a.A d.D shop.v1.CartService",
		"repo#tag=v41":                         "a.A d.D shop.v1.CartService",
		"repo/.git#branch=release/1":           "a.A d.D shop.v1.CartService",
		"repo/.git#branch=upstream":            "a.A d.D shop.v1.CartService", // only origin has it
		"repo/.git#ref=HEAD~1":                 "a.A d.D shop.v1.CartService",
		"repo/.git#commit=" + first[:10]:       "a.A d.D shop.v1.CartService",
		"repo/.git":                            "a.A d.D n.New shop.v1.CartService",
		"bare.git#tag=v41":                     "a.A d.D shop.v1.CartService",
		"bare.git":                             "a.A d.D n.New shop.v1.CartService",
		"worktree/.git":                        "a.A d.D n.New shop.v1.CartService",
		"repo#tag=v41,subdir=links":            "d.D",
		"repo/links#tag=v41":                   "d.D", // a directory of the work tree is that directory
		"repo#tag=v41,subdir=links,prefix=pre": "d.D",
	} {
		t.Run(text, func(t *testing.T) {
			set := mustLoad(t, dir+"/"+text, schema.Options{})
			if got := serviceNames(set); got != want {
				t.Errorf("services %q, want %q", got, want)
			}
			if set.Service("shop.v1.CartService") == nil {
				return
			}
			m := set.Service("shop.v1.CartService").Methods().ByName("Watch")
			if got := set.Place(m); got != (schema.Place{File: "proto/shop/cart.proto", Line: 9, Column: 3}) {
				t.Errorf("place of Watch: %+v", got)
			}
		})
	}
	if set := mustLoad(t, repo+"#tag=v41", schema.Options{}); set.Name != "v41" || set.Manifest.App != "shop" {
		t.Errorf("name %q, manifest %+v", set.Name, set.Manifest)
	}
}

func TestGitErrorsNameTheRevisionTheRepositoryAndWhatIsSimilar(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	commit(t, repo, map[string]string{"a.proto": simpleA, "escape.proto -> ../../x.proto": "", "sub/b.proto -> /etc/passwd": ""}, "v1.40.0", "v1.41.0", "proto/v1.41.0")
	commit(t, filepath.Join(dir, "empty"), nil)
	write(t, dir, map[string]string{"plain/a.proto": simpleA, "repo/deep/x": ""})
	shallow := filepath.Join(dir, "shallow")
	git(t, dir, "clone", "-q", "--depth", "1", "--no-tags", "file://"+repo, shallow)
	for text, want := range map[string][]string{
		"repo/.git#tag=1.41.0":        {"repo/.git has no tag 1.41.0", "similar:", "v1.41.0", "proto/v1.41.0"},
		"repo/.git#tag=v1.42.0":       {"no tag v1.42.0", "similar: v1.4"},
		"repo/.git#tag=zzz":           {"no tag zzz", "it has 3, the newest:"},
		"repo/.git#branch=master":     {"no branch master", "main"},
		"repo/.git#commit=123456":     {"no commit 123456"},
		"repo/.git#ref=--help":        {"no ref --help"},
		"shallow/.git#tag=v1.40.0":    {"no tag v1.40.0", "fetch-depth: 0"},
		"repo/.git":                   {"escape.proto", "sub/b.proto", "leaves the input"},
		"repo/.git#ref=HEAD,subdir=x": {"no directory x"},
		"empty/.git":                  {"no .proto files"},
		"plain/.git":                  {"no such file"},
		"plain#tag=v1":                {"not a git repository"},
		"repo/deep/.git#tag=v1":       {"no repository here", "the repository is at", "repo/.git"},
		"nowhere/.git#tag=v1":         {"no repository"},
	} {
		t.Run(text, func(t *testing.T) {
			_, err := load(t, dir+"/"+text, schema.Options{})
			wantError(t, err, want...)
			if strings.Contains(err.Error(), "/etc/passwd") {
				t.Error("read outside of the input")
			}
		})
	}
}

func TestGitIsReadWithoutTouchingTheRepository(t *testing.T) {
	repo := filepath.Join(t.TempDir(), "repo")
	commit(t, repo, map[string]string{"a.proto": simpleA}, "v1")
	write(t, repo, map[string]string{"a.proto": "changed in the work tree"})
	before := git(t, repo, "status", "--porcelain")
	index, err := os.Stat(filepath.Join(repo, ".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	mustLoad(t, repo+"#tag=v1", schema.Options{})
	after, err := os.Stat(filepath.Join(repo, ".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	if !after.ModTime().Equal(index.ModTime()) || git(t, repo, "status", "--porcelain") != before {
		t.Error("the index or the work tree changed")
	}
}

func TestProblemsInARevisionHaveTheirPlaceAndTheRevision(t *testing.T) {
	dir := t.TempDir()
	commit(t, dir, map[string]string{
		"lost.proto":  "syntax = \"proto3\";\npackage a;\nimport \"gone.proto\";\nmessage M {}\nservice S { rpc X(M) returns (M); }\n",
		"wrong.proto": "syntax = \"proto3\";\npackage b;\nmessage M {\n  Nothing x = 1;\n}\nservice S { rpc X(M) returns (M); }\n",
	}, "v1")
	write(t, dir, map[string]string{
		"lost.proto":  "syntax = \"proto3\";\npackage a;\nmessage M { int32 x = 1; }\nservice S { rpc X(M) returns (M); }\n",
		"wrong.proto": "syntax = \"proto3\";\npackage b;\nmessage M {}\nservice S { rpc X(M) returns (M); }\n",
	})
	for service, want := range map[string]string{
		"a.S": `lost.proto:3:8: import "gone.proto" is not found (at v1)`,
		"b.S": "wrong.proto:4:3: cannot find `Nothing` in this scope (at v1)",
	} {
		old, err := schema.ParseInput(dir + "/.git#tag=v1")
		if err != nil {
			t.Fatal(err)
		}
		now, err := schema.ParseInput(dir)
		if err != nil {
			t.Fatal(err)
		}
		opts := schema.Options{Want: func(*schema.Manifest) *schema.Want { return &schema.Want{Services: []string{service}} }}
		_, err = schema.LoadPair(t.Context(), old, now, opts)
		wantError(t, err, want)
		if _, err = schema.LoadPair(t.Context(), now, now, opts); err != nil {
			t.Errorf("the work tree: %v", err)
		}
	}
}
