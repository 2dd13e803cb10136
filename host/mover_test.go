package host_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// A mover that dies while the host is at any step of the release leaves the
// object movable: the release goes on by itself, a second mover's joins it or
// finds it done, and the next request is served under a new token.
func TestMoverDiesAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []faults.Point{faults.BeforeRelease, faults.AfterRelease} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, a second mover: %v", step, again), func(t *testing.T) {
				t.Parallel()
				m, tr, st, _, _ := releaseMesh(t)
				k := key("1")
				c := m.Owner(k)
				attempt(t, m, k, c)
				resume := st.hold(step)
				kill := mortal(t, m, k, c, wire.ReleaseNow)
				st.reached(step)
				kill()
				var second <-chan wire.ReleaseReply
				if again {
					second = releasing(m, k, c, wire.ReleaseDrain, time.Minute)
				}
				parked := m.LaterAt(k, c, "POST", "/add")
				resume()
				if a := <-parked; a.Refusal == "" {
					t.Errorf("a request under the old token: %d %s, want a refusal", a.Status, a.Body)
				}
				if again {
					if r := <-second; !r.Released {
						t.Errorf("the second mover: %+v", r)
					}
				}
				m.Until("the pin is given back", func() bool { return !owned(m, k) })
				m.Forget(k)
				if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" {
					t.Errorf("count %s, want 2", a.Body)
				}
				tr.clean(t)
			})
		}
	}
}

// A mover that dies between release and acquire leaves a released pin, which
// whoever asks next acquires.
func TestMoverDiesBeforeItAcquires(t *testing.T) {
	t.Parallel()
	m, tr, _, _, _ := releaseMesh(t)
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
		t.Fatalf("release: %+v", r)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if a, err := m.Do(t.Context(), k, "POST", "/add", ""); err != nil || a.Status != 200 {
				t.Errorf("%d %s %v", a.Status, a.Body, err)
			}
		})
	}
	all.Wait()
	if a := m.Must(k, "GET", "/", "", 200); a.Body != "9" {
		t.Errorf("count %s, want 9", a.Body)
	}
	tr.clean(t)
}

// A host that registers anew in the same process, while handlers and
// activations of the old session run on and ignore their contexts: the new
// session waits for none of them, runs one event at a time all the same, and
// what the old ones do when they go on is nothing.
func TestReRegistersOverThoseWhoIgnoreTheirContext(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		tr, st := newTrace(m), newStops()
		z := &zombies{enter: make(chan string, 10), leave: make(chan struct{}), next: make(chan struct{})}
		h := m.Start("one", z.activate, faulty(tr, st))
		running, loading := key("running"), key("loading")
		c, d := m.Owner(running), m.Owner(loading)
		attempt(t, m, running, c)
		first := m.LaterAt(running, c, "POST", "/add?hold=1")
		z.entered(t, "handler")
		z.slow.Store(true)
		second := m.LaterAt(loading, d, "POST", "/add")
		z.entered(t, "activation")
		z.slow.Store(false)
		renew := st.hold(faults.BeforeRenew)
		st.jump()
		poke(t, m, h.Addr)
		renew()
		m.Until("it is back under a new session", func() bool { s, ok := m.SessionAt(h.Addr); return ok && s.ID != c.SID })
		m.Forget(running)
		m.Forget(loading)
		m.Must(loading, "POST", "/add", "", 200)
		m.Must(running, "POST", "/add", "", 200)
		// The new session runs an event of the object and has one in its queue when the old ones go on.
		held := m.Later(running, "POST", "/add?hold=next")
		z.entered(t, "next")
		queued := m.Later(running, "POST", "/add")
		m.Until("the next waits", func() bool { a, _ := m.ActiveOf(running); return a.Waiting == 1 })
		close(z.leave)
		if a := <-first; a.Code() != "stale_instance" {
			t.Errorf("the old handler's answer: %d %s, want 409 stale_instance", a.Status, a.Body)
		}
		if a := <-second; a.Status == 200 {
			t.Errorf("an event of the old activation ran: %s", a.Body)
		}
		if a, _ := m.ActiveOf(running); a.Waiting != 1 || a.InFlight != 1 {
			t.Errorf("%d wait and %d run after the old handler's end, want 1 and 1", a.Waiting, a.InFlight)
		}
		close(z.next)
		if a, b := <-held, <-queued; a.Body != "3" || b.Body != "4" {
			t.Errorf("counts %s and %s, want 3 and 4: two before, and nothing of the old session's second event", a.Body, b.Body)
		}
		if a := m.Must(loading, "GET", "/", "", 200); a.Body != "1" {
			t.Errorf("count %s, want 1", a.Body)
		}
		tr.clean(t)
	})
}

// zombies are objects that hold where the test wants and listen to no context.
type zombies struct {
	enter       chan string
	leave, next chan struct{}
	slow        atomic.Bool
}

func (z *zombies) entered(t *testing.T, want string) {
	t.Helper()
	if got := <-z.enter; got != want {
		t.Fatalf("entered %s, want %s", got, want)
	}
}

func (z *zombies) activate(ctx context.Context, o *host.Object) (http.Handler, error) {
	if z.slow.Load() {
		z.enter <- "activation"
		<-z.leave
	}
	return counting("one", func(r *http.Request) {
		if r.URL.Query().Get("hold") == "next" {
			z.enter <- "next"
			<-z.next
			return
		}
		z.enter <- "handler"
		<-z.leave
	})(ctx, o)
}
