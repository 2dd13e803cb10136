package agent_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// worker is an upstream that cannot call a handler back: it does its work to the end, whoever still waits for it.
type worker struct {
	t       *testing.T
	storage *upstream
	begun   chan string   // path of each event that began
	next    chan struct{} // lets /work, /begun and /endless go on
	running atomic.Int32  // events that hold the queue
	most    atomic.Int32
}

func startWorker(t *testing.T, limit time.Duration) (*testmesh.Mesh, *worker) {
	x := &worker{t: t, begun: make(chan string, 100), next: make(chan struct{})}
	m, u := upstreamThat(t, limit, x.serve)
	x.storage = u
	return m, x
}

func (x *worker) serve(w http.ResponseWriter, r *http.Request) {
	if n := x.running.Add(1); n > x.most.Load() {
		x.most.Store(n)
	}
	defer x.running.Add(-1)
	flush := http.NewResponseController(w).Flush
	x.begun <- r.URL.Path
	switch r.URL.Path {
	case "/begun": // the answer's head and more than the gate holds have left
		fmt.Fprint(w, strings.Repeat("x", 100<<10))
		_ = flush()
		fallthrough
	case "/work":
		<-x.next
		api{x.t, x.storage.storage, r.Header.Get(wire.HeaderEvent)}.want("PUT", "/v1/storage/k", "done", 204, "")
		fmt.Fprint(w, strings.Repeat("x", 100<<10))
	case "/endless":
		for r.Context().Err() == nil {
			fmt.Fprint(w, "{}\n")
			_ = flush()
			time.Sleep(10 * time.Millisecond)
		}
		x.begun <- "ended"
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_ = flush()
		x.running.Add(-1) // beside the others
		defer x.running.Add(1)
		<-r.Context().Done()
		x.begun <- "ended"
	}
}

func (x *worker) want(path string) {
	x.t.Helper()
	select {
	case got := <-x.begun:
		if got != path {
			x.t.Fatalf("%q at the upstream, want %q", got, path)
		}
	case <-time.After(30 * time.Second):
		x.t.Fatalf("no %q at the upstream", path)
	}
}

// leave sends a request and goes away once the upstream has it, and has begun to answer where it does.
func (x *worker) leave(m *testmesh.Mesh, path string) {
	x.t.Helper()
	k := key("1")
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	if path == "/work" {
		over := make(chan error, 1)
		go func() { _, err := m.Do(ctx, k, "GET", path, ""); over <- err }()
		x.want(path)
		cancel()
		if err := <-over; err == nil {
			x.t.Fatal("the client did not leave")
		}
		return
	}
	res, err := http.DefaultTransport.RoundTrip(m.Request(ctx, k, m.Owner(k), "GET", path, nil))
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	x.want(path)
	cancel()
}

// A client that goes away does not let the object's next event in beside its own, which the upstream still runs.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/work", "/begun"} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			m, x := startWorker(t, 2*time.Minute)
			x.leave(m, path)
			after := m.Later(key("1"), "GET", "/after")
			time.Sleep(300 * time.Millisecond) // it would begin now, if it were let in
			close(x.next)
			x.want("/after")
			if a := <-after; a.Status != http.StatusOK {
				t.Errorf("the next event: %d %s", a.Status, a.Body)
			}
			if n := x.most.Load(); n != 1 {
				t.Errorf("%d events of one object ran at the same time", n)
			}
		})
	}
}

// An answer that nobody reads any more and that does not end has the time of a silent one.
func TestAnswerWithoutEndNobodyReads(t *testing.T) {
	t.Parallel()
	m, x := startWorker(t, 2*time.Second)
	x.leave(m, "/endless")
	m.Must(key("1"), "GET", "/after", "", http.StatusOK)
	got := map[string]bool{} // the upstream hears of its end when it writes next
	for !got["ended"] || !got["/after"] {
		select {
		case path := <-x.begun:
			got[path] = true
		case <-time.After(30 * time.Second):
			t.Fatalf("at the upstream: %v", got)
		}
	}
}

// A stream ends with its client, however long answers may take.
func TestStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	m, x := startWorker(t, -1)
	x.leave(m, "/events")
	x.want("ended")
}
