package host_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// deaf makes the host's lease pass, by its own clock and by the watcher's; st holds its renewals.
func deaf(m *testmesh.Mesh, st *stops, c testmesh.Target) {
	m.Dead(c.SID)
	st.jump()
}

// poke is a request of somebody else: it makes the host look at its clock.
func poke(t *testing.T, m *testmesh.Mesh, addr string) {
	t.Helper()
	attempt(t, m, key("somebody"), testmesh.Target{Addr: addr, SID: owners.NewSID(), Token: 1})
}

// Stopped between the gate and the handler for longer than its lease, an event
// does not run: the gate's last look comes after the stop.
func TestStoppedBetweenGateAndHandler(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		tr, st := newTrace(m), newStops()
		m.Start("one", counting("one", nil), faulty(tr, st))
		k := key("1")
		c := m.Owner(k)
		attempt(t, m, k, c)
		wake, renew := st.hold(faults.GateToHandler), st.hold(faults.BeforeRenew)
		late := m.LaterAt(k, c, "POST", "/add")
		st.reached(faults.GateToHandler)
		deaf(m, st, c)
		m.Start("two", counting("two", nil), faulty(tr, nil))
		m.Forget(k)
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" {
			t.Errorf("count %s, want 2", a.Body)
		}
		wake()
		if a := <-late; a.Refusal == "" {
			t.Errorf("the late event ran: %d %s", a.Status, a.Body)
		}
		renew()
		tr.clean(t)
	})
}

// Stopped between CONFIRM and CLAIM, while the object moves: the claim comes
// too late, and nothing of the old owner starts.
func TestStoppedBetweenConfirmAndClaim(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		tr, st := newTrace(m), newStops()
		m.Start("one", counting("one", nil), faulty(tr, st))
		k := key("1")
		c := m.Owner(k)
		wake, renew := st.hold(faults.ConfirmToClaim), st.hold(faults.BeforeRenew)
		late := m.LaterAt(k, c, "POST", "/add")
		st.reached(faults.ConfirmToClaim)
		deaf(m, st, c)
		m.Start("two", counting("two", nil), faulty(tr, nil))
		m.Forget(k)
		m.Must(k, "POST", "/add", "", 200)
		wake()
		if a := <-late; a.Refusal == "" {
			t.Errorf("the late event ran: %d %s", a.Status, a.Body)
		}
		renew()
		if a := m.Must(k, "GET", "/", "", 200); a.Body != "1" {
			t.Errorf("count %s, want 1", a.Body)
		}
		tr.clean(t)
	})
}

// The same without a lease: then it is the storage that refuses the claim.
func TestLateClaimIsRefusedByStorage(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		st := newStops()
		m.Start("one", counting("one", nil), faulty(nil, st, faults.Lease))
		k := key("1")
		c := m.Owner(k)
		wake, renew := st.hold(faults.ConfirmToClaim), st.hold(faults.BeforeRenew)
		defer renew()
		late := m.LaterAt(k, c, "POST", "/add")
		st.reached(faults.ConfirmToClaim)
		deaf(m, st, c)
		m.Start("two", counting("two", nil))
		m.Forget(k)
		m.Must(k, "POST", "/add", "", 200)
		pin, _, _, _ := m.Store.Pin(t.Context(), k)
		wake()
		a := <-late
		r, err := wire.ParseRefusal(a.Refusal)
		if err != nil || r.Reason != wire.ReasonStale {
			t.Errorf("late event: %d %s %q, want refused as stale", a.Status, a.Body, a.Refusal)
		}
		if _, r := attempt(t, m, k, c); r.Token != pin.Token || r.Reason != wire.ReasonReleased {
			t.Errorf("afterwards refused with %+v, want released at %d, as storage told", r, pin.Token)
		}
	})
}

// Work that is queued when the lease passes does not run, under no session.
func TestQueueDiesWithTheLease(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		tr, st := newTrace(m), newStops()
		enter, leave := make(chan string, 10), make(chan struct{})
		hold := func(r *http.Request) { enter <- ""; <-leave } // ignores its context
		h := m.Start("one", counting("one", hold), faulty(tr, st))
		k := key("1")
		c := m.Owner(k)
		running := m.LaterAt(k, c, "POST", "/add?hold=1")
		<-enter
		var queued []<-chan testmesh.Late
		for range 3 {
			queued = append(queued, m.LaterAt(k, c, "POST", "/add"))
		}
		m.Until("they wait", func() bool { a, _ := m.ActiveOf(k); return a.Waiting == 3 })
		renew := st.hold(faults.BeforeRenew)
		st.jump()
		poke(t, m, h.Addr)
		for i, q := range queued {
			if a := <-q; a.Status != 421 || a.Refusal[:len("reason=lease")] != "reason=lease" {
				t.Errorf("queued event %d: %d %q, want refused by the lease", i, a.Status, a.Refusal)
			}
		}
		renew()
		m.Until("it is back under a new session", func() bool { s, ok := m.SessionAt(h.Addr); return ok && s.ID != c.SID })
		m.Forget(k)
		// The zombie still runs; the new session's activation does not wait for it.
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != "1" {
			t.Errorf("count %s, want 1: nothing of the old session was stored", a.Body)
		}
		close(leave)
		if a := <-running; a.Status != 409 || a.Code() != "stale_instance" {
			t.Errorf("the zombie's answer: %d %s, want 409 stale_instance", a.Status, a.Body)
		}
		if a := m.Must(k, "GET", "/", "", 200); a.Body != "1" {
			t.Errorf("count %s after the zombie's write, want 1", a.Body)
		}
		if n := tr.startsOf(k.String()); n != 3 {
			t.Errorf("%d events started, want 3", n)
		}
		tr.clean(t)
	})
}

// A host that dies before its release script was sent has released nothing:
// the pin moves when the session is dead, never earlier.
func TestLapseBeforeTheReleaseScript(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	tr, st := newTrace(m), newStops()
	h := m.Start("one", counting("one", nil), faulty(tr, st))
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	resume := st.hold(faults.BeforeRelease)
	reply := releasing(m, k, c, wire.ReleaseNow, time.Minute)
	st.reached(faults.BeforeRelease)
	renew := st.hold(faults.BeforeRenew)
	st.jump()
	parked := m.LaterAt(k, c, "POST", "/add")
	if a := <-parked; a.Refusal == "" {
		t.Errorf("parked event: %d", a.Status)
	}
	if r := <-reply; r.Released || r.Reason != wire.ReasonLease {
		t.Errorf("release: %+v, want lease", r)
	}
	resume()
	if !owned(m, k) {
		t.Error("the pin was given back without the script")
	}
	renew()
	m.Until("it is back under a new session", func() bool { s, ok := m.SessionAt(h.Addr); return ok && s.ID != c.SID })
	m.Forget(k)
	if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" {
		t.Errorf("count %s, want 2", a.Body)
	}
	tr.clean(t)
}

// Contexts of events end with the lease; a handler that listens leaves at once.
func TestContextsEndWithTheLease(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	st := newStops()
	causes := make(chan error, 2)
	enter := make(chan struct{}, 1)
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		go func() { <-o.Context().Done(); causes <- context.Cause(o.Context()) }()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			enter <- struct{}{}
			<-r.Context().Done()
			causes <- context.Cause(r.Context())
			if err := host.FromContext(r.Context()).Confirm(t.Context()); !errors.Is(err, host.ErrStale) {
				t.Errorf("confirm: %v, want stale", err)
			}
		}), nil
	}, faulty(nil, st))
	c := m.Owner(key("1"))
	late := m.LaterAt(key("1"), c, "GET", "/")
	<-enter
	defer st.hold(faults.BeforeRenew)()
	st.jump()
	poke(t, m, c.Addr)
	for range 2 {
		if err := <-causes; err == nil || err.Error() != "the host's lease has passed" {
			t.Errorf("cause %v", err)
		}
	}
	if a := <-late; a.Code() != "stale_instance" {
		t.Errorf("answer: %d %s", a.Status, a.Body)
	}
}

// When another server answers for the store, active pins are confirmed before
// their objects' next event; one that is not there any more is dropped.
func TestAnotherStoreAnswers(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	m := testmesh.New(t, "redis://"+server.Addr)
	var activations atomic.Int32
	activate := counting("one", nil)
	h := m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		activations.Add(1)
		return activate(ctx, o)
	}, renewsOften)
	kept, lost := key("kept"), key("lost")
	c, d := m.Owner(kept), m.Owner(lost)
	attempt(t, m, kept, c)
	attempt(t, m, lost, d)
	// As a failover that loses a suffix would: the pin is as it was before, and nobody told the host.
	if _, ok, err := m.Store.Release(t.Context(), lost, d.SID, d.Token); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if a, _ := attempt(t, m, lost, d); a.Status != 200 {
		t.Errorf("before another server answers: %d", a.Status)
	}
	server.Kill()
	server.Start()
	m.Until("the lost pin's object is dropped", func() bool {
		a, err := m.Active(d.Addr, d.SID)
		return err == nil && len(a.Objects) == 1
	})
	if _, r := attempt(t, m, lost, d); r.Reason != wire.ReasonStale {
		t.Errorf("refused with %+v, want stale", r)
	}
	if a, r := attempt(t, m, kept, c); a.Body != "2" {
		t.Errorf("count %q, %+v; want 2", a.Body, r)
	}
	if n := activations.Load(); n != 2 {
		t.Errorf("%d activations, want 2: a confirmed object keeps its memory", n)
	}
	if err := h.Stop(); err != nil { // while the server is still there
		t.Error(err)
	}
}

// An epoch that differs from the one this session has seen ends the session.
func TestAmnesia(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	h := m.Start("one", counting("one", nil), renewsOften)
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	if err := m.Store.Redis().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	m.Until("it is back under a new session", func() bool { s, ok := m.SessionAt(h.Addr); return ok && s.ID != c.SID })
	if _, r := attempt(t, m, k, c); r.Reason != wire.ReasonSession {
		t.Errorf("refused with %+v, want session", r)
	}
	if _, _, found, err := m.Store.Pin(t.Context(), k); err != nil || found {
		t.Errorf("pin found %v, %v: nobody may acquire while the epoch is held", found, err)
	}
}

// renewsOften is for tests that wait for a renewal.
func renewsOften(o *host.Options) { o.Lease = 6 * time.Second }

// The lease ends in time when nobody comes to the gate and a renewal hangs.
func TestLeaseEndsByItself(t *testing.T) {
	t.Parallel()
	m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
	ended := make(chan struct{})
	m.Start("one", func(_ context.Context, o *host.Object) (http.Handler, error) {
		context.AfterFunc(o.Context(), func() { close(ended) })
		return http.NotFoundHandler(), nil
	}, renewsOften, faulty(nil, st))
	m.Must(key("1"), "GET", "/", "", 404)
	renew := st.hold(faults.BeforeRenew)
	st.reached(faults.BeforeRenew)
	<-ended
	renew()
}

// A request with a token that is over has the host repair it. The object comes
// back to the host under a new token before the answer of that is looked at,
// and stays: the answer is of the time before.
func TestLateAnswerOfARepairLeavesTheNewTokenAlone(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		st := newStops()
		m.Start("one", counting("one", nil), faulty(nil, st))
		k := key("1")
		old := m.Owner(k)
		attempt(t, m, k, old)
		if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
			t.Fatalf("release: %+v", r)
		}
		wake := st.hold(faults.AfterRelease)
		if _, r := attempt(t, m, k, old); r.Reason != wire.ReasonReleased {
			t.Fatalf("late request: refused with %+v, want released", r)
		}
		st.reached(faults.AfterRelease)
		m.Forget(k)
		c := m.Owner(k)
		attempt(t, m, k, c)
		wake()
		if r, err := m.ReleaseAt(k, old, wire.ReleaseNow, time.Minute); err != nil || !r.Released { // waits for the repair
			t.Fatalf("the old token: %+v %v", r, err)
		}
		if a, r := attempt(t, m, k, c); a.Status != 200 {
			t.Errorf("the new token was let go: %d %+v", a.Status, r)
		}
	})
}

// A release is one script, however many requests it refuses in the end.
func TestReleaseWithParkedRequestsIsOneScript(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	var scripts atomic.Int64
	sent, send := make(chan struct{}), make(chan struct{})
	at := func(p faults.Point, _ string) {
		if p == faults.BeforeRelease && scripts.Add(1) == 1 {
			close(sent)
			<-send
		}
	}
	o := m.Options("one")
	o.Faults = &faults.Host{At: at, StorageTime: testmesh.Lease}
	h, err := host.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Handle("Cart", counting("one", nil))
	running := m.Run(o.Listener.Addr().String(), h.Run)
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	released := make(chan wire.ReleaseReply, 1)
	go func() {
		r, _ := m.ReleaseAt(k, c, wire.ReleaseNow, time.Minute) // what it says is looked at below
		released <- r
	}()
	<-sent
	var parked []<-chan testmesh.Late
	for range 3 {
		parked = append(parked, m.LaterAt(k, c, "POST", "/add"))
	}
	m.Until("they are parked", func() bool { return host.Waiting(h, k) == 3 })
	close(send)
	for _, p := range parked {
		if a := <-p; a.Refusal == "" {
			t.Errorf("parked: %d, want a refusal", a.Status)
		}
	}
	if r := <-released; !r.Released {
		t.Errorf("release: %+v", r)
	}
	if err := running.Stop(); err != nil {
		t.Error(err)
	}
	if n := scripts.Load(); n != 1 {
		t.Errorf("%d scripts were begun, want 1", n)
	}
}
