package host_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
)

// Each look at the clock is a system call. An event that does not wait needs
// two: before its handler runs, and before its answer leaves. Neither may be
// saved: a process may have stood still before either of them.
func TestAnEventLooksAtTheClockTwice(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	var looks atomic.Int64
	o := m.Options("one")
	o.Faults = &faults.Host{Clock: func() time.Duration { looks.Add(1); return owners.Now() }}
	h, err := host.New(o)
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) { return handler, nil })
	m.Run(o.Listener.Addr().String(), h.Run)
	c := m.Owner(key("1"))
	event := func() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, m.Request(t.Context(), key("1"), c, "GET", "/", nil)); w.Code != http.StatusOK {
			t.Errorf("status %d %s", w.Code, w.Body)
		}
	}
	event() // activates
	const n = 1000
	looks.Store(0)
	for range n {
		event()
	}
	if got := looks.Load(); got < 2*n || got > 2*n+n/2 { // the host renews its lease beside it
		t.Errorf("%d events looked at the clock %d times, want %d", n, got, 2*n)
	}
}

// An activation that is lost while an event runs ends its context at once, and is told of its end after the event.
func TestLostActivationIsToldAfterItsLastEvent(t *testing.T) {
	t.Parallel()
	m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
	enter, leave, closed := make(chan string, 1), make(chan struct{}), make(chan struct{})
	var object *host.Object
	activate := counting("one", func(*http.Request) { enter <- ""; <-leave }) // ignores its context
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		v, err := activate(ctx, o)
		if c := v.(*counter); c.o.Key() == key("1") && object == nil {
			object, c.closed = o, func() { close(closed) }
		}
		return v, err
	}, faulty(nil, st))
	c := m.Owner(key("1"))
	late := m.LaterAt(key("1"), c, "GET", "/?hold=1")
	<-enter
	defer st.hold(faults.BeforeRenew)()
	st.jump()
	poke(t, m, c.Addr)
	<-object.Context().Done()
	if cause := context.Cause(object.Context()); cause == nil || cause.Error() != "the host's lease has passed" {
		t.Errorf("the context ended with %v", cause)
	}
	select {
	case <-closed:
		t.Error("told of its end while an event runs")
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	if a := <-late; a.Status != http.StatusConflict {
		t.Errorf("status %d %s, want 409: the answer is withheld", a.Status, a.Body)
	}
	<-closed
}
