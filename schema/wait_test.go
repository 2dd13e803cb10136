package schema_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/skewgate/skewgate/schema"
)

// Who is interrupted while the other end of a pipe has nothing to say yet is
// not kept waiting.
func TestWaitingForAnInputIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"dir/a.proto": simpleA})
	mkfifo(t, filepath.Join(dir, "fifo.binpb"))
	quiet, writer := io.Pipe()
	defer writer.Close()
	for name, in := range map[string]string{"standard input": "-", "a pipe without a writer": filepath.Join(dir, "fifo.binpb")} {
		t.Run(name, func(t *testing.T) {
			parsed, err := schema.ParseInput(in)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := schema.LoadPair(ctx, parsed, must(schema.ParseInput(filepath.Join(dir, "dir"))), schema.Options{Stdin: quiet})
				done <- err
			}()
			cancel()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
			case <-time.After(hang):
				t.Fatal("it hangs")
			}
		})
	}
	releaseFIFO(t, filepath.Join(dir, "fifo.binpb"))
}

// A manifest is read by each side: a pipe would give it to one of them.
func TestAManifestIsARegularFileOfBoundedSize(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.proto": simpleA})
	mkfifo(t, filepath.Join(dir, "m.yaml"))
	for _, file := range []string{"m.yaml", ".", "../../../../../../../../dev/zero"} {
		_, err := load(t, dir, schema.Options{ManifestFile: filepath.Join(dir, file)})
		wantError(t, err, "is not a regular file")
	}
	write(t, dir, map[string]string{"large.yaml": each(200_000, "# comment #\n")})
	_, err := load(t, dir, schema.Options{ManifestFile: filepath.Join(dir, "large.yaml")})
	wantError(t, err, "large.yaml", "is longer than 1 MiB")
}
