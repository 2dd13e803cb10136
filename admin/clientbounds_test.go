package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What answers may be anything: a proxy's login page, a server that is stuck.
// The client ends, in bounded memory, and says who it asked.
func TestTheClientEndsWhateverAnswers(t *testing.T) {
	rows := map[string]struct {
		answer      http.HandlerFunc
		patience    time.Duration
		unreachable bool
		want        string
	}{
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"app":"`)
			for part := []byte(strings.Repeat("a", 1<<20)); ; {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		}, 0, false, "is longer than 65 MiB"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 50 * time.Millisecond, true, "no whole answer within 50ms"},
		"byte by byte": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				if err := http.NewResponseController(w).Flush(); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}, 50 * time.Millisecond, true, "no whole answer within 50ms"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"app"`)
		}, 0, false, "unexpected EOF"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, 0, false, "is not what this version expects"},
		"a page of an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "no\n::error::\x1b[31m")
		}, 0, false, `404 Not Found: "no\n::error::\x1b[31m"`},
		"round and round": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, 0, true, "stopped after 10 redirects"},
		"to another scheme": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, 0, true, "unsupported protocol scheme"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(row.answer)
			defer server.Close()
			_, err := (&Client{URL: server.URL, Patience: row.patience}).Schema(t.Context(), "shop", "v1")
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), server.URL) {
				t.Fatalf("error %v, want %q of %s", err, row.want, server.URL)
			}
			if errors.Is(err, ErrUnreachable) != row.unreachable {
				t.Errorf("unreachable: %v, want %v", !row.unreachable, row.unreachable)
			}
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("the answer writes into the log: %q", err)
			}
		})
	}
}

// Who gives up is told so, not that the API cannot be reached.
func TestTheClientTellsItsCallersEndFromItsOwn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Client{URL: server.URL}).Schema(ctx, "shop", "v1"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}
