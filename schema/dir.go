package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/skewgate/skewgate/problem"
)

// dirTree is a directory. Symlinks are followed while they stay inside it
// (os.Root holds them there); what is not a regular file is not read.
type dirTree struct {
	path        string
	root        *os.Root
	parallelism int
}

func openDir(p string, parallelism int) (*dirTree, error) {
	root, err := os.OpenRoot(p)
	if err != nil {
		return nil, inputError(p, "", "cannot be opened: %s", plainError(err))
	}
	return &dirTree{path: p, root: root, parallelism: max(1, parallelism)}, nil
}

// plainError drops the operation and path that the problem names already.
func plainError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (d *dirTree) close() error            { return d.root.Close() }
func (d *dirTree) display(p string) string { return filepath.Join(d.path, filepath.FromSlash(p)) }

func (d *dirTree) readFile(_ context.Context, p string) ([]byte, error) {
	return d.readIn(d.root, filepath.FromSlash(p), d.display(p))
}

// readIn reads a file of a root. It is opened without waiting: a FIFO would
// make the process wait for its writer.
func (d *dirTree) readIn(root *os.Root, name, display string) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", display, plainError(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", display, plainError(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file: %w", display, fs.ErrNotExist)
	}
	return readBounded(f, display, info.Size())
}

func readBounded(r io.Reader, name string, size int64) ([]byte, error) {
	if size > maxFileBytes {
		return nil, tooLarge(name)
	}
	data := make([]byte, 0, size+1)
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > maxFileBytes:
			return nil, tooLarge(name)
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, plainError(err))
		case len(data) == cap(data): // grew since it was listed
			data = slices.Grow(data, len(data))
		}
	}
}

func tooLarge(name string) error {
	return inputError(name, "", "is longer than %d MiB", maxFileBytes>>20)
}

// readAll goes directory by directory: os.Root looks at each part of a path,
// which costs more than reading where files are many and deep.
func (d *dirTree) readAll(ctx context.Context, paths []string, each func(int, []byte) error) error {
	var starts []int
	for i, p := range paths {
		if i == 0 || path.Dir(p) != path.Dir(paths[i-1]) {
			starts = append(starts, i)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(d.parallelism)
	for n, start := range starts {
		end := len(paths)
		if n+1 < len(starts) {
			end = starts[n+1]
		}
		group.Go(func() error { return d.readDirectory(ctx, paths, start, end, each) })
	}
	return group.Wait()
}

// readDirectory reads paths[start:end], all of one directory.
func (d *dirTree) readDirectory(ctx context.Context, paths []string, start, end int, each func(int, []byte) error) error {
	dir, err := d.root.OpenRoot(filepath.FromSlash(path.Dir(paths[start])))
	if err != nil {
		return fmt.Errorf("read %s: %w", d.display(path.Dir(paths[start])), plainError(err))
	}
	defer dir.Close()
	for i := start; i < end; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := d.readIn(dir, path.Base(paths[i]), d.display(paths[i]))
		if err != nil { // a symlink out of the directory, which the whole input may hold
			data, err = d.readFile(ctx, paths[i])
		}
		if err != nil {
			return err
		}
		if err := each(i, data); err != nil {
			return err
		}
	}
	return nil
}

// dirWalk is one listing of a tree.
type dirWalk struct {
	tree     *dirTree
	found    []string
	entries  int
	problems problem.List
}

func (d *dirTree) protos(ctx context.Context, root string) ([]string, error) {
	info, err := d.root.Stat(filepath.FromSlash(root))
	if err != nil || !info.IsDir() {
		return nil, inputError(d.display(root), "", "is not a directory of the input")
	}
	w := &dirWalk{tree: d}
	if err := w.walk(ctx, root, []fs.FileInfo{info}); err != nil {
		return nil, err
	}
	slices.Sort(w.found)
	sortProblems(w.problems)
	return w.found, w.problems.Err()
}

// walk lists one directory; above are the directories on the way to it, which
// a symlink may lead back to.
func (w *dirWalk) walk(ctx context.Context, dir string, above []fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(above) > maxDirDepth {
		return inputError(w.tree.display(dir), "", "directories are nested more than %d deep", maxDirDepth)
	}
	f, err := w.tree.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return inputError(w.tree.display(dir), "", "cannot be listed: %s", plainError(err))
	}
	defer f.Close()
	for { // in parts: a directory may have more entries than there is memory for
		entries, err := f.ReadDir(1000)
		if w.entries += len(entries); w.entries > maxEntries {
			return w.tooMany()
		}
		for _, e := range entries {
			if err := w.entry(ctx, path.Join(dir, e.Name()), e, above); err != nil {
				return err
			}
		}
		if len(w.found) > maxFiles {
			return w.tooMany()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return inputError(w.tree.display(dir), "", "cannot be listed: %s", plainError(err))
		}
	}
}

func (w *dirWalk) tooMany() error {
	return inputError(w.tree.path, "give the directory of the schemas", "has more than %d files", maxFiles)
}

func (w *dirWalk) entry(ctx context.Context, p string, e fs.DirEntry, above []fs.FileInfo) error {
	isProto := strings.HasSuffix(p, ".proto")
	link := e.Type()&fs.ModeSymlink != 0
	switch {
	case e.IsDir() && skipDirectory(e.Name()):
		return nil
	case e.Type().IsRegular() && isProto:
		w.found = append(w.found, p)
		return nil
	case !e.IsDir() && !link:
		return nil
	}
	info, err := w.tree.root.Stat(filepath.FromSlash(p))
	switch {
	case err != nil && isProto && link:
		w.problems = append(w.problems, problem.Problem{File: w.tree.display(p), Message: "is a symlink that leaves the input or leads nowhere",
			Hint: "symlinks are followed inside the input only; give the target's directory with --proto-path"})
	case err != nil && link, err == nil && link && skipDirectory(e.Name()):
	case err != nil:
		return inputError(w.tree.display(p), "", "cannot be read: %s", plainError(err))
	case info.IsDir():
		for _, a := range above {
			if os.SameFile(a, info) {
				return nil
			}
		}
		return w.walk(ctx, p, append(above[:len(above):len(above)], info))
	case info.Mode().IsRegular() && isProto:
		w.found = append(w.found, p)
	}
	return nil
}
