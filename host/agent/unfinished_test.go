package agent_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// After an event that the upstream did not end the next one says that it is the
// first of an activation, for the upstream's memory may be between two states.
// After one that it ended, however it was answered, and after a stream, it does not.
func TestUnfinishedEventEndsTheActivation(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	var mu sync.Mutex
	first := map[string]bool{}
	m, _ := upstreamThat(t, 2*time.Second, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		first[r.URL.Path] = r.Header.Get(wire.HeaderActivation) == "new"
		mu.Unlock()
		conn := func() net.Conn {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			return c
		}
		switch strings.TrimRight(r.URL.Path, "0123456789") {
		case "/hang":
			<-hang
		case "/cut":
			_ = conn().Close()
		case "/half":
			c := conn()
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			_ = c.Close()
		case "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			_, _ = io.Copy(w, r.Body)
		}
	})
	defer close(hang)
	k := key("1")
	isFirst := func(path string) bool {
		mu.Lock()
		defer mu.Unlock()
		new, seen := first[path]
		if !seen {
			t.Errorf("the upstream has not seen %s", path)
		}
		return new
	}
	m.Must(k, "GET", "/begin", "", 200)
	if !isFirst("/begin") {
		t.Error("the first event does not say that it is")
	}
	for i, c := range []struct {
		path string
		new  bool
	}{{"/fine", false}, {"/fails", false}, {"/hang", true}, {"/cut", true}, {"/half", true}, {"/part", true}, {"/events", false}, {"/fine", false}} {
		path, after := fmt.Sprint(c.path, i), fmt.Sprint("/after", i)
		switch c.path {
		case "/events":
			leaveStream(t, m, path)
		case "/part":
			sendPart(t, m, path, func() bool { mu.Lock(); defer mu.Unlock(); _, seen := first[path]; return seen })
		default:
			_, _ = m.Do(t.Context(), k, "POST", path, "x") // some of them have no answer
		}
		m.Must(k, "GET", after, "", 200)
		if got := isFirst(after); got != c.new {
			t.Errorf("after %s the next event is the first of an activation: %v, want %v", c.path, got, c.new)
		}
	}
}

// leaveStream begins a stream and goes away.
func leaveStream(t *testing.T, m *testmesh.Mesh, path string) {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(m.Request(t.Context(), key("1"), m.Owner(key("1")), "GET", path, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// sendPart breaks off in the middle of a request that the upstream has begun to read.
func sendPart(t *testing.T, m *testmesh.Mesh, path string, begun func() bool) {
	t.Helper()
	body, end := io.Pipe()
	go func() {
		_, _ = io.WriteString(end, "a part")
		m.Until("the upstream has it", begun)
		_ = end.CloseWithError(io.ErrUnexpectedEOF)
	}()
	res, err := http.DefaultTransport.RoundTrip(m.Request(t.Context(), key("1"), m.Owner(key("1")), "POST", path, body))
	if err == nil {
		_ = res.Body.Close()
	}
}
