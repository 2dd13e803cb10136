package host_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// releaseMesh has one host with a held event, a trace and stops.
func releaseMesh(t *testing.T, off ...faults.Protection) (m *testmesh.Mesh, tr *trace, st *stops, enter chan string, leave chan struct{}) {
	t.Helper()
	m = testmesh.New(t, testmesh.Embedded(t))
	tr, st = newTrace(m), newStops()
	tr.moved = true
	enter, leave = make(chan string, 100), make(chan struct{})
	hold := func(r *http.Request) { enter <- r.URL.Query().Get("hold"); <-leave }
	m.Start("one", counting("one", hold), faulty(tr, st, off...))
	return m, tr, st, enter, leave
}

// releasing sends a release and gives its reply when it comes.
func releasing(m *testmesh.Mesh, k owners.Key, c testmesh.Target, mode string, deadline time.Duration) <-chan wire.ReleaseReply {
	reply := make(chan wire.ReleaseReply, 1)
	go func() {
		r, err := m.ReleaseAt(k, c, mode, deadline)
		if err != nil {
			m.T.Error(err)
		}
		reply <- r
	}()
	return reply
}

// mortal starts a mover that sends a release; kill ends it before it has an answer.
func mortal(t *testing.T, m *testmesh.Mesh, k owners.Key, c testmesh.Target, mode string) (kill func()) {
	t.Helper()
	ctx, die := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		rc := wire.ReleaseClient{Signer: m.Signer, HTTP: m.Client}
		_, err := rc.Release(ctx, c.Addr, wire.ReleaseRequest{Object: k.String(), Session: c.SID, Token: c.Token, Mode: mode, Deadline: wire.Seconds(time.Minute)})
		gone <- err
	}()
	return func() {
		t.Helper()
		die()
		if <-gone == nil {
			t.Error("the mover lives")
		}
	}
}

func TestReleaseDeadline(t *testing.T) {
	t.Run("before the script is sent: the object stays", func(t *testing.T) {
		t.Parallel()
		m, tr, _, enter, leave := releaseMesh(t)
		k := key("1")
		c := m.Owner(k)
		held := m.LaterAt(k, c, "POST", "/add?hold=1")
		<-enter
		reply := releasing(m, k, c, wire.ReleaseNow, 50*time.Millisecond)
		parked := m.LaterAt(k, c, "POST", "/add")
		if r := <-reply; r.Released || r.Reason != wire.ReasonDeadline {
			t.Errorf("release: %+v, want the deadline", r)
		}
		close(leave)
		if a, b := <-held, <-parked; a.Status != 200 || b.Status != 200 || b.Body != "2" {
			t.Errorf("status %d, %d with count %s; want both served here", a.Status, b.Status, b.Body)
		}
		if !owned(m, k) {
			t.Error("the pin is not owned any more")
		}
		tr.clean(t)
	})
	t.Run("while the script is under way: the object leaves", func(t *testing.T) {
		t.Parallel()
		m, tr, st, _, _ := releaseMesh(t)
		k := key("1")
		c := m.Owner(k)
		attempt(t, m, k, c)
		resume := st.hold(faults.BeforeRelease)
		reply := releasing(m, k, c, wire.ReleaseNow, 20*time.Millisecond)
		st.reached(faults.BeforeRelease)
		parked := m.LaterAt(k, c, "POST", "/add")
		time.Sleep(100 * time.Millisecond) // the deadline passes
		select {
		case r := <-reply:
			t.Errorf("release answered %+v before its script was", r)
		default:
		}
		resume()
		if r := <-reply; !r.Released {
			t.Errorf("release: %+v", r)
		}
		if a := <-parked; a.Refusal == "" {
			t.Errorf("parked: %d, want a refusal", a.Status)
		}
		if owned(m, k) {
			t.Error("the pin is still owned")
		}
		tr.clean(t)
	})
	t.Run("after the script was answered: nothing", func(t *testing.T) {
		t.Parallel()
		m, tr, st, _, _ := releaseMesh(t)
		k := key("1")
		c := m.Owner(k)
		attempt(t, m, k, c)
		resume := st.hold(faults.AfterRelease)
		reply := releasing(m, k, c, wire.ReleaseNow, 20*time.Millisecond)
		st.reached(faults.AfterRelease)
		m.Forget(k)
		next := m.Owner(k) // the pin is free: it comes back here under a higher token
		time.Sleep(50 * time.Millisecond)
		second := m.LaterAt(k, next, "POST", "/add")
		resume()
		if r := <-reply; !r.Released {
			t.Errorf("release: %+v", r)
		}
		if a := <-second; a.Status != 200 || a.Body != "2" {
			t.Errorf("under the next token: %d %s, want count 2", a.Status, a.Body)
		}
		tr.clean(t)
	})
}

// A mover that dies leaves nothing behind that the next one cannot finish.
func TestMoverDies(t *testing.T) {
	t.Parallel()
	m, tr, _, enter, leave := releaseMesh(t)
	k := key("1")
	c := m.Owner(k)
	held := m.LaterAt(k, c, "POST", "/add?hold=1")
	<-enter
	kill := mortal(t, m, k, c, wire.ReleaseDrain)
	m.Until("it is marked", func() bool { a, _ := m.ActiveOf(k); return a.State == "releasing" })
	kill()
	second := releasing(m, k, c, wire.ReleaseDrain, time.Minute) // joins
	close(leave)
	if a := <-held; a.Status != 200 {
		t.Errorf("running event: %d", a.Status)
	}
	if r := <-second; !r.Released {
		t.Errorf("release: %+v", r)
	}
	if r, err := m.ReleaseAt(k, c, wire.ReleaseDrain, time.Minute); err != nil || !r.Released {
		t.Errorf("a third, late release: %+v, %v", r, err)
	}
	m.Must(k, "POST", "/add", "", 200)
	tr.clean(t)
}

func TestDuplicateReleasesJoin(t *testing.T) {
	t.Parallel()
	m, tr, _, enter, leave := releaseMesh(t)
	k := key("1")
	c := m.Owner(k)
	held := m.LaterAt(k, c, "POST", "/add?hold=1")
	<-enter
	soft := releasing(m, k, c, wire.ReleaseWhenIdle, time.Minute)
	m.Until("it is asked for", func() bool { a, _ := m.ActiveOf(k); return a.State == "releasing" })
	hard := releasing(m, k, c, wire.ReleaseNow, time.Minute) // marks what the soft one did not
	parked := m.LaterAt(k, c, "POST", "/add")
	m.Until("the next is parked", func() bool { a, _ := m.ActiveOf(k); return a.Waiting == 1 })
	close(leave)
	<-held
	if r, q := <-soft, <-hard; !r.Released || !q.Released {
		t.Errorf("releases: %+v, %+v", r, q)
	}
	if a := <-parked; a.Refusal == "" {
		t.Errorf("parked: %d, want a refusal", a.Status)
	}
	tr.clean(t)
}

// The release of a pin that was never used here gives it back.
func TestReleaseOfWhatIsNotActive(t *testing.T) {
	t.Parallel()
	m, _, _, _, _ := releaseMesh(t)
	k := key("1")
	c := m.Owner(k)
	if r, err := m.ReleaseAt(k, c, wire.ReleaseNow, time.Minute); err != nil || !r.Released {
		t.Errorf("release: %+v, %v", r, err)
	}
	if owned(m, k) {
		t.Error("the pin is still owned")
	}
	if _, r := attempt(t, m, k, c); r.Reason != wire.ReasonReleased {
		t.Errorf("refused with %+v, want released", r)
	}
}

func TestIdleObjectsAreLetGo(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	var closed atomic.Int32
	activate := counting("one", nil)
	h := m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		c, err := activate(ctx, o)
		if err == nil {
			c.(*counter).closed = func() { closed.Add(1) }
		}
		return c, err
	}, func(o *host.Options) { o.Idle = 50 * time.Millisecond })
	for _, id := range []string{"1", "2", "3"} {
		m.Must(key(id), "POST", "/add", "", 200)
	}
	m.Until("all are released", func() bool { return !owned(m, key("1")) && !owned(m, key("2")) && !owned(m, key("3")) })
	if n := closed.Load(); n != 3 {
		t.Errorf("%d values were told, want 3", n)
	}
	s, _ := m.SessionAt(h.Addr)
	if a, err := m.Active(h.Addr, s.ID); err != nil || len(a.Objects) != 0 {
		t.Errorf("active: %+v, %v", a, err)
	}
	if a := m.Must(key("1"), "POST", "/add", "", 200); a.Body != "2" {
		t.Errorf("count %s after it came back, want 2", a.Body)
	}
}

// Under constant load objects move back and forth: no request fails, no event
// overlaps another, nothing that was acknowledged is lost.
func TestMovesUnderLoad(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		tr := newTrace(m)
		tr.moved = true
		for _, name := range []string{"one", "two"} {
			m.Start(name, counting(name, nil), faulty(tr, nil))
		}
		const objects, clients, moves = 4, 3, 40
		stop := make(chan struct{})
		var served [objects]atomic.Int64
		var wg sync.WaitGroup
		for i := range objects {
			for range clients {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						m.Must(key(string(rune('a'+i))), "POST", "/add", "", 200)
						served[i].Add(1)
					}
				})
			}
		}
		released, n := 0, 0
		m.Until("enough moves have happened", func() bool {
			n++
			k := key(string(rune('a' + n%objects)))
			pin, _, found, err := m.Store.Pin(t.Context(), k)
			if err != nil || !found || pin.State != owners.Owned {
				return false
			}
			m.Avoid(pin.SID)
			if m.Release(k, wire.ReleaseNow, 10*time.Second).Released {
				released++
			}
			return released == moves
		})
		close(stop)
		wg.Wait()
		for i := range objects {
			if a := m.Must(key(string(rune('a'+i))), "GET", "/", "", 200); a.Body != itoa(served[i].Load()) {
				t.Errorf("object %d counts %s, %d were acknowledged", i, a.Body, served[i].Load())
			}
		}
		tr.clean(t)
	})
}

// A release that names the next owner gives it the pin before anybody is told
// that the object has left, so that nobody else places it.
func TestReleaseToANamedSession(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		st := newStops()
		one := m.Start("one", counting("one", nil), faulty(nil, st))
		k := key("1")
		c := m.Owner(k)
		attempt(t, m, k, c)
		if one.Addr != c.Addr {
			t.Fatalf("%s is at %s", k, c.Addr)
		}
		two := m.Start("two", counting("two", nil))
		next, _ := m.SessionAt(two.Addr)
		resume := st.hold(faults.BeforeRelease)
		reply := make(chan wire.ReleaseReply, 1)
		go func() {
			r, err := releaseTo(t.Context(), m, k, c, next.ID)
			if err != nil {
				t.Error(err)
			}
			reply <- r
		}()
		st.reached(faults.BeforeRelease)
		parked := m.LaterAt(k, c, "POST", "/add")
		resume()
		a := <-parked
		pin, _, _, err := m.Store.Pin(t.Context(), k)
		if err != nil || pin.State != owners.Owned || pin.SID != next.ID || pin.Token <= c.Token {
			t.Errorf("when a request was refused (%q) the pin was %+v %v, want owned by %s", a.Refusal, pin, err, next.ID)
		}
		if r := <-reply; !r.Released {
			t.Errorf("release: %+v", r)
		}
		m.Forget(k)
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" {
			t.Errorf("count %s, want 2", a.Body)
		}
	})
}

func TestReleaseToASessionThatCannotTakeIt(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	for _, to := range []string{c.SID, "two", "../" + c.SID} {
		if r, err := releaseTo(t.Context(), m, k, c, to); err == nil {
			t.Errorf("to %q: %+v", to, r)
		}
	}
	if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" || !owned(m, k) {
		t.Errorf("a release that was refused did something: count %s", a.Body)
	}
	two := m.Start("two", counting("two", nil))
	next, _ := m.SessionAt(two.Addr)
	if err := m.Store.Want(t.Context(), next.ID, owners.WantedCordon); err != nil {
		t.Fatal(err)
	}
	if r, err := releaseTo(t.Context(), m, k, c, next.ID); err != nil || !r.Released {
		t.Errorf("release: %+v %v", r, err)
	}
	if owned(m, k) {
		t.Error("a cordoned host was given the object")
	}
}

func releaseTo(ctx context.Context, m *testmesh.Mesh, k owners.Key, c testmesh.Target, to string) (wire.ReleaseReply, error) {
	rc := wire.ReleaseClient{Signer: m.Signer, HTTP: m.Client}
	return rc.Release(ctx, c.Addr, wire.ReleaseRequest{
		Object: k.String(), Session: c.SID, Token: c.Token, Mode: wire.ReleaseNow, Deadline: wire.Seconds(time.Minute), To: to,
	})
}
