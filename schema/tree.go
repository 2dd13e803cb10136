package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// tree is an input that has files: a directory, a git revision, a map. Paths
// are slash-separated and relative to the input's root.
type tree interface {
	// readFile reads one file; errors wrap fs.ErrNotExist when there is none.
	readFile(ctx context.Context, p string) ([]byte, error)
	// protos lists the .proto files below a directory.
	protos(ctx context.Context, root string) ([]string, error)
	// readAll reads files and hands each to a callback, in any order and from
	// several goroutines; data is the callback's to keep.
	readAll(ctx context.Context, paths []string, each func(i int, data []byte) error) error
	// display is the name of a file for people.
	display(p string) string
	close() error
}

func openTree(ctx context.Context, in Input, parallelism int) (tree, error) {
	switch in.Kind {
	case KindDir:
		return openDir(in.Path, parallelism)
	case KindGit:
		return openGit(ctx, in)
	case KindSources:
		return mapTree(in.sources), nil
	}
	return nil, fmt.Errorf("open %s: not an input with files", in.Text)
}

// skipDirectory tells directories that hold no sources of the input's own:
// hidden ones, and packages that a package manager put there.
func skipDirectory(name string) bool {
	return strings.HasPrefix(name, ".") || name == "node_modules"
}

func skippedPath(p string) bool {
	return slices.ContainsFunc(strings.Split(path.Dir(p), "/"), func(s string) bool { return s != "." && skipDirectory(s) })
}

type mapTree map[string]string

func (m mapTree) readFile(_ context.Context, p string) ([]byte, error) {
	text, ok := m[p]
	if !ok {
		return nil, fmt.Errorf("read %s: %w", p, fs.ErrNotExist)
	}
	return []byte(text), nil
}

func (m mapTree) protos(_ context.Context, root string) ([]string, error) {
	var found []string
	for p := range m {
		if strings.HasSuffix(p, ".proto") && isBelow(p, root) {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (m mapTree) readAll(_ context.Context, paths []string, each func(int, []byte) error) error {
	var errs []error
	for i, p := range paths {
		errs = append(errs, each(i, []byte(m[p])))
	}
	return errors.Join(errs...)
}

func (m mapTree) display(p string) string { return p }
func (m mapTree) close() error            { return nil }

func isBelow(p, root string) bool {
	return root == "" || root == "." || strings.HasPrefix(p, root+"/")
}
