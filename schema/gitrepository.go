package schema

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/problem"
)

// gitRepository runs git in one repository.
type gitRepository struct {
	args []string // where it is
	name string   // as typed
}

// gitEnv keeps git from asking, fetching, or translating. A partial clone's
// lazy fetch is off, and so is every protocol, for a git that does not know how
// to leave the fetch out: a check uses no network.
//
// What says where the repository is goes: git sets it for hooks, and it is
// stronger than -C, so that every input would be the hook's own repository. A
// quarantine's objects stay readable: they are what a pre-receive hook checks.
func gitEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_PREFIX"}, name)
	})
	return append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_PAGER=cat")
}

func (r gitRepository) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", slices.Concat(r.args, args)...)
	cmd.Env = gitEnv()
	return cmd
}

// output runs git to its end; a failure carries what git said.
func (r gitRepository) output(ctx context.Context, args ...string) (string, error) {
	stdout, stderr := gitOutput{limit: maxGitOutput}, gitOutput{limit: 64 << 10}
	cmd := r.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if stdout.cut {
		return "", inputError(r.name, "name the directory of the schemas: subdir=", "git %s lists more than %d MiB", args[0], maxGitOutput>>20)
	}
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", inputError(r.name, "install git, or give a directory", "git is not installed")
		}
		said := strings.TrimSpace(strings.TrimPrefix(stderr.kept.String(), "fatal: "))
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], r.name, err, said)
	}
	return stdout.kept.String(), nil
}

// gitOutput keeps what git writes, up to a limit.
type gitOutput struct {
	kept  bytes.Buffer
	limit int
	cut   bool
}

// Write implements io.Writer. Its failure ends the command.
func (o *gitOutput) Write(p []byte) (int, error) {
	if o.kept.Len()+len(p) > o.limit {
		o.cut = true
		return 0, fmt.Errorf("more than %d bytes", o.limit)
	}
	return o.kept.Write(p)
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
	if err != nil && strings.Contains(err.Error(), "dubious ownership") {
		return repo, "", inputError(p, "git config --global --add safe.directory "+repo.args[1], "git does not read it: it belongs to another user")
	}
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
	exists := false
	for _, name := range names {
		if id, err := r.object(ctx, name+"^{commit}"); err == nil {
			return id, nil
		}
		id, err := r.object(ctx, name)
		if err != nil {
			continue
		}
		exists = true
		if id, err = r.object(ctx, id+"^{commit}"); err == nil { // :/words, whose end is a part of the words
			return id, nil
		}
	}
	switch {
	case exists:
		return "", inputError(in.Text, "git fsck says what is wrong with a repository", "%s of %s leads to no commit that can be read",
			strings.TrimSpace(in.RevisionKind+" "+cmp.Or(in.Revision, "HEAD")), r.name)
	case in.RevisionKind == "":
		return "", inputError(in.Text, "", "%s has no commit yet", r.name)
	}
	return "", inputError(in.Text, r.revisionHint(ctx, in), "%s has no %s %s", r.name, in.RevisionKind, in.Revision)
}

// object finds the one object that a name means.
func (r gitRepository) object(ctx context.Context, name string) (string, error) {
	id, err := r.output(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
	if id = strings.TrimSpace(id); err == nil && strings.HasPrefix(id, "^") { // all but that commit's history
		return "", fmt.Errorf("%s is no single object: %w", name, fs.ErrNotExist)
	}
	return id, err
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
