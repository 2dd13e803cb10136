package host_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// Negative controls (ownership.md §8): each protection is switched off, with
// the layers that mask it; the scenario that is clean with them must then break an
// invariant. So a protection that does nothing, and a checker that sees nothing, fail here.

// control runs one scenario with and without a protection.
func control(t *testing.T, invariant string, off []faults.Protection, fenceOff bool, scenario func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options))) {
	t.Helper()
	embedded := func(t *testing.T) string { return testmesh.Embedded(t) }
	controlOn(t, embedded, invariant, off, fenceOff, scenario)
}

// controlOn is control on the store that start starts.
func controlOn(t *testing.T, start func(t *testing.T) string, invariant string, off []faults.Protection, fenceOff bool, scenario func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options))) {
	run := func(t *testing.T, off []faults.Protection, fenceOff bool) []string {
		m := testmesh.New(t, start(t))
		tr := newTrace(m)
		scenario(t, m, tr, func(st *stops) func(*host.Options) {
			return func(o *host.Options) {
				faulty(tr, st, off...)(o)
				if fenceOff {
					withoutFence(o)
				}
			}
		})
		return tr.violations(invariant)
	}
	t.Parallel()
	t.Run("with it", func(t *testing.T) {
		t.Parallel()
		if v := run(t, nil, false); v != nil {
			t.Errorf("%s broke: %v", invariant, v)
		}
	})
	t.Run("without it", func(t *testing.T) {
		t.Parallel()
		if run(t, off, fenceOff) == nil {
			t.Errorf("without %v nothing broke %s: the control is not caught", off, invariant)
		}
	})
}

// breakI adds a violation that the trace cannot see by itself.
func (tr *trace) breakI(invariant, what string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.broken[invariant] = append(tr.broken[invariant], what)
}

// try makes one attempt at a target, whatever comes of it.
func try(m *testmesh.Mesh, c testmesh.Target, method, path string) testmesh.Late {
	return <-m.LaterAt(key("1"), c, method, path)
}

// takenOver makes host one deaf, starts host two, and lets it serve the object.
func takenOver(t *testing.T, m *testmesh.Mesh, with func(*stops) func(*host.Options)) (one testmesh.Target, st *stops, renew func()) {
	st = newStops()
	m.Start("one", counting("one", nil), with(st))
	one = m.Owner(key("1"))
	try(m, one, "POST", "/add")
	renew = st.hold(faults.BeforeRenew)
	deaf(m, st, one)
	m.Start("two", counting("two", nil), with(nil))
	m.Forget(key("1"))
	m.Must(key("1"), "POST", "/add", "", 200)
	return one, st, renew
}

func TestControlLease(t *testing.T) {
	control(t, "I1c", []faults.Protection{faults.Lease}, false, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		one, _, renew := takenOver(t, m, with)
		try(m, one, "GET", "/")
		renew()
	})
}

// After a release, a request of an early gateway under the old token.
func TestControlReleased(t *testing.T) {
	control(t, "I1a", []faults.Protection{faults.Released, faults.Confirm}, true, func(t *testing.T, m *testmesh.Mesh, _ *trace, with func(*stops) func(*host.Options)) {
		m.Start("one", counting("one", nil), with(nil))
		old := m.Owner(key("1"))
		try(m, old, "POST", "/add")
		m.Release(key("1"), wire.ReleaseNow, time.Minute)
		m.Avoid(old.SID)
		m.Start("two", counting("two", nil), with(nil))
		m.Forget(key("1"))
		m.Must(key("1"), "POST", "/add", "", 200)
		try(m, old, "POST", "/add")
	})
}

func TestControlIdle(t *testing.T) {
	control(t, "I1b", []faults.Protection{faults.Idle}, false, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		tr.moved = true
		enter, leave := make(chan string, 10), make(chan struct{})
		hold := func(*http.Request) { enter <- ""; <-leave }
		m.Start("one", counting("one", hold), with(nil))
		k := key("1")
		old := m.Owner(k)
		held := m.LaterAt(k, old, "POST", "/add?hold=1")
		<-enter
		reply := releasing(m, k, old, wire.ReleaseNow, time.Minute)
		released := wire.ReleaseReply{}
		select {
		case released = <-reply: // only without the protection
			m.Avoid(old.SID)
			m.Start("two", counting("two", nil), with(nil))
			m.Forget(k)
			m.Must(k, "POST", "/add", "", 200)
		case <-time.After(2 * time.Second):
		}
		close(leave)
		<-held
		if !released.Released {
			<-reply
		}
	})
}

// A deadline that aborts after the script was sent: the host goes on under a token that it has given back.
func TestControlAbortAfterScript(t *testing.T) {
	control(t, "I1a", []faults.Protection{faults.Sent, faults.Confirm}, true, func(t *testing.T, m *testmesh.Mesh, _ *trace, with func(*stops) func(*host.Options)) {
		st := newStops()
		m.Start("one", counting("one", nil), with(st))
		k := key("1")
		old := m.Owner(k)
		try(m, old, "POST", "/add")
		resume := st.hold(faults.AfterRelease)
		reply := releasing(m, k, old, wire.ReleaseNow, 50*time.Millisecond)
		st.reached(faults.AfterRelease)
		time.Sleep(150 * time.Millisecond) // the deadline passes
		m.Avoid(old.SID)
		m.Start("two", counting("two", nil), with(nil))
		m.Forget(k)
		m.Must(k, "POST", "/add", "", 200)
		late := m.LaterAt(k, old, "POST", "/add")
		select {
		case <-late: // only without the protection
			resume()
		case <-time.After(2 * time.Second):
			resume()
			<-late
		}
		<-reply
	})
}

// A request that was stamped for an earlier session of the same process.
func TestControlSession(t *testing.T) {
	control(t, "I3", []faults.Protection{faults.SID, faults.Confirm}, true, func(t *testing.T, m *testmesh.Mesh, _ *trace, with func(*stops) func(*host.Options)) {
		st := newStops()
		h := m.Start("one", counting("one", nil), with(st))
		old := m.Owner(key("1"))
		try(m, old, "POST", "/add")
		renew := st.hold(faults.BeforeRenew)
		deaf(m, st, old)
		poke(t, m, h.Addr)
		renew()
		m.Until("it is back under a new session", func() bool { s, ok := m.SessionAt(h.Addr); return ok && s.ID != old.SID })
		m.Until("its gate is open", func() bool { return !strings.HasPrefix(try(m, old, "GET", "/").Refusal, "reason=lease") })
	})
}

// An activation that outlives its session serves what it remembers.
func TestControlZombie(t *testing.T) {
	control(t, "I6", []faults.Protection{faults.Fresh}, false, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		one, _, renew := takenOver(t, m, with)
		poke(t, m, one.Addr)
		renew()
		var back string
		m.Until("it is back under a new session", func() bool { s, ok := m.SessionAt(one.Addr); back = s.ID; return ok && s.ID != one.SID })
		k := key("1")
		pin, _, _, err := m.Store.Pin(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		m.Release(k, wire.ReleaseNow, time.Minute)
		m.Avoid(pin.SID)
		m.Forget(k)
		if a := m.Must(k, "GET", "/", "", 200); a.Body != "2" {
			tr.breakI("I6", "session "+back+" reads "+a.Body+" after 2 was acknowledged")
		}
	})
}

// An answer that a stale instance made of its memory.
func TestControlOutput(t *testing.T) {
	control(t, "I6", []faults.Protection{faults.Output}, false, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		enter, leave := make(chan string, 10), make(chan struct{})
		hold := func(*http.Request) { enter <- ""; <-leave }
		st := newStops()
		m.Start("one", counting("one", hold), with(st))
		k := key("1")
		old := m.Owner(k)
		try(m, old, "POST", "/add")
		late := m.LaterAt(k, old, "GET", "/?hold=1")
		<-enter
		renew := st.hold(faults.BeforeRenew)
		deaf(m, st, old)
		renew()
		close(leave)
		if a := <-late; a.Status == 200 {
			tr.breakI("I6", "an answer left after the session was dead")
		}
	})
}

// A late write without the storage's fence.
func TestControlFence(t *testing.T) {
	control(t, "I5", []faults.Protection{faults.Lease, faults.Fresh, faults.Output}, true, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		enter, leave := make(chan string, 10), make(chan struct{})
		hold := func(*http.Request) { enter <- ""; <-leave }
		st := newStops()
		m.Start("one", counting("one", hold), with(st))
		k := key("1")
		old := m.Owner(k)
		try(m, old, "POST", "/add")
		late := m.LaterAt(k, old, "POST", "/add?hold=1")
		<-enter
		renew := st.hold(faults.BeforeRenew)
		deaf(m, st, old)
		m.Start("two", counting("two", nil), with(nil))
		m.Forget(k)
		m.Must(k, "POST", "/add", "", 200)
		m.Must(k, "POST", "/add", "", 200)
		close(leave)
		<-late
		renew()
		m.Release(k, wire.ReleaseNow, time.Minute)
		m.Forget(k)
		if a := m.Must(k, "GET", "/", "", 200); a.Body != "3" {
			tr.breakI("I5", "the count is "+a.Body+" after 3 was acknowledged")
		}
	})
}

// lateWrites gives one write an unknown outcome and lands it when the test wants.
type lateWrites struct {
	storage.Driver
	mu    sync.Mutex
	armed bool
	land  func() error
}

func (l *lateWrites) Write(ctx context.Context, o string, f storage.Fence, b storage.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.armed {
		return l.Driver.Write(ctx, o, f, b)
	}
	l.armed = false
	l.land = func() error { return l.Driver.Write(context.Background(), o, f, b) }
	return storage.ErrUnknown
}

func (l *lateWrites) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = true
}

// A write of unknown outcome that lands after its object was activated again under the same token.
func TestControlCounter(t *testing.T) {
	control(t, "I5", []faults.Protection{faults.N}, false, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		late := &lateWrites{}
		m.Start("one", counting("one", nil), with(nil), func(o *host.Options) {
			o.Faults.Storage = func(d storage.Driver) storage.Driver { late.Driver = d; return late }
		})
		k := key("1")
		c := m.Owner(k)
		try(m, c, "POST", "/add")
		late.arm()
		if a := try(m, c, "POST", "/add"); a.Code() != "stale_instance" {
			t.Errorf("a write of unknown outcome: %d %s, want stale_instance", a.Status, a.Body)
		}
		for range 2 {
			if a := try(m, c, "POST", "/add"); a.Status != 200 {
				t.Fatalf("after it was activated again: %d %s", a.Status, a.Body)
			}
		}
		_ = late.land() // refused, with the protection
		m.Release(k, wire.ReleaseNow, time.Minute)
		m.Forget(k)
		if a := m.Must(k, "GET", "/", "", 200); a.Body != "3" {
			tr.breakI("I5", "the count is "+a.Body+" after 3 was acknowledged")
		}
	})
}
