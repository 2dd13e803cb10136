package schema_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/schema"
)

// Git tells its hooks where the repository is, by variables that are stronger
// than where git is started: what is checked there may be another one.
func TestGitReadsTheRepositoryThatWasNamedInAHookToo(t *testing.T) {
	dir := t.TempDir()
	commit(t, filepath.Join(dir, "mine"), map[string]string{"a.proto": simpleA}, "v1")
	commit(t, filepath.Join(dir, "other"), map[string]string{"b.proto": `syntax = "proto3"; package b; service B {}`}, "v1")
	t.Setenv("GIT_DIR", filepath.Join(dir, "mine/.git"))
	t.Setenv("GIT_WORK_TREE", filepath.Join(dir, "mine"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(dir, "mine/.git/index"))
	for text, want := range map[string]string{"mine/.git#tag=v1": "a.A", "other/.git#tag=v1": "b.B", "other#ref=HEAD": "b.B"} {
		if got := serviceNames(mustLoad(t, filepath.Join(dir, text), schema.Options{})); got != want {
			t.Errorf("%s has services %q, want %q", text, got, want)
		}
	}
}

func TestOddRepositoriesAreRead(t *testing.T) {
	dir := t.TempDir()
	commit(t, filepath.Join(dir, "part"), map[string]string{"a.proto": simpleA}, "v1")
	git(t, dir, "init", "-q", "--object-format=sha256", "-b", "main", "sha256")
	commit(t, filepath.Join(dir, "sha256"), map[string]string{"a.proto": simpleA}, "v1")
	git(t, dir+"/sha256", "tag", "-a", "-m", "x", "again", "v1")
	git(t, dir+"/sha256", "pack-refs", "--all")
	git(t, dir+"/sha256", "gc", "-q")
	git(t, dir, "init", "-q", "-b", "main", "whole")
	git(t, dir+"/whole", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../part")
	commit(t, filepath.Join(dir, "whole"), map[string]string{"w.proto": `syntax = "proto3"; package w; service W {}`}, "v1")
	git(t, dir+"/part", "config", "uploadpack.allowFilter", "true")
	git(t, dir, "clone", "-q", "--filter=blob:none", "file://"+dir+"/part", "partial") // has what was checked out
	for text, want := range map[string]string{
		"sha256/.git#tag=again": "a.A",
		"sha256#commit=" + git(t, dir+"/sha256", "rev-parse", "HEAD"): "a.A",
		"whole/.git":            "w.W", // a submodule is another repository
		"whole/part/.git":       "a.A", // whose .git is a file
		"whole/part#tag=v1":     "a.A",
		"whole#ref=:/x":         "w.W",
		"partial/.git#ref=HEAD": "a.A",
	} {
		t.Run(text, func(t *testing.T) {
			if got := serviceNames(mustLoad(t, filepath.Join(dir, text), schema.Options{})); got != want {
				t.Errorf("services %q, want %q", got, want)
			}
		})
	}
}

func TestWhatIsNoCommitIsToldFromWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	first := commit(t, repo, map[string]string{"a.proto": simpleA}, "v1")
	git(t, repo, "tag", "-a", "-m", "x", "tree", "HEAD^{tree}")
	commit(t, repo, map[string]string{"b.proto": simpleA})
	if err := os.Remove(filepath.Join(repo, ".git/objects", first[:2], first[2:])); err != nil { // as of a clone that was cut short
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"tag=tree":                         "tag tree of " + repo + "/.git leads to no commit that can be read",
		"tag=v1":                           "tag v1 of " + repo + "/.git leads to no commit that can be read",
		"ref=HEAD:a.proto":                 "leads to no commit",
		"ref=^HEAD":                        "has no ref ^HEAD",
		"ref=HEAD~5..HEAD":                 "has no ref HEAD~5..HEAD",
		"ref=--upload-pack=touch pwned":    "has no ref --upload-pack=touch pwned",
		"commit=--output=pwned":            "has no commit --output=pwned",
		"tag=--help":                       "has no tag --help",
		"branch=../../../../../../../x":    "has no branch ../",
		"ref=" + strings.Repeat("x/", 5e4): "has no ref x/",
	} {
		t.Run(text[:min(len(text), 20)], func(t *testing.T) {
			_, err := load(t, repo+"/.git#"+text, schema.Options{})
			wantError(t, err, want)
		})
	}
	if _, err := os.Stat("pwned"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a revision was taken for an option")
	}
}

// Nothing of a partial clone is fetched, whatever its remote is.
func TestMissingObjectsAreNotFetched(t *testing.T) {
	dir := t.TempDir()
	commit(t, filepath.Join(dir, "whole"), map[string]string{"a.proto": simpleA}, "v1")
	git(t, dir+"/whole", "config", "uploadpack.allowFilter", "true")
	git(t, dir, "clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+dir+"/whole", "partial")
	_, err := load(t, dir+"/partial/.git#tag=v1", schema.Options{})
	wantError(t, err, "a.proto", "is not in the repository", "git fetch --refetch")
}
