package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
)

// lines counts what it is given, and calls enough after so many.
type lines struct {
	mu     sync.Mutex
	text   strings.Builder
	after  int
	enough func()
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if strings.Count(l.text.String(), "\n") >= l.after {
		l.enough()
	}
	return len(b), nil
}

// TestWatch looks again and again until it is interrupted, which is no error.
func TestWatch(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	for _, what := range [][]string{{"hosts", "list"}, {"hosts", "get", "old-1"}, {"objects", "list"}, {"objects", "history", "Cart/1"}, {"skew"}, {"doctor"}} {
		ctx, stop := context.WithCancel(t.Context())
		out := &lines{after: 3, enough: stop}
		var stderr strings.Builder
		args := append(what, "--admin", m.admin, "-w", "--every", "100ms", "-o", "json")
		if code := run(ctx, args, strings.NewReader(""), out, &stderr); code != exitOK {
			t.Errorf("%v: exit %d: %s", what, code, stderr.String())
		}
		stop()
		dec, n := json.NewDecoder(strings.NewReader(out.text.String())), 0
		for ; ; n++ {
			var a struct{ Kind, APIVersion string }
			if err := dec.Decode(&a); err == io.EOF {
				break
			} else if err != nil || a.Kind == "" {
				t.Fatalf("%v: answer %d: %+v, %v", what, n, a, err)
			}
		}
		if n < 3 {
			t.Errorf("%v: %d answers", what, n)
		}
	}
}
