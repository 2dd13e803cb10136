package schema

import (
	"context"
	"fmt"
	"io"
	"os"
)

// readFile reads a file that a person named: it may be a pipe, whose other end
// takes its time or never comes.
func readFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	return interruptible(ctx, name, func() ([]byte, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, inputError(name, "", "cannot be opened: %s", plainError(err))
		}
		defer f.Close()
		return readLimited(f, name, limit)
	})
}

// readStream is the same of what is open already.
func readStream(ctx context.Context, r io.Reader, name string, limit int64) ([]byte, error) {
	return interruptible(ctx, name, func() ([]byte, error) { return readLimited(r, name, limit) })
}

// interruptible gives up a read when ctx ends. Nothing ends the system call
// that it waits in, so the read itself is left behind, with what it holds: of
// use only where the end of ctx is soon the end of the process.
func interruptible(ctx context.Context, name string, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := read()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read %s: %w", name, context.Cause(ctx))
	}
}

func readLimited(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, inputError(name, "", "cannot be read: %s", plainError(err))
	}
	if int64(len(data)) > limit {
		return nil, inputError(name, "", "is longer than %d MiB", limit>>20)
	}
	return data, nil
}
