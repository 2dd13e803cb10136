package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// only gives one version all the weight; the other stays deployed.
func only(v string) []routing.Weighted {
	w := []routing.Weighted{{Version: "v1", Salt: "a"}, {Version: "v2", Salt: "b"}}
	for i := range w {
		if w[i].Version == v {
			w[i].Weight = 1
		}
	}
	return w
}

// budget gives n moves.
type budget struct{ n, asked atomic.Int64 }

func (b *budget) Take(context.Context, string) (bool, error) {
	b.asked.Add(1)
	return b.n.Add(-1) >= 0, nil
}

// release asks the object's host to let go, and waits until it has.
func (m *mesh) release(id string) {
	m.t.Helper()
	k := owners.Key{Class: "Cart", ID: id}
	pin, sess, _, err := m.store.Store.Pin(m.t.Context(), k)
	if err != nil {
		m.t.Fatal(err)
	}
	c := &wire.ReleaseClient{Signer: wire.NewSigner(testSecret)}
	reply, err := c.Release(m.t.Context(), sess.Addr, wire.ReleaseRequest{Object: k.String(), Session: pin.SID, Token: pin.Token, Mode: wire.ReleaseDrain, Deadline: wire.Seconds(5 * time.Second)})
	if err != nil || !reply.Released {
		m.t.Fatalf("release %s: %+v %v", k, reply, err)
	}
}

func TestAssignmentIsNotMotion(t *testing.T) {
	b := &budget{}
	m := newMesh(t, func(_ *mesh, o *Options) { o.Budget = b })
	m.host("a", "v1")
	m.host("b", "v2")
	m.deployed = only("v1")
	m.table()
	m.get("/carts/1")
	m.deployed = only("v2")
	m.table()
	if v := m.get("/carts/1").header.Get(wire.HeaderObjectVersion); v != "shop@v1" {
		t.Fatalf("an active object runs %s after an assignment", v)
	}
	if v := m.get("/carts/new").header.Get(wire.HeaderObjectVersion); v != "shop@v2" {
		t.Fatalf("a new object runs %s", v)
	}
	if b.asked.Load() != 0 {
		t.Fatal("the budget was asked though nothing moved")
	}
	m.release("1")
	if v := m.get("/carts/1").header.Get(wire.HeaderObjectVersion); v != "shop@v1" || b.asked.Load() != 1 {
		t.Fatalf("without a move in the budget it runs %s, budget asked %d times", v, b.asked.Load())
	}
	m.release("1")
	b.n.Store(1)
	if v := m.get("/carts/1").header.Get(wire.HeaderObjectVersion); v != "shop@v2" {
		t.Fatalf("with a move in the budget it runs %s", v)
	}
	ev := m.events.wait(t, m.events.count())
	if ev.Move == nil || ev.Move.FromVer != "v1" || ev.Move.ToVer != "v2" || ev.Move.Reason != moveRollout || ev.Move.ToHost != "b" {
		t.Fatalf("move %+v", ev.Move)
	}
}

// The host of the last version is gone: no budget can bring it back.
func TestBudgetNeverStrandsAnObject(t *testing.T) {
	b := &budget{}
	m := newMesh(t, func(_ *mesh, o *Options) { o.Budget = b })
	a := m.host("a", "v1")
	m.host("b", "v2")
	m.deployed = only("v1")
	m.table()
	m.get("/carts/1")
	a.stop()
	m.deployed = only("v2")
	m.table()
	if got := m.get("/carts/1"); got.status != 200 || got.body != "b" {
		t.Fatalf("%d %s", got.status, got.body)
	}
}

func TestOverrideEndToEnd(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.host("b", "v2")
	m.deployed = only("v1")
	m.table()
	for _, tc := range []struct{ path, header, value, version, answer string }{
		{"/carts/1", "Skewgate-Version-Overrides", `shop="v2"`, "shop@v2", "applied"},
		{"/carts/1", "Skewgate-Version-Overrides", `shop="v1"`, "shop@v2", "ignored; reason=active"},
		{"/carts/2", "Cloudflare-Workers-Version-Overrides", `shop="v2"`, "shop@v2", "applied"},
		{"/carts/3", "Skewgate-Version-Overrides", `shop="v9"`, "shop@v1", "ignored; reason=not-in-use"},
		{"/carts/4", "X-None", "x", "shop@v1", ""},
	} {
		a := m.get(tc.path, tc.header, tc.value)
		if v, o := a.header.Get(wire.HeaderObjectVersion), a.header.Get(wire.HeaderOverride); v != tc.version || o != tc.answer {
			t.Errorf("%+v: runs %s, answer %q", tc, v, o)
		}
	}
	var head metadata.MD
	ctx := metadata.AppendToOutgoingContext(withCart(t, "5"), "skewgate-version-overrides", `shop="v2"`)
	if _, err := m.grpcClient().UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Header(&head)); err != nil {
		t.Fatal(err)
	}
	if o := head.Get("skewgate-override"); len(o) != 1 || o[0] != "applied" {
		t.Errorf("gRPC: %v", head)
	}
}

func TestGuardRefuses(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].OnIncompatible = routing.Refuse })
	h := m.host("a", "v1")
	m.matrix = []routing.Incompatible{{Class: "Cart", Caller: "web@v9", Object: "v1", Rule: "FIELD_GONE", Message: "Cart.total is not read"}}
	m.table()
	a := m.get("/carts/1", "Skewgate-Caller", "web@v9")
	p := a.problem(t)
	if a.status != 409 || p.Code != "version_incompatible" || !strings.Contains(p.Detail, "FIELD_GONE") || p.CallerVersion != "web@v9" || p.ObjectVersion != "shop@v1" {
		t.Fatalf("%d %+v", a.status, p)
	}
	if h.acts.Load() != 0 {
		t.Error("the refused call reached the object")
	}
	if got := m.get("/carts/1", "Skewgate-Caller", "web@v8"); got.status != 200 {
		t.Errorf("another version: %d", got.status)
	}
	if ev := m.events.wait(t, 1); ev == nil {
		t.Error("no event")
	}
}

func TestUpgradeOnCall(t *testing.T) {
	b := &budget{}
	b.n.Store(1)
	m := newMesh(t, func(m *mesh, o *Options) {
		m.classes[0].OnIncompatible = routing.Upgrade
		o.Budget = b
	})
	m.host("a", "v1")
	m.host("b", "v2")
	m.matrix = []routing.Incompatible{{Class: "Cart", Caller: "web@v9", Object: "v1", Rule: "R"}}
	m.deployed = only("v1")
	m.table()
	m.get("/carts/1")
	m.get("/carts/2")
	m.deployed = only("v2")
	m.table()
	if a := m.get("/carts/1", "Skewgate-Caller", "web@v1"); a.body != "a" {
		t.Fatalf("a caller that v1 understands moved the object: %s", a.body)
	}
	if a := m.get("/carts/1", "Skewgate-Caller", "web@v9"); a.status != 200 || a.body != "b" {
		t.Fatalf("%d %s, want the object on b first", a.status, a.body)
	}
	ev := m.events.wait(t, m.events.count())
	if ev.Move == nil || ev.Move.Reason != moveUpgrade || ev.Rule != "R" {
		t.Fatalf("event %+v, move %+v", ev, ev.Move)
	}
	if b.asked.Load() != 1 {
		t.Errorf("one move was paid %d times", b.asked.Load())
	}
	if a := m.get("/carts/2", "Skewgate-Caller", "web@v9"); a.status != 409 {
		t.Fatalf("without a move in the budget: %d %s", a.status, a.body)
	}
}

// A host that has begun a new session does not know the pin's, so it cannot
// let go for it: the pin is read anew, and the caller is not told that versions do not fit.
func TestUpgradeOnCallOfAnOutdatedPin(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].OnIncompatible = routing.Upgrade })
	old := m.fake("a", "v1", func(f *fakeHost, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != wire.PathRelease {
			fmt.Fprint(w, "a")
			return
		}
		f.end()
		refuse(w, wire.ReasonSession, 0)
	})
	m.matrix = []routing.Incompatible{{Class: "Cart", Caller: "web@v9", Object: "v1", Rule: "R"}}
	m.deployed = only("v1")
	m.table()
	if a := m.get("/carts/1"); a.body != "a" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	m.host("b", "v2")
	m.deployed = only("v2")
	m.table()
	if a := m.get("/carts/1", "Skewgate-Caller", "web@v9"); a.status != 200 || a.body != "b" {
		t.Fatalf("%d %s, want the object on b", a.status, a.body)
	}
	if n := old.seen.Load(); n != 2 {
		t.Errorf("the host of before saw %d requests; want the first call and one release", n)
	}
}

func TestPreviewIsAnotherWorld(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.host("p", "v9", func(o *host.Options) { o.Preview = "pr-7" })
	m.table()
	if a := m.get("/carts/1"); a.body != "a" {
		t.Fatalf("outside: %d %s", a.status, a.body)
	}
	if a := m.get("/carts/1", "Skewgate-Preview", "pr-7"); a.body != "p" {
		t.Fatalf("inside: %d %s", a.status, a.body)
	}
	if a := m.get("/carts/1"); a.body != "a" {
		t.Fatalf("outside again: %d %s", a.status, a.body)
	}
	if a := m.get("/carts/1", "Skewgate-Preview", "pr-8"); a.problem(t).Code != "no_host" {
		t.Fatalf("a preview that is not: %d %s", a.status, a.body)
	}
}

func TestAffinitySticksWithoutAStore(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Mode = routing.ModeAffinity })
	var hosts []routing.Host
	names := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		addr := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, name, r.Header.Get(wire.HeaderObject), r.Header.Get(wire.HeaderToken))
		})})
		names[addr] = name
		hosts = append(hosts, routing.Host{Session: "static-" + name, Name: name, Addr: addr, App: "shop", Version: "v1", Classes: []string{"Cart"}, Ready: true})
	}
	set := func(hosts ...routing.Host) {
		table, err := routing.NewTable(routing.Spec{Classes: m.classes, Apps: []routing.App{{Name: "shop"}}, Hosts: hosts})
		if err != nil {
			t.Fatal(err)
		}
		m.gw.SetTable(table)
	}
	set(hosts...)
	where := map[string]string{}
	for i := range 30 {
		path := fmt.Sprintf("/carts/%d", i)
		where[path] = m.get(path).body
		if !strings.HasSuffix(where[path], fmt.Sprintf("Cart/%d", i)) {
			t.Fatalf("the host was told %q", where[path])
		}
	}
	for path, was := range where {
		if got := m.get(path).body; got != was {
			t.Errorf("%s went from %s to %s", path, was, got)
		}
	}
	if n := m.store.calls.Load(); n != 0 {
		t.Errorf("%d store calls", n)
	}
	hosts[0].Addr = "127.0.0.1:1" // host a cannot be reached any more
	set(hosts...)
	for path, was := range where {
		got := m.get(path)
		if got.status != 200 || (was[0] != 'a' && got.body != was) || got.body[0] == 'a' {
			t.Errorf("%s was on %s, is on %d %s", path, was, got.status, got.body)
		}
	}
}

func TestObserveOnlyWatches(t *testing.T) {
	up := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "shop@v7")
		for _, h := range []string{wire.HeaderObject, wire.HeaderToken, wire.HeaderAuth} {
			if r.Header.Get(h) != "" {
				t.Errorf("upstream saw %s", h)
			}
		}
		fmt.Fprint(w, r.URL.Path)
	})})
	m := newMesh(t, func(m *mesh, o *Options) {
		m.classes = []routing.Class{{Name: "Cart", App: "shop", Mode: routing.ModeObserve, Upstream: up, Routes: []string{"/**"}, IDHeader: "cart-id"}}
		o.VersionHeader = "X-Version"
	})
	m.table()
	if a := m.get("/any/thing", "Skewgate-Caller", "web@v1", "cart-id", "9"); a.status != 200 || a.body != "/any/thing" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if ev := m.events.wait(t, 1); ev.ObjectVersion != "v7" || ev.Caller != "web@v1" || ev.Object.ID != "9" || ev.Code != "" {
		t.Fatalf("event %+v", ev)
	}
	if a := m.get("/no/id"); a.status != 200 {
		t.Fatalf("no id: %d", a.status)
	}
	m.classes[0].Upstream = "127.0.0.1:1"
	m.table()
	if a := m.get("/x"); a.status != 503 || a.problem(t).Code != "no_host" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if n := m.store.calls.Load(); n != 0 {
		t.Errorf("%d store calls", n)
	}
}
