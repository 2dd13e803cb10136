package schema

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/problem"
)

// gitTree is one commit of a repository, read with ls-tree and cat-file
// --batch: no checkout, no index, nothing written.
type gitTree struct {
	repo   gitRepository
	commit string // full id
	subdir string // the input's root inside the repository
	files  map[string]gitEntry
	paths  []string // the keys of files, sorted
	linked bool     // symlinks to directories are in files
	reader *gitReader
}

// gitEntry is one blob; symlinks have their target resolved already.
type gitEntry struct {
	id   string
	link bool
}

func openGit(ctx context.Context, in Input) (*gitTree, error) {
	repo, inside, err := findRepository(ctx, in.Path)
	if err != nil {
		return nil, err
	}
	commit, err := repo.resolve(ctx, in)
	if err != nil {
		return nil, err
	}
	t := &gitTree{repo: repo, commit: commit, subdir: path.Join(inside, in.Subdir)}
	if err := t.list(ctx); err != nil {
		return nil, err
	}
	if len(t.files) == 0 && t.subdir != "" {
		return nil, inputError(in.Text, "", "there is no directory %s at %s", t.subdir, in.label())
	}
	t.reader, err = startGitReader(ctx, repo)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// list reads the tree of the commit: names, kinds and ids, no contents.
func (t *gitTree) list(ctx context.Context) error {
	args := []string{"ls-tree", "-r", "-z", "--full-tree", t.commit}
	if t.subdir != "" {
		args = append(args, "--", t.subdir+"/")
	}
	out, err := t.repo.output(ctx, args...)
	if err != nil {
		return err
	}
	t.files = map[string]gitEntry{}
	for record := range strings.SplitSeq(out, "\x00") {
		meta, name, ok := strings.Cut(record, "\t")
		field := strings.Fields(meta)
		if !ok || len(field) != 3 || field[1] != "blob" {
			continue // submodules are not followed
		}
		rel, ok := cutDir(name, t.subdir)
		if !ok {
			continue
		}
		t.files[rel] = gitEntry{id: field[2], link: field[0] == "120000"}
		if len(t.files) > maxEntries {
			return inputError(t.repo.name, "name the directory of the schemas: subdir=", "has more than %d files", maxEntries)
		}
	}
	t.paths = slices.Sorted(maps.Keys(t.files))
	return nil
}

func cutDir(name, dir string) (string, bool) {
	if dir == "" {
		return name, true
	}
	return strings.CutPrefix(name, dir+"/")
}

func (t *gitTree) display(p string) string { return path.Join(t.subdir, p) }

func (t *gitTree) close() error { return t.reader.close() }

func (t *gitTree) protos(ctx context.Context, root string) ([]string, error) {
	if err := t.linkDirectories(ctx); err != nil {
		return nil, err
	}
	var found []string
	var problems problem.List
	below := root == "."
	for _, p := range t.below(root) {
		below = true
		if !strings.HasSuffix(p, ".proto") || skippedPath(p) {
			continue
		}
		if _, err := t.follow(ctx, p); err != nil {
			problems = append(problems, problem.Problem{File: t.display(p), Message: "is a symlink that leaves the input or leads nowhere",
				Hint: "symlinks are followed inside the input only"})
			continue
		}
		found = append(found, p)
	}
	if !below {
		return nil, inputError(t.display(root), "", "is not a directory of %s at %s", t.repo.name, t.commit[:12])
	}
	if len(found) > maxFiles {
		return nil, inputError(t.repo.name, "", "has more than %d .proto files", maxFiles)
	}
	return found, problems.Err()
}

// below lists the paths under a directory, from the sorted list.
func (t *gitTree) below(dir string) []string {
	if dir == "." {
		return t.paths
	}
	from, _ := slices.BinarySearch(t.paths, dir+"/")
	to, _ := slices.BinarySearch(t.paths, dir+"0") // '0' follows '/'
	return t.paths[from:to]
}

// linkDirectories lists the files below symlinks to directories under the
// symlinks' paths too, one level of links deep.
func (t *gitTree) linkDirectories(ctx context.Context) error {
	if t.linked {
		return nil
	}
	t.linked = true
	aliases := map[string]gitEntry{}
	for _, p := range t.paths {
		if !t.files[p].link || strings.HasSuffix(p, ".proto") || skippedPath(p+"/x") {
			continue
		}
		target, err := t.target(ctx, p)
		if err != nil || isBelow(p, target) {
			continue // leads outside, nowhere, or round in a circle
		}
		for _, q := range t.below(target) {
			if f := t.files[q]; !f.link && strings.HasSuffix(q, ".proto") {
				aliases[p+strings.TrimPrefix(q, target)] = f
			}
		}
		if len(aliases) > maxFiles {
			return inputError(t.repo.name, "", "symlinks lead to more than %d .proto files", maxFiles)
		}
	}
	maps.Copy(t.files, aliases)
	t.paths = slices.Sorted(maps.Keys(t.files))
	return nil
}

// target is where a symlink leads, one step, as a path in the tree.
func (t *gitTree) target(ctx context.Context, p string) (string, error) {
	data, err := t.reader.blob(ctx, t.files[p].id, t.display(p))
	if err != nil {
		return "", err
	}
	target := path.Join(path.Dir(p), string(data))
	if clean, ok := cleanSlashPath(target); ok && !path.IsAbs(string(data)) {
		return clean, nil
	}
	return "", fmt.Errorf("symlink %s leaves the input: %w", t.display(p), fs.ErrNotExist)
}

// follow resolves a path that may be a symlink to the file it means.
func (t *gitTree) follow(ctx context.Context, p string) (gitEntry, error) {
	for range 8 {
		e, ok := t.files[p]
		if !ok {
			return e, fmt.Errorf("read %s: %w", t.display(p), fs.ErrNotExist)
		}
		if !e.link {
			return e, nil
		}
		next, err := t.target(ctx, p)
		if err != nil {
			return e, err
		}
		p = next
	}
	return gitEntry{}, fmt.Errorf("read %s: too many symlinks: %w", t.display(p), fs.ErrNotExist)
}

func (t *gitTree) readFile(ctx context.Context, p string) ([]byte, error) {
	e, err := t.follow(ctx, p)
	if err != nil {
		return nil, err
	}
	return t.reader.blob(ctx, e.id, t.display(p))
}

func (t *gitTree) readAll(ctx context.Context, paths []string, each func(int, []byte) error) error {
	ids := make([]string, len(paths))
	for i, p := range paths {
		e, err := t.follow(ctx, p)
		if err != nil {
			return err
		}
		ids[i] = e.id
	}
	return t.reader.blobs(ctx, ids, func(i int) string { return t.display(paths[i]) }, each)
}
