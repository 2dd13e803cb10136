package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/problem"
)

// Kind is a form of Input.
type Kind int

// The forms of an input.
const (
	KindDir Kind = iota + 1
	KindGit
	KindImage    // a FileDescriptorSet or buf image
	KindStdin    // the same, on standard input
	KindRegistry // APP@VERSION
	KindSources  // in memory
)

// Input says where one version's schema is. Use ParseInput or Sources.
type Input struct {
	Kind   Kind
	Text   string // as it was typed
	Path   string // of the directory, the repository or the file
	Prefix string // files are imported under this path; slash-separated
	Subdir string // of the repository; slash-separated

	RevisionKind string // tag, branch, ref, commit; empty is HEAD
	Revision     string

	App, Version string

	sources map[string]string
}

// String gives what was typed.
func (in Input) String() string { return in.Text }

// Sources is an input in memory: import path to text.
func Sources(files map[string]string) Input {
	return Input{Kind: KindSources, Text: "sources in memory", sources: maps.Clone(files)}
}

// label names the version in messages; empty when the input has no name of
// its own.
func (in Input) label() string {
	switch {
	case in.Kind == KindRegistry:
		return in.Version
	case in.RevisionKind == "commit" && len(in.Revision) > 12:
		return in.Revision[:12]
	default:
		return in.Revision
	}
}

var imageSuffixes = []string{".binpb", ".binpb.gz", ".bin", ".bin.gz", ".pb", ".pb.gz", ".json", ".json.gz", ".binarypb", ".protoset"}

// ParseInput reads the INPUT of a command line:
//
//	DIR                                 every .proto file below it
//	DIR,prefix=etcd/api                 the same, imported as etcd/api/…
//	REPO.git#tag=v41,subdir=proto       a git revision: tag=, branch=, ref= or commit=; also prefix=
//	FILE.binpb                          FileDescriptorSet or buf image: .binpb .bin .json, each also with .gz
//	-                                   the same on standard input
//	APP@VERSION                         from the registry of a running mesh
//
// What exists as a path is that path, whatever characters are in it.
func ParseInput(text string) (Input, error) {
	in := Input{Text: text}
	if text == "-" {
		in.Kind = KindStdin
		return in, nil
	}
	if text == "" || strings.ContainsRune(text, 0) {
		return in, inputError("", inputForms, "an empty input")
	}
	if info, err := os.Stat(text); err == nil {
		return in.ofPath(text, info)
	}
	base, revision, isGit := strings.Cut(text, "#")
	if isGit {
		return in.ofGit(base, revision)
	}
	base, options, _ := strings.Cut(text, ",")
	if info, err := os.Stat(base); err == nil {
		if err := in.setOptions(options, "prefix"); err != nil {
			return in, err
		}
		return in.ofPath(base, info)
	}
	if in.ofRegistry(text) {
		return in, nil
	}
	if strings.Contains(text, "://") || strings.HasPrefix(text, "git@") {
		return in, inputError(text, "clone it, then give the clone: CLONE/.git#tag=…", "remote repositories are not read")
	}
	if _, err := os.Stat(base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return in, inputError(base, "", "cannot be read: %s", plainError(err))
	}
	return in, inputError(base, missingHint(base), "no such file or directory")
}

const inputForms = "give DIR, REPO.git#tag=NAME, FILE.binpb, - or APP@VERSION; a git revision here is .git#ref=NAME"

func missingHint(base string) string {
	entries, err := os.ReadDir(filepath.Dir(base))
	if err != nil {
		return inputForms
	}
	var names []string
	for _, e := range entries[:min(len(entries), 1000)] {
		names = append(names, e.Name())
	}
	if near := problem.Nearest(filepath.Base(base), names); near != "" {
		return fmt.Sprintf("did you mean %s?", filepath.Join(filepath.Dir(base), near))
	}
	return inputForms
}

func (in Input) ofPath(p string, info os.FileInfo) (Input, error) {
	in.Path = p
	switch {
	case info.IsDir() && (filepath.Base(p) == ".git" || isBareRepository(p)):
		in.Kind = KindGit
	case info.IsDir():
		in.Kind = KindDir
	case filepath.Base(p) == ".git": // a worktree's or submodule's: a file that points elsewhere
		in.Kind = KindGit
	case info.Mode()&os.ModeType != 0 && info.Mode()&os.ModeNamedPipe == 0:
		return in, inputError(p, "", "is not a regular file")
	case slices.ContainsFunc(imageSuffixes, func(s string) bool { return strings.HasSuffix(strings.ToLower(p), s) }),
		info.Mode()&os.ModeNamedPipe != 0: // <(buf build -o -)
		in.Kind = KindImage
	case strings.HasSuffix(p, ".proto"):
		return in, inputError(p, "give the directory that its imports start from", "is one .proto file, not an input")
	default:
		return in, inputError(p, "a FileDescriptorSet or buf image ends in "+strings.Join(imageSuffixes, " "), "is no known kind of input")
	}
	if in.Prefix != "" && in.Kind != KindDir && in.Kind != KindGit {
		return in, inputError(p, "", "prefix= is for directories and git revisions; an image has its import paths in it")
	}
	return in, nil
}

func isBareRepository(p string) bool {
	head, err := os.Stat(filepath.Join(p, "HEAD"))
	if err != nil || !head.Mode().IsRegular() {
		return false
	}
	objects, err := os.Stat(filepath.Join(p, "objects"))
	return err == nil && objects.IsDir()
}

func (in Input) ofGit(base, revision string) (Input, error) {
	in.Kind, in.Path = KindGit, base
	if base == "" {
		in.Path = ".git"
	}
	if strings.Contains(base, "://") || strings.HasPrefix(base, "git@") {
		return in, inputError(in.Text, "clone it, then give the clone: CLONE/.git#"+revision, "remote repositories are not read")
	}
	if err := in.setOptions(revision, "tag", "branch", "ref", "commit", "subdir", "prefix"); err != nil {
		return in, err
	}
	return in, nil
}

// setOptions reads key=value,key=value.
func (in *Input) setOptions(text string, allowed ...string) error {
	if text == "" {
		return nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case !slices.Contains(allowed, key):
			return inputError(in.Text, problem.Suggest(key, allowed), "unknown option %q", key)
		case !ok || value == "":
			return inputError(in.Text, "", "option %s needs a value: %s=…", key, key)
		case seen[key]:
			return inputError(in.Text, "", "option %s is given twice", key)
		}
		seen[key] = true
		switch key {
		case "prefix", "subdir":
			clean, ok := cleanSlashPath(value)
			if !ok {
				return inputError(in.Text, "", "%s=%s is not a path inside the input", key, value)
			}
			if key == "prefix" {
				in.Prefix = clean
			} else {
				in.Subdir = clean
			}
		default:
			if in.RevisionKind != "" {
				return inputError(in.Text, "give one of tag=, branch=, ref=, commit=", "%s and %s are both given", in.RevisionKind, key)
			}
			in.RevisionKind, in.Revision = key, value
		}
	}
	return nil
}

// cleanSlashPath gives a relative path without . and .., "" for the root.
func cleanSlashPath(p string) (string, bool) {
	clean := path.Clean(strings.TrimSuffix(p, "/"))
	if clean == "." {
		return "", true
	}
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(clean, 0) {
		return "", false
	}
	return clean, true
}

// Registered is an input that can only be a version in the registry.
func Registered(app, version string) (Input, error) {
	in := Input{}
	if text := app + "@" + version; !in.ofRegistry(text) || in.App != app || in.Version != version {
		return in, inputError("", "letters, digits and . _ - +", "%q is not an app and a version", text)
	}
	in.Text = app + "@" + version
	return in, nil
}

func (in *Input) ofRegistry(text string) bool {
	app, version, ok := strings.Cut(text, "@")
	if !ok || !isRegistryName(app) || !isRegistryName(version) {
		return false
	}
	in.Kind, in.App, in.Version = KindRegistry, app, version
	return true
}

// isRegistryName: letters, digits and . _ - +, starting with a letter or digit.
func isRegistryName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._-+", rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
