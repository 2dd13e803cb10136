package schema_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/problem"
	"github.com/skewgate/skewgate/schema"
)

// write makes the files of a fixture below dir; a name that ends in " -> X"
// is a symlink to X.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name, target, isLink := strings.Cut(name, " -> ")
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if isLink {
			err = os.Symlink(target, p)
		} else {
			err = os.WriteFile(p, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// git runs git with nothing of the machine's configuration.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := gitCommand(t, dir, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func gitCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	return cmd
}

// asList is errors.As for a problem.List.
func asList(err error, list *problem.List) bool { return errors.As(err, list) }

// commit makes a repository of files with one commit, or adds one to it.
func commit(t *testing.T, dir string, files map[string]string, tags ...string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "init", "-q", "-b", "main")
	}
	write(t, dir, files)
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "x", "--allow-empty")
	for _, tag := range tags {
		git(t, dir, "tag", "-a", "-m", tag, tag)
	}
	return git(t, dir, "rev-parse", "HEAD")
}

// everything wants all there is.
func everything(*schema.Manifest) *schema.Want { return &schema.Want{All: true} }

// load loads what a person would type.
func load(t *testing.T, text string, opts schema.Options) (*schema.Set, error) {
	t.Helper()
	in, err := schema.ParseInput(text)
	if err != nil {
		return nil, err
	}
	return schema.Load(t.Context(), in, opts)
}

func mustLoad(t *testing.T, text string, opts schema.Options) *schema.Set {
	t.Helper()
	set, err := load(t, text, opts)
	if err != nil {
		t.Fatalf("load %s: %v", text, err)
	}
	return set
}

func serviceNames(set *schema.Set) string {
	var names []string
	for _, s := range set.Services() {
		names = append(names, string(s.FullName()))
	}
	return strings.Join(names, " ")
}

// wantError checks that every part is in the error's words.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q\nlacks %q", err, part)
		}
	}
}

const cartProto = `syntax = "proto3";
package shop.v1;

import "google/protobuf/timestamp.proto";

// CartService keeps carts.
service CartService {
  rpc Get(GetRequest) returns (Cart);
  rpc Watch(GetRequest) returns (stream Cart) {}
}

message GetRequest { string id = 1; }

message Cart {
  string id = 1;
  repeated Line lines = 2;
  map<string, string> notes = 3;
  google.protobuf.Timestamp updated = 4;
  message Line { string sku = 1; }
  oneof pay { string card = 5; int64 gift = 6; }
}

enum Kind { KIND_UNSPECIFIED = 0; KIND_GIFT = 1; }
`
