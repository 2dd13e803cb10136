package host_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// unread is a body that tells whether anybody asked for it.
type unread struct{ asked atomic.Bool }

func (u *unread) Read([]byte) (int, error) { u.asked.Store(true); return 0, io.EOF }

// wantOverloaded sends one request more than there is room for.
func wantOverloaded(t *testing.T, m *testmesh.Mesh, k owners.Key, c testmesh.Target) {
	t.Helper()
	body := &unread{}
	r := m.Request(t.Context(), k, c, "POST", "/add", body)
	r.ContentLength = 1 << 20
	r.Header.Set("Expect", "100-continue") // the body is sent when the handler asks for it
	patient := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	defer patient.CloseIdleConnections()
	res, err := patient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a := testmesh.Answer{Status: res.StatusCode, Body: string(b), Header: res.Header}
	if err != nil || a.Status != http.StatusServiceUnavailable || a.Code() != "overloaded" || a.Header.Get("Retry-After") == "" || a.Header.Get(wire.HeaderRefusal) != "" {
		t.Errorf("one too many: status %d %s, %v; want 503 overloaded, which a gateway does not send again", a.Status, a.Body, err)
	}
	if body.asked.Load() {
		t.Error("its body was read")
	}
}

// The bound on requests that wait holds wherever they wait.
func TestWaitingRequestsAreBounded(t *testing.T) {
	t.Parallel()
	bounded := func(o *host.Options) { o.Queue, o.QueueTotal = 3, 5 }
	fill := func(m *testmesh.Mesh, k owners.Key, c testmesh.Target, n int) (late []<-chan testmesh.Late) {
		for range n {
			late = append(late, m.LaterAt(k, c, "POST", "/add"))
		}
		m.Until("they wait", func() bool { return waitingOf(m, k) == n })
		return late
	}
	t.Run("behind an event", func(t *testing.T) {
		t.Parallel()
		m, enter, leave := holdingMesh(t, bounded)
		k := key("1")
		c := m.Owner(k)
		held := m.LaterAt(k, c, "POST", "/add?hold=1")
		<-enter
		late := fill(m, k, c, 3)
		wantOverloaded(t, m, k, c)
		close(leave)
		for i, l := range append(late, held) {
			if a := <-l; a.Status != 200 {
				t.Errorf("request %d: status %d %s", i, a.Status, a.Body)
			}
		}
		if a, _ := attempt(t, m, k, c); a.Body != "5" {
			t.Errorf("count %q, want 5: there is room again, and the one too many has not run", a.Body)
		}
	})
	t.Run("behind a release", func(t *testing.T) {
		t.Parallel()
		m, enter, leave := holdingMesh(t, bounded)
		k := key("1")
		c := m.Owner(k)
		held := m.LaterAt(k, c, "POST", "/add?hold=1")
		<-enter
		reply := releasing(m, k, c, wire.ReleaseNow, time.Minute)
		m.Until("it is marked", func() bool { a, _ := m.ActiveOf(k); return a.State == "releasing" })
		late := fill(m, k, c, 3)
		wantOverloaded(t, m, k, c)
		close(leave)
		<-held
		for i, l := range late {
			if a := <-l; a.Status != http.StatusMisdirectedRequest {
				t.Errorf("parked request %d: status %d %s, want a refusal", i, a.Status, a.Body)
			}
		}
		if r := <-reply; !r.Released {
			t.Errorf("release: %+v", r)
		}
		m.Forget(k)
		next := m.Owner(k)
		if a, _ := attempt(t, m, k, next); a.Body != "2" {
			t.Errorf("count %q, want 2", a.Body)
		}
		if n := waitingOf(m, k); n != 0 {
			t.Errorf("%d wait after all were answered", n)
		}
	})
	t.Run("of all objects", func(t *testing.T) {
		t.Parallel()
		m, enter, leave := holdingMesh(t, bounded)
		var late []<-chan testmesh.Late
		for i, n := range []int{3, 2} {
			k := key(fmt.Sprint(i))
			c := m.Owner(k)
			late = append(late, m.LaterAt(k, c, "POST", "/add?hold=1"))
			<-enter
			late = append(late, fill(m, k, c, n)...)
		}
		k := key("1")
		wantOverloaded(t, m, k, m.Owner(k)) // this object has two, the host five
		close(leave)
		for i, l := range late {
			if a := <-l; a.Status != 200 {
				t.Errorf("request %d: status %d %s", i, a.Status, a.Body)
			}
		}
		m.Must(k, "POST", "/add", "", 200)
	})
}

// Clients that give up leave nothing behind, however long the event in front of them takes.
func TestWhoGaveUpLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	enter, leave := make(chan string, 1), make(chan struct{})
	o := m.Options("one")
	o.Queue = 4
	h, err := host.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Handle("Cart", counting("one", func(*http.Request) { enter <- ""; <-leave }))
	m.Run(o.Listener.Addr().String(), h.Run)
	k := key("1")
	c := m.Owner(k)
	held := m.LaterAt(k, c, "POST", "/add?hold=1")
	<-enter
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		r := m.Request(ctx, k, c, "POST", "/add", strings.NewReader(""))
		sent := make(chan struct{})
		go func() { _, _, _ = m.Send(r); close(sent) }()
		m.Until("it waits", func() bool { return host.Waiting(h, k) == 1 })
		cancel()
		<-sent
		m.Until("it has given up", func() bool { return host.Waiting(h, k) == 0 })
	}
	if n := host.Queued(h, k); n > 64 {
		t.Errorf("the queue keeps %d requests of clients that have left", n)
	}
	close(leave)
	if a := <-held; a.Status != 200 || a.Body != "1" {
		t.Errorf("status %d, count %s", a.Status, a.Body)
	}
	if a, _ := attempt(t, m, k, c); a.Body != "2" {
		t.Errorf("count %q, want 2: nothing of a client that had left may have run", a.Body)
	}
}
