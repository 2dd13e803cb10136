package schema_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// releaseFIFO lets go of a reader that waits for a writer, or will.
func releaseFIFO(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(hang); time.Now().Before(end); time.Sleep(time.Millisecond) {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) // fails until there is a reader
		if err == nil {
			if err := unix.Close(fd); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Error("nobody reads " + path)
}
