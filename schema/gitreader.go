package schema

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// gitReader is one running `git cat-file --batch`. Requests are written while
// answers are read, so that a long list costs one round trip, not many.
type gitReader struct {
	mu     sync.Mutex // one exchange at a time
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer // git's until it has ended
	ended  bool
	broken error // after a failure the stream cannot be trusted
}

func startGitReader(ctx context.Context, repo gitRepository) (*gitReader, error) {
	r := &gitReader{cmd: repo.command(ctx, "cat-file", "--batch")}
	r.cmd.Stderr = &r.stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	r.in, r.out = in, bufio.NewReaderSize(out, 64<<10)
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start git cat-file: %w", err)
	}
	return r, nil
}

func (r *gitReader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in.Close()
	if r.broken != nil {
		r.said()
		return nil
	}
	r.ended = true
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("git cat-file: %w: %s", err, strings.TrimSpace(r.stderr.String()))
	}
	return nil
}

// said ends git, which may be waiting to write what nobody reads, and gives
// what it complained of.
func (r *gitReader) said() string {
	if !r.ended {
		r.ended = true
		r.cmd.Process.Kill()
		r.cmd.Wait() //nolint:errcheck // it was killed
	}
	return strings.TrimSpace(r.stderr.String())
}

func (r *gitReader) blob(ctx context.Context, id, name string) ([]byte, error) {
	var content []byte
	err := r.blobs(ctx, []string{id}, func(int) string { return name }, func(_ int, data []byte) error {
		content = data
		return nil
	})
	return content, err
}

// blobs reads objects in the order of ids.
func (r *gitReader) blobs(ctx context.Context, ids []string, name func(int) string, each func(int, []byte) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	written := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(r.in)
		for _, id := range ids {
			w.WriteString(id + "\n") // an error stays with w and is given by Flush
		}
		written <- w.Flush()
	}()
	var err error
	for i, id := range ids {
		var data []byte
		if data, err = r.one(id, name(i)); err == nil {
			err = each(i, data)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			r.broken = err
			r.said() // ends the writer too
			break
		}
	}
	return errors.Join(err, func() error {
		if werr := <-written; werr != nil && err == nil {
			r.broken = fmt.Errorf("write to git cat-file: %w", werr)
			return r.broken
		}
		return nil
	}())
}

// one reads one answer: "<id> blob <size>\n<bytes>\n" or "<id> missing\n".
func (r *gitReader) one(id, name string) ([]byte, error) {
	header, err := r.out.ReadString('\n')
	if err != nil {
		said := r.said()
		if strings.Contains(said, "promisor remote") {
			return nil, missingObject(name, id)
		}
		return nil, fmt.Errorf("read %s from git: %w: %s", name, err, said)
	}
	field := strings.Fields(header)
	if len(field) != 3 || field[1] != "blob" {
		if len(field) == 2 && field[1] == "missing" {
			return nil, missingObject(name, id)
		}
		return nil, fmt.Errorf("read %s from git: unexpected answer %q", name, strings.TrimSpace(header))
	}
	size, err := strconv.ParseInt(field[2], 10, 64)
	if err != nil || size < 0 {
		return nil, fmt.Errorf("read %s from git: unexpected size %q", name, field[2])
	}
	if size > maxFileBytes {
		return nil, tooLarge(name)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r.out, data); err != nil {
		return nil, fmt.Errorf("read %s from git: %w", name, err)
	}
	if _, err := r.out.Discard(1); err != nil {
		return nil, fmt.Errorf("read %s from git: %w", name, err)
	}
	return data, nil
}

func missingObject(name, id string) error {
	return inputError(name, "a partial clone lacks it: git fetch --refetch", "object %s is not in the repository", id)
}
