package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func echo(_ *fakeHost, w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(500)
		return
	}
	fmt.Fprintf(w, "%x", sha256.Sum256(b))
}

// moving is a mesh where the object lives on a host that cordoned itself and
// refuses the next request of every object it owns.
func moving(t testing.TB) (m *mesh, old *fakeHost) {
	m = newMesh(t)
	old = m.fake("old", "v1", func(f *fakeHost, w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/settle") {
			return
		}
		letGo(f, w, r)
	})
	m.table()
	return m, old
}

func TestRefusedRequestIsSentAgainWhole(t *testing.T) {
	for _, size := range []int{0, 1, 100 << 10, 200 << 10, 3 << 20} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, chunked %v", size, chunked), func(t *testing.T) {
				m, old := moving(t)
				m.get("/carts/1/settle")
				if err := m.store.Want(t.Context(), old.sid, owners.WantedCordon); err != nil {
					t.Fatal(err)
				}
				m.fake("new", "v1", echo)
				body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				var rd io.Reader = bytes.NewReader(body)
				if chunked {
					rd = struct{ io.Reader }{rd}
				}
				got := m.do(http.MethodPost, "/carts/1/x", rd)
				if want := fmt.Sprintf("%x", sha256.Sum256(body)); got.status != 200 || got.body != want {
					t.Fatalf("%d %s, want %s", got.status, got.body, want)
				}
				if n := old.seen.Load(); n != 2 {
					t.Fatalf("the old host saw %d requests, want the first and one that it refused", n)
				}
				if ev := m.events.wait(t, 2); ev.Refusals != 1 || ev.Resends != 1 {
					t.Fatalf("event %+v", ev)
				}
			})
		}
	}
}

// cutOff reads the request and closes the connection without an answer.
func cutOff(_ *fakeHost, w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if strings.HasSuffix(r.URL.Path, "/settle") {
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

// A GET on a connection that has been used before is what net/http would send
// again by itself: the host may have run it.
func TestUnknownOutcomeIsNotSentAgain(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			m := newMesh(t)
			f := m.fake("a", "v1", cutOff)
			m.table()
			m.get("/carts/1/settle")
			var body io.Reader
			if method == http.MethodPost {
				body = strings.NewReader("once")
			}
			a := m.do(method, "/carts/1/x", body)
			if p := a.problem(t); a.status != 502 || p.Code != "upstream_failed" || p.Retryable != "if-idempotent" {
				t.Fatalf("%d %+v", a.status, p)
			}
			if n := f.seen.Load(); n != 2 {
				t.Fatalf("the host saw %d requests; the second one was sent again", n)
			}
		})
	}
}

func TestOwnerDeclaredDeadWhileItStandsStill(t *testing.T) {
	m := newMesh(t)
	release := make(chan struct{})
	defer close(release)
	f := m.fake("a", "v1", func(_ *fakeHost, _ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/still") {
			<-release
		}
	})
	m.table()
	m.get("/carts/2")
	done := make(chan answer, 1)
	go func() { done <- m.get("/carts/1/still") }()
	eventually(t, "the request is at the host", func() bool { return f.seen.Load() == 2 })
	m.fake("b", "v1", echo)
	f.end()
	a := <-done
	if p := a.problem(t); a.status != 409 || p.Code != "stale_instance" {
		t.Fatalf("%d %+v", a.status, p)
	}
	if pin := m.gw.pins.get(owners.Key{Class: "Cart", ID: "2"}); pin != nil {
		t.Fatal("the pin of another object of the dead host was not forgotten")
	}
	// The table still lists the dead host, alone: the store knows better.
	if got := m.get("/carts/2"); got.status != 200 || got.body == "" {
		t.Fatalf("another object of the dead host: %d %q", got.status, got.body)
	}
}

func TestHostThatCannotBeReachedIsNotAnUnknownOutcome(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits.HoldFor = 300 * time.Millisecond })
	f := m.fake("a", "v1", echo)
	m.table()
	m.get("/carts/1")
	srvDown := m.gw.pins.get(owners.Key{Class: "Cart", ID: "1"})
	gone := *srvDown
	gone.Addr = "127.0.0.1:1" // nobody listens there
	m.gw.pins.entry(owners.Key{Class: "Cart", ID: "1"}).target.Store(&gone)
	if a := m.do(http.MethodPost, "/carts/1", strings.NewReader("x")); a.status != 200 {
		t.Fatalf("%d %s; the pin was right in the store", a.status, a.body)
	}
	if n := f.seen.Load(); n != 2 {
		t.Fatalf("seen %d", n)
	}
}

// A gate that always refuses sees few requests, however many wait.
func TestRefusalsDoNotStorm(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) {
		m.classes[0].Limits = routing.Limits{HoldFor: 600 * time.Millisecond, HeldPerObject: 1000}
	})
	f := m.fake("a", "v1", func(_ *fakeHost, w http.ResponseWriter, _ *http.Request) { refuse(w, wire.ReasonReleasing, 0) })
	m.table()
	var wg sync.WaitGroup
	var bad atomic.Int64
	for range 60 {
		wg.Go(func() {
			if a := m.get("/carts/1"); a.status != 503 || a.problem(t).Code != "owner_moving" {
				bad.Add(1)
			}
		})
	}
	wg.Wait()
	if bad.Load() != 0 {
		t.Errorf("%d requests did not end with owner_moving", bad.Load())
	}
	// 60 firsts, 60 seconds, then one at a time: 600 ms of them, and those who lose patience.
	if n := f.seen.Load(); n > 400 {
		t.Errorf("the gate refused %d requests for 60 clients", n)
	}
}

func TestWrongSecretIsSaidAtOnce(t *testing.T) {
	m := newMesh(t)
	m.fake("a", "v1", func(_ *fakeHost, w http.ResponseWriter, _ *http.Request) { refuse(w, wire.ReasonAuth, 0) })
	m.table()
	start := time.Now()
	a := m.get("/carts/1")
	if p := a.problem(t); p.Code != "no_host" || !strings.Contains(p.Detail, "secrets differ") || time.Since(start) > 2*time.Second {
		t.Fatalf("%+v", p)
	}
}

// rawReader hands out what a test gives it, when the test says so.
type rawReader struct {
	data chan []byte
}

func (r *rawReader) Read(p []byte) (int, error) {
	b, ok := <-r.data
	if !ok {
		return 0, io.EOF
	}
	return copy(p, b), nil
}

func (r *rawReader) Close() error { return nil }

// Property: whatever attempts come and go, and wherever they stop reading, the
// next attempt that can be had reads the whole body.
func TestReplayGivesTheWholeBody(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(0, replayMax+4096).Draw(rt, "size")
		want := bytes.Repeat([]byte{1, 2, 3, 5, 7, 11, 13}, size/7+1)[:size]
		var held atomic.Int64
		req, _ := http.NewRequest(http.MethodPost, "/", io.NopCloser(bytes.NewReader(want)))
		p := newReplay(nil, req, &held, int64(rapid.SampledFrom([]int{1 << 30, 1000}).Draw(rt, "class bound")))
		for range rapid.IntRange(0, 4).Draw(rt, "lost attempts") {
			b, err := p.attempt()
			if err != nil {
				p.close()
				return // too long to be sent again: said, not sent broken
			}
			_, _ = io.CopyN(io.Discard, b, int64(rapid.IntRange(0, size).Draw(rt, "read")))
			b.Close()
		}
		b, err := p.attempt()
		if err == nil {
			if rapid.Bool().Draw(rt, "accepted early") {
				p.accepted()
			}
			got, err := io.ReadAll(bufio.NewReaderSize(b, 777))
			if err != nil || !bytes.Equal(got, want) {
				rt.Fatalf("read %d of %d bytes: %v", len(got), len(want), err)
			}
		}
		p.close()
		if n := held.Load(); n != 0 {
			rt.Fatalf("%d bytes still counted as held", n)
		}
	})
}

// An attempt that was given up may still be inside a read of the client's
// body: what it gets belongs to the next attempt.
func TestReplayKeepsWhatALostAttemptStillReads(t *testing.T) {
	src := &rawReader{data: make(chan []byte)}
	var held atomic.Int64
	p := newReplay(nil, &http.Request{Body: src}, &held, 1<<20)
	first, err := p.attempt()
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_, _ = first.Read(make([]byte, 10)) // blocks: the client has not sent yet
	}()
	eventually(t, "the first attempt reads", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.reading })
	first.Close()
	second, err := p.attempt()
	if err != nil {
		t.Fatal(err)
	}
	go func() { src.data <- []byte("hello "); src.data <- []byte("world"); close(src.data) }()
	got, err := io.ReadAll(second)
	if err != nil || string(got) != "hello world" {
		t.Fatalf("%q %v", got, err)
	}
	<-reading
	p.close()
}
