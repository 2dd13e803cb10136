package schema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
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

// gitRepository runs git in one repository.
type gitRepository struct {
	args []string // where it is
	name string   // as typed
}

// env keeps git from asking, fetching, or translating. A partial clone's lazy
// fetch is off: a check uses no network.
func gitEnv() []string {
	return append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_PAGER=cat")
}

func (r gitRepository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", slices.Concat(r.args, args)...)
	cmd.Env = gitEnv()
	return cmd
}

// output runs git to its end; a failure carries what git said.
func (r gitRepository) output(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := r.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", inputError(r.name, "install git, or give a directory", "git is not installed")
		}
		said := strings.TrimSpace(strings.TrimPrefix(stderr.String(), "fatal: "))
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], r.name, err, said)
	}
	return stdout.String(), nil
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

// findRepository accepts a .git directory (or file, in a worktree), a bare
// repository, and a directory of a work tree; inside is that directory's path
// in the repository.
func findRepository(ctx context.Context, p string) (repo gitRepository, inside string, err error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return repo, "", fmt.Errorf("find repository %s: %w", p, err)
	}
	info, err := os.Stat(abs)
	switch {
	case err == nil && filepath.Base(abs) == ".git":
		repo = gitRepository{args: []string{"-C", filepath.Dir(abs)}, name: p}
	case err == nil && info.IsDir() && isBareRepository(abs):
		return gitRepository{args: []string{"--git-dir", abs}, name: p}, "", nil
	case err == nil && info.IsDir():
		repo = gitRepository{args: []string{"-C", abs}, name: p}
	case filepath.Base(abs) == ".git":
		return repo, "", inputError(p, topLevelHint(ctx, filepath.Dir(abs)), "there is no repository here")
	default:
		return repo, "", inputError(p, missingHint(p), "there is no such repository")
	}
	prefix, err := repo.output(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return repo, "", inputError(p, "", "is not a git repository: %s", err)
	}
	return repo, strings.TrimSuffix(strings.TrimSpace(prefix), "/"), nil
}

func topLevelHint(ctx context.Context, dir string) string {
	top, err := gitRepository{args: []string{"-C", dir}}.output(ctx, "rev-parse", "--show-cdup")
	if err != nil || strings.TrimSpace(top) == "" {
		return ""
	}
	return "the repository is at " + filepath.Join(dir, strings.TrimSpace(top), ".git")
}

// resolve finds the commit that the input names.
func (r gitRepository) resolve(ctx context.Context, in Input) (string, error) {
	names := map[string][]string{
		"":       {"HEAD"},
		"tag":    {"refs/tags/" + in.Revision},
		"branch": {"refs/heads/" + in.Revision, "refs/remotes/origin/" + in.Revision}, // a CI checkout has only the latter
		"ref":    {in.Revision},
		"commit": {in.Revision},
	}[in.RevisionKind]
	for _, name := range names {
		if id, err := r.output(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}"); err == nil {
			return strings.TrimSpace(id), nil
		}
	}
	if in.RevisionKind == "" {
		return "", inputError(in.Text, "", "%s has no commit yet", r.name)
	}
	return "", inputError(in.Text, r.revisionHint(ctx, in), "%s has no %s %s", r.name, in.RevisionKind, in.Revision)
}

func (r gitRepository) revisionHint(ctx context.Context, in Input) string {
	refs := map[string]string{"tag": "refs/tags", "branch": "refs/heads"}[in.RevisionKind]
	if refs == "" {
		return r.shallowHint(ctx)
	}
	list, err := r.output(ctx, "for-each-ref", "--format=%(refname)", "--sort=-creatordate", "--count=5000", refs)
	if err != nil {
		return ""
	}
	var names []string
	for line := range strings.Lines(list) {
		names = append(names, strings.TrimPrefix(strings.TrimSpace(line), refs+"/"))
	}
	if similar := similarNames(in.Revision, names); len(similar) > 0 {
		return fmt.Sprintf("similar: %s", strings.Join(similar, ", "))
	}
	if len(names) == 0 {
		return r.shallowHint(ctx)
	}
	return fmt.Sprintf("it has %d, the newest: %s", len(names), strings.Join(names[:min(3, len(names))], ", "))
}

// shallowHint knows what a CI checkout leaves out.
func (r gitRepository) shallowHint(ctx context.Context) string {
	if is, err := r.output(ctx, "rev-parse", "--is-shallow-repository"); err == nil && strings.TrimSpace(is) == "true" {
		return "this clone is shallow: git fetch --tags --unshallow (actions/checkout: fetch-depth: 0)"
	}
	return "git fetch --tags brings the tags of the remote"
}

// similarNames lists at most three: those that contain the name or end in it,
// then the nearest spelling.
func similarNames(name string, all []string) []string {
	var similar []string
	bare := strings.TrimLeft(name, "vV")
	for _, n := range all {
		if len(similar) < 3 && len(bare) > 1 && strings.Contains(n, bare) {
			similar = append(similar, n)
		}
	}
	if near := problem.Nearest(name, all); near != "" && !slices.Contains(similar, near) && len(similar) < 3 {
		similar = append(similar, near)
	}
	return similar
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
