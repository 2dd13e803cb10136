package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// reportFile is a file that is there whole, or as it was before. What is no
// regular file (/dev/stderr, a pipe) is written to as it is.
type reportFile struct {
	*os.File
	rename string // what the file becomes; empty: it is that already
	done   bool
}

// openReport takes a file that can be written, without touching what is there.
func openReport(path string) (*reportFile, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is a directory")}
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &reportFile{File: f}, err
	case err == nil:
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // a file that says no is not replaced
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	mode := fs.FileMode(0o644)
	if info != nil {
		mode = info.Mode().Perm()
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.%d.tmp", path, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			at.Path = path
		}
		return nil, err
	}
	return &reportFile{File: f, rename: path}, nil
}

// commit writes the whole file.
func (f *reportFile) commit(data []byte) error {
	f.done = true
	_, err := f.Write(data)
	err = errors.Join(err, f.Close())
	if f.rename == "" {
		return err
	}
	if err == nil {
		err = os.Rename(f.Name(), f.rename)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// discard forgets a file that was not committed.
func (f *reportFile) discard() {
	if f == nil || f.done {
		return
	}
	f.done = true
	f.Close() //nolint:errcheck // nothing was written
	if f.rename != "" {
		os.Remove(f.Name()) //nolint:errcheck // a leftover next to the report is all that is lost
	}
}
