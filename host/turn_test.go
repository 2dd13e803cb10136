package host_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// A bounded number of activations load at a time; the others come after them.
func TestActivationsTakeTurns(t *testing.T) {
	t.Parallel()
	for _, most := range []int{2, 5} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			m := testmesh.New(t, testmesh.Embedded(t))
			const objects = 5
			var inside, peak atomic.Int32
			enter, leave := make(chan string, objects), make(chan struct{})
			activate := counting("one", nil)
			m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
				defer inside.Add(-1)
				if now := inside.Add(1); now > int32(most) {
					peak.Store(now)
				}
				enter <- ""
				<-leave
				return activate(ctx, o)
			}, func(o *host.Options) { o.MaxActivating = most })
			var late []<-chan testmesh.Late
			for i := range objects {
				k := key(fmt.Sprint(i))
				late = append(late, m.LaterAt(k, m.Owner(k), "POST", "/add"))
			}
			for range most {
				<-enter
			}
			m.Until("all requests wait", func() bool {
				n := 0
				for i := range objects {
					n += waitingOf(m, key(fmt.Sprint(i)))
				}
				return n == objects
			})
			if extra := len(enter); extra > 0 {
				t.Errorf("%d more than %d load", extra, most)
			}
			close(leave)
			for i, l := range late {
				if a := <-l; a.Status != 200 || a.Body != "1" {
					t.Errorf("object %d: status %d %s", i, a.Status, a.Body)
				}
			}
			if n := peak.Load(); n > 0 {
				t.Errorf("%d loaded at once, at most %d may", n, most)
			}
		})
	}
}

// slow is an Activate that hangs as often as told, until its context ends or, if it is deaf, until it is freed.
type slow struct {
	hangs   atomic.Int32
	deaf    bool
	free    chan struct{}
	objects chan *host.Object // that hang
	ended   chan error        // why the context of one that was not deaf ended
	closed  chan string
}

func newSlow(hangs int32, deaf bool) *slow {
	s := &slow{deaf: deaf, free: make(chan struct{}), objects: make(chan *host.Object, 100), ended: make(chan error, 100), closed: make(chan string, 100)}
	s.hangs.Store(hangs)
	return s
}

func (s *slow) activate(ctx context.Context, o *host.Object) (http.Handler, error) {
	if s.hangs.Add(-1) >= 0 {
		s.objects <- o
		if !s.deaf {
			<-ctx.Done()
			s.ended <- context.Cause(ctx)
			return nil, ctx.Err()
		}
		<-s.free
		return &counter{o: o, name: "late", closed: func() { s.closed <- "late" }}, nil
	}
	return counting("one", nil)(ctx, o)
}

func wantTooLong(t *testing.T, a testmesh.Answer) {
	t.Helper()
	if a.Status != http.StatusGatewayTimeout || a.Code() != string(wire.UpstreamTimeout) {
		t.Errorf("status %d %s, want 504 upstream_timeout", a.Status, a.Body)
	}
}

// An activation that takes too long ends: its context, and the wait of its requests. The pin stays, and the next request tries again.
func TestActivateThatTakesTooLong(t *testing.T) {
	t.Parallel()
	m, s := testmesh.New(t, testmesh.Embedded(t)), newSlow(1, false)
	m.Start("one", s.activate, func(o *host.Options) { o.ActivateTimeout = 300 * time.Millisecond })
	k := key("1")
	c := m.Owner(k)
	m.Until("it has hung", func() bool { // a busy machine may take too long before Activate is called
		a, refusal := attempt(t, m, k, c)
		wantTooLong(t, a)
		if refusal.Reason != "" {
			t.Errorf("refused with %+v; a gateway would send it again", refusal)
		}
		return len(s.objects) > 0
	})
	if err := <-s.ended; err == nil || err.Error() != "the activation took longer than Options.ActivateTimeout" {
		t.Errorf("the context ended with %v", err)
	}
	if !owned(m, k) {
		t.Error("the pin was given back")
	}
	m.Until("the next request is served", func() bool { a, _ := attempt(t, m, k, c); return a.Status == 200 && a.Body == "1" })
}

// Without a limit it may take any time.
func TestActivateWithoutALimit(t *testing.T) {
	t.Parallel()
	m, s := testmesh.New(t, testmesh.Embedded(t)), newSlow(1, true)
	m.Start("one", s.activate, func(o *host.Options) { o.ActivateTimeout = -1 })
	k := key("1")
	late := m.LaterAt(k, m.Owner(k), "POST", "/add")
	<-s.objects
	select {
	case a := <-late:
		t.Errorf("answered with %d %s while it is being activated", a.Status, a.Body)
	case <-time.After(300 * time.Millisecond):
	}
	close(s.free)
	if a := <-late; a.Status != 200 || a.Header.Get("Served-By") != "late" {
		t.Errorf("status %d %s", a.Status, a.Body)
	}
}

// An Activate that does not look at its context holds its object here, and nobody else's: its requests are answered,
// nothing of it is stored, and no second one runs beside it.
func TestActivateThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	m, s := testmesh.New(t, testmesh.Embedded(t)), newSlow(1, true)
	m.Start("one", s.activate, func(o *host.Options) { o.ActivateTimeout, o.MaxActivating = 300*time.Millisecond, 1 })
	k := key("1")
	c := m.Owner(k)
	m.Until("it hangs", func() bool { // a busy machine may take too long before Activate is called
		a, _ := attempt(t, m, k, c)
		wantTooLong(t, a)
		return len(s.objects) > 0
	})
	a, _ := attempt(t, m, k, c)
	if wantTooLong(t, a); !strings.Contains(a.Body, "earlier code of this object has not returned") {
		t.Errorf("behind the code that hangs: %s", a.Body)
	}
	stuck := <-s.objects
	if err := stuck.Storage().Put(t.Context(), "n", []byte("7")); !errors.Is(err, host.ErrStale) {
		t.Errorf("a write of what took too long: %v, want ErrStale", err)
	}
	other := m.Owner(key("2")) // its turn is not kept by the stuck one
	m.Until("another object is served", func() bool { a, _ := attempt(t, m, key("2"), other); return a.Status == 200 })
	if r, err := m.ReleaseAt(k, c, wire.ReleaseNow, 50*time.Millisecond); err != nil || r.Released || !owned(m, k) {
		t.Errorf("release while its code runs: %+v, %v; want the deadline", r, err)
	}
	if n := len(s.objects); n != 0 {
		t.Errorf("%d more ran beside it", n)
	}
	close(s.free)
	if who := <-s.closed; who != "late" {
		t.Errorf("%q was closed, want what came late", who)
	}
	m.Until("it is served", func() bool { a, _ := attempt(t, m, k, c); return a.Status == 200 && a.Body == "1" })
}

// Whose turn does not come in time is overloaded, which says that another host of the same kind would be no better.
func TestTurnThatDoesNotCome(t *testing.T) {
	t.Parallel()
	m, st, s := testmesh.New(t, testmesh.Embedded(t)), newStops(), newSlow(100, false)
	m.Start("one", s.activate, faulty(nil, st), func(o *host.Options) { o.ActivateTimeout, o.MaxActivating = 500*time.Millisecond, 1 })
	const objects = 8
	wake := st.hold(faults.ConfirmToClaim) // so that all ask for their turn at once
	var late []<-chan testmesh.Late
	for i := range objects {
		k := key(fmt.Sprint(i))
		late = append(late, m.LaterAt(k, m.Owner(k), "POST", "/add"))
	}
	for range objects {
		st.reached(faults.ConfirmToClaim)
	}
	wake()
	codes := map[string]int{}
	for _, l := range late {
		a := <-l
		codes[a.Code()]++
	}
	if codes["upstream_timeout"] == 0 || codes["overloaded"] == 0 || codes["upstream_timeout"]+codes["overloaded"] != objects {
		t.Errorf("answers %v, want upstream_timeout for who loaded and overloaded for who waited", codes)
	}
}
