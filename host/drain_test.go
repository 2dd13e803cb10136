package host_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
)

// A drain hands everything over: running events end, new requests are served
// by the other host, none fails, and the session ends closed.
func TestDrain(t *testing.T) {
	for name, begin := range map[string]func(m *testmesh.Mesh, h *testmesh.Running, sid string){
		"by the operator": func(m *testmesh.Mesh, _ *testmesh.Running, sid string) {
			if err := m.Store.Want(m.T.Context(), sid, owners.WantedDrain); err != nil {
				m.T.Error(err)
			}
		},
		"by its context": func(m *testmesh.Mesh, h *testmesh.Running, _ string) { go func() { _ = h.Stop() }() },
	} {
		t.Run(name, func(t *testing.T) {
			testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) { drainHandsOver(t, m, begin) })
		})
	}
}

func drainHandsOver(t *testing.T, m *testmesh.Mesh, begin func(*testmesh.Mesh, *testmesh.Running, string)) {
	tr := newTrace(m)
	tr.moved = true
	enter, leave := make(chan string, 10), make(chan struct{})
	hold := func(*http.Request) { enter <- ""; <-leave }
	link := testenv.NewProxy(t, strings.TrimPrefix(m.URL, "redis://"))
	one := m.Start("one", counting("one", hold), renewsOften, faulty(tr, nil), func(o *host.Options) { o.Store = "redis://" + link.Addr })
	var keys []owners.Key
	for _, id := range []string{"1", "2", "3", "4"} {
		keys = append(keys, key(id))
		m.Must(key(id), "POST", "/add", "", 200)
	}
	unused := m.Owner(key("unused")) // a pin of the draining host that has never been used
	m.Start("two", counting("two", nil), faulty(tr, nil))
	held := m.Later(keys[0], "POST", "/add?hold=1")
	<-enter
	// The store says draining before the host has heard the answer and begun to
	// release; what is active there is served there until then. The link makes that time long.
	link.Delay(20 * time.Millisecond)
	begin(m, one, unused.SID)
	m.Until("it drains", func() bool {
		s, ok, err := m.Store.Session(t.Context(), unused.SID)
		if err != nil || !ok || s.State != owners.Draining {
			return false
		}
		a, err := m.Active(one.Addr, unused.SID)
		return err == nil && !slices.ContainsFunc(a.Objects, func(o host.ActiveObject) bool { return o.State == "ready" })
	})
	var wg sync.WaitGroup
	for _, k := range append(keys, key("unused")) {
		wg.Go(func() {
			if a := m.Must(k, "POST", "/add", "", 200); a.Header.Get("Served-By") != "two" {
				t.Errorf("%s served by %s", k, a.Header.Get("Served-By"))
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(leave)
	if a := <-held; a.Status != 200 || a.Body != "2" {
		t.Errorf("the running event: %d %s", a.Status, a.Body)
	}
	wg.Wait()
	if err := one.Stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if s, ok, err := m.Store.Session(t.Context(), unused.SID); err != nil || !ok || s.State != owners.Closed {
		t.Errorf("session is %s, %v, %v; want closed", s.State, ok, err)
	}
	if a := m.Must(keys[0], "GET", "/", "", 200); a.Body != "3" {
		t.Errorf("count %s, want 3", a.Body)
	}
	tr.clean(t)
}

// Events that do not end keep the session from being closed: nobody may take
// their objects over while they run in this process.
func TestDrainDoesNotCloseOverARunningEvent(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	enter, leave := make(chan string, 10), make(chan struct{})
	hold := func(*http.Request) { enter <- ""; <-leave } // ignores its context
	h := m.Start("one", counting("one", hold), func(o *host.Options) { o.Drain = 100 * time.Millisecond })
	k := key("1")
	c := m.Owner(k)
	held := m.LaterAt(k, c, "POST", "/add?hold=1")
	<-enter
	if err := h.Stop(); !errors.Is(err, host.ErrDrain) {
		t.Errorf("run: %v, want ErrDrain", err)
	}
	if s, _, err := m.Store.Session(t.Context(), c.SID); err != nil || s.State == owners.Closed {
		t.Errorf("session is %s, %v while its event runs", s.State, err)
	}
	close(leave)
	if a := <-held; a.Status == 200 {
		t.Errorf("an answer left after the host had given up: %s", a.Body)
	}
}

// Cordon is the store's business: the host goes on with what it has.
func TestCordon(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	c := m.Owner(key("1"))
	if err := m.Store.Want(t.Context(), c.SID, owners.WantedCordon); err != nil {
		t.Fatal(err)
	}
	m.Must(key("1"), "POST", "/add", "", 200)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := m.Do(ctx, key("2"), "POST", "/add", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a new object on a cordoned host: %v", err)
	}
	if err := m.Store.Want(t.Context(), c.SID, owners.WantedNone); err != nil {
		t.Fatal(err)
	}
	m.Must(key("2"), "POST", "/add", "", 200)
}
