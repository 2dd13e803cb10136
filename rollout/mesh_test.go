package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryStore runs a test on the embedded store and on a real Redis.
func onEveryStore(t *testing.T, test func(*testing.T, *mesh)) {
	t.Helper()
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		e, err := owners.StartEmbedded("127.0.0.1:0", true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		test(t, newMesh(t, e.URL()))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, newMesh(t, "redis://"+testenv.Redis(t)))
	})
}

// mesh is a store with hosts of app shop, class Cart, and what a gateway does
// when an object is called: nothing here decides for the code under test.
type mesh struct {
	t       *testing.T
	store   *owners.Store
	r       *Rollouts
	signer  *wire.Signer
	classes []routing.Class
	opt     Options
}

func newMesh(t *testing.T, url string) *mesh {
	t.Helper()
	store, err := owners.Open(t.Context(), owners.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if e, err := store.Epoch(t.Context()); err != nil {
		t.Fatal(err)
	} else if !e.Open {
		if err := store.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	m := &mesh{t: t, store: store, signer: wire.NewSigner([]byte("secret"))}
	m.classes = []routing.Class{{Name: "Cart", App: "shop", Mode: routing.ModeOwn}}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	m.opt = Options{
		Every: 100 * time.Millisecond, Store: store, Classes: func() []routing.Class { return m.classes }, Signer: m.signer, HTTP: client,
		Logger: slog.New(slog.DiscardHandler),
	}
	m.r = New(m.opt)
	return m
}

// testHost is a gate: it answers RELEASE by the protocol and keeps its session alive.
type testHost struct {
	m        *mesh
	sid      string
	name     string
	version  string
	releases atomic.Int64
	running  atomic.Int64
	most     atomic.Int64  // releases at a time
	takes    time.Duration // one release
	asked    func()        // called by every release, unless nil
	refuse   atomic.Bool
}

func (m *mesh) host(name, version string) *testHost {
	m.t.Helper()
	h := &testHost{m: m, sid: owners.NewSID(), name: name, version: version}
	srv := httptest.NewServer(http.HandlerFunc(h.release))
	m.t.Cleanup(srv.Close)
	_, err := m.store.Register(m.t.Context(), owners.Registration{
		SID: h.sid, Addr: strings.TrimPrefix(srv.URL, "http://"), Name: name, App: "shop", Version: version,
		Classes: []string{"Cart"}, Lease: 15 * time.Second, Ready: true,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return h
}

func (h *testHost) release(w http.ResponseWriter, r *http.Request) {
	req, err := wire.ReadReleaseRequest(r)
	if err == nil {
		err = h.m.signer.Verify(r.Header.Get(wire.HeaderAuth), req.Object, req.Session, req.Token, time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.releases.Add(1)
	n := h.running.Add(1)
	defer h.running.Add(-1)
	for old := h.most.Load(); n > old && !h.most.CompareAndSwap(old, n); old = h.most.Load() {
	}
	time.Sleep(h.takes)
	if h.asked != nil {
		h.asked()
	}
	reply := wire.ReleaseReply{Token: req.Token, Reason: wire.ReasonDeadline}
	if !h.refuse.Load() {
		k, err := owners.ParseKey(req.Object)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, ok, err := h.m.store.Release(r.Context(), k, req.Session, req.Token)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		reply = wire.ReleaseReply{Released: ok, Token: req.Token}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply) // the client may be gone
}

// call does what a gateway does for one request: keep the pin, or acquire one
// for the assigned version, within the budget.
func (m *mesh) call(id string) (version string) {
	m.t.Helper()
	ctx := m.t.Context()
	k := owners.Key{Class: "Cart", ID: id}
	pin, sess, found, err := m.store.Pin(ctx, k)
	if err != nil {
		m.t.Fatal(err)
	}
	if pin.State == owners.Owned && found && !sess.State.Final() {
		return sess.Version
	}
	sessions, err := m.store.Sessions(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	rec, err := m.r.Records.Get(ctx, "shop")
	if err != nil {
		m.t.Fatal(err)
	}
	hosts := hostsByVersion(sessions, "shop", "Cart")
	place, err := m.r.placement(ctx, rec, sessions, k.Class)
	if err != nil {
		m.t.Fatal(err)
	}
	want := place.Desired(k.ID, pin.Version)
	if want == "" {
		want = sessions[0].Version
	}
	if pin.Version != "" && pin.Version != want && hosts[pin.Version] > 0 {
		ok, err := m.r.Budget.Take(ctx, "Cart")
		if err != nil {
			m.t.Fatal(err)
		}
		if !ok {
			want = pin.Version
		}
	}
	for _, s := range sessions {
		if s.Version == want && usable(s) {
			if _, won, err := m.store.Acquire(ctx, owners.Acquire{Key: k, Expect: pin, SID: s.ID}); err != nil || !won {
				m.t.Fatalf("acquire %s: %v %v", k, won, err)
			}
			if pin.Version != "" && pin.Version != want {
				moved := Moved{At: time.Now().UTC(), Reason: ReasonRollout, FromVersion: pin.Version, ToVersion: want, FromHost: sess.Name, ToHost: s.Name}
				if err := m.r.Moves.Add(ctx, k, moved); err != nil {
					m.t.Fatal(err)
				}
			}
			return want
		}
	}
	m.t.Fatalf("no host of %s", want)
	return ""
}

// callAll calls n objects and counts on which version they ran.
func (m *mesh) callAll(n int) map[string]int {
	m.t.Helper()
	counts := map[string]int{}
	for i := range n {
		counts[m.call(fmt.Sprint(i))]++
	}
	return counts
}

// idle releases an object as its host does when it is idle.
func (m *mesh) idle(n int) {
	m.t.Helper()
	for i := range n {
		k := owners.Key{Class: "Cart", ID: fmt.Sprint(i)}
		pin, _, _, err := m.store.Pin(m.t.Context(), k)
		if err != nil {
			m.t.Fatal(err)
		}
		if _, _, err := m.store.Release(m.t.Context(), k, pin.SID, pin.Token); err != nil {
			m.t.Fatal(err)
		}
	}
}

// tally writes calls as a gateway would and keeps the tallies for more.
func (m *mesh) tally(name string) *skew.Tallies {
	m.t.Helper()
	tl, err := skew.NewTallies(skew.Options{Redis: m.store.Redis(), Prefix: m.store.Prefix(), Gateway: name, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		m.t.Fatal(err)
	}
	return tl
}

func (m *mesh) calls(tl *skew.Tallies, n int, caller, version, code string, latency time.Duration) {
	m.t.Helper()
	for i := range n {
		tl.Add(skew.Call{Class: "Cart", Caller: caller, App: "shop", ObjectVersion: version, Object: fmt.Sprint(i), Method: "/Get", Code: code, Latency: latency})
	}
	if err := tl.Flush(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// control runs a controller until the returned func is called.
func (m *mesh) control(replica string) (stop func()) {
	o := m.opt
	o.Replica = replica
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewController(o).Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				m.t.Errorf("controller: %v", err)
			}
		})
	}
	m.t.Cleanup(stop)
	return stop
}

// until waits for a condition; it only fails when it never comes true.
func (m *mesh) until(what string, cond func() bool) {
	m.t.Helper()
	for range 600 {
		if cond() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Fatalf("never: %s", what)
}

func (m *mesh) phase(want Phase) func() bool {
	return func() bool {
		m.t.Helper()
		rec, err := m.r.Records.Get(m.t.Context(), "shop")
		if err != nil {
			m.t.Fatal(err)
		}
		return rec.Rollout != nil && rec.Rollout.Phase == want
	}
}

func (m *mesh) start(s Spec) *Record {
	m.t.Helper()
	s.App, s.By = "shop", "test"
	rec, err := m.r.Start(m.t.Context(), s)
	if err != nil {
		m.t.Fatal(err)
	}
	return rec
}

func (m *mesh) status() *Status {
	m.t.Helper()
	s, err := m.r.Status(m.t.Context(), "shop")
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *mesh) matrix(mx skew.Matrix) {
	m.t.Helper()
	mx.Class, mx.App = "Cart", "shop"
	if err := skew.StoreMatrices(m.t.Context(), m.store.Redis(), m.store.Prefix(), skew.Matrices{mx.Class: &mx}); err != nil {
		m.t.Fatal(err)
	}
}

// share is how many of n objects a deployment assigns to version.
func share(vs []assign.Version, version string, n int) int {
	count := 0
	for i := range n {
		if v, err := assign.Assign(vs, "Cart", fmt.Sprint(i)); err == nil && v == version {
			count++
		}
	}
	return count
}
