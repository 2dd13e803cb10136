package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the sources of a control under test.
type world struct {
	mu         sync.Mutex
	sessions   map[string]owners.Session
	deployment map[string][]routing.Weighted
	matrix     []routing.Incompatible
	state      []routing.Unreadable
	broken     error
	unreadable error // names sessions; the others can be read
}

func newWorld() *world {
	return &world{sessions: map[string]owners.Session{}, deployment: map[string][]routing.Weighted{}}
}

func (w *world) Sessions(context.Context) ([]owners.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, w.broken
	}
	var out []owners.Session
	for _, s := range w.sessions {
		out = append(out, s)
	}
	return out, w.unreadable
}

func (w *world) Deployments(context.Context) (map[string][]routing.Weighted, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string][]routing.Weighted{}
	for app, d := range w.deployment {
		out[app] = append([]routing.Weighted(nil), d...)
	}
	return out, w.broken
}

func (w *world) Matrix(context.Context) (routing.Matrix, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return routing.Matrix{Calls: append([]routing.Incompatible(nil), w.matrix...), State: append([]routing.Unreadable(nil), w.state...)}, w.broken
}

func (w *world) change(f func(w *world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func (w *world) host(id, addr, version string) {
	w.change(func(w *world) {
		w.sessions[id] = owners.Session{ID: id, Name: id, Addr: addr, App: "shop", Version: version, Classes: []string{"Cart"}, State: owners.Live, Ready: true}
	})
}

func (w *world) remove(id string) { w.change(func(w *world) { delete(w.sessions, id) }) }

func (w *world) deploy(d ...routing.Weighted) {
	w.change(func(w *world) { w.deployment["shop"] = d })
}

const meshText = `
apiVersion: skewgate/v1
kind: Mesh
store: {url: embedded}
classes:
  Cart:
    app: shop
    services: [shop.v1.CartService, grpc.testing.TestService]
    routes: ["/carts/{id}/**"]
    id: {header: cart-id}
`

func testMesh(t *testing.T) *mesh.Mesh {
	t.Helper()
	m, err := mesh.Parse("mesh.yaml", []byte(meshText))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// running is a control that serves.
type running struct {
	*Server
	addr string
	stop func()
	reg  *prometheus.Registry
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// start runs a control at addr, "" for any port, until the test or stop ends it.
func start(t *testing.T, w *world, addr string) *running {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := New(Options{
		Mesh: testMesh(t), Sessions: w, Deployments: w, Matrix: w, Logger: testLog(t), Instance: "test",
		SessionsEvery: 20 * time.Millisecond, DeploymentsEvery: 20 * time.Millisecond, MatrixEvery: 20 * time.Millisecond, Linger: 200 * time.Millisecond,
		Registry: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, addr)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.Run(ctx) })
	work.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	r := &running{Server: s, reg: reg, addr: l.Addr().String(), stop: sync.OnceFunc(func() { cancel(); work.Wait() })}
	t.Cleanup(r.stop)
	return r
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	if addr == "" {
		return testenv.Listen(t)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// gateway is an xds.Client with its newest table.
type gateway struct {
	*xds.Client
	mu    sync.Mutex
	table *routing.Table
}

func (g *gateway) newest() *routing.Table {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.table
}

func startGateway(t *testing.T, addr, node string) *gateway {
	t.Helper()
	g := &gateway{}
	c, err := xds.NewClient(xds.Options{Addrs: []string{addr}, NodeID: node, Logger: testLog(t), OnTable: func(tb *routing.Table) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.table = tb
	}})
	if err != nil {
		t.Fatal(err)
	}
	g.Client = c
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return g
}

// eventually waits for a condition; what says what was waited for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (g *gateway) hosts() string {
	tb := g.newest()
	if tb == nil {
		return "no table"
	}
	var out []string
	for _, h := range tb.Spec().Hosts {
		out = append(out, fmt.Sprintf("%s=%s", h.Session, h.Version))
	}
	return strings.Join(out, " ")
}

func (g *gateway) weights() string {
	tb := g.newest()
	if tb == nil {
		return "no table"
	}
	var out []string
	for _, w := range tb.Deployment("shop") {
		out = append(out, fmt.Sprintf("%s:%v:%s", w.Version, w.Weight, w.Salt))
	}
	return strings.Join(out, " ")
}

func TestGatewayFollowsHostsDeploymentsAndMatrix(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")

	eventually(t, "the first table", func() bool { return g.hosts() == "a=v41" })
	if cl := g.newest().Class("Cart"); cl == nil || cl.IDHeader != "cart-id" {
		t.Errorf("class %+v", cl)
	}
	w.host("b", "127.0.0.1:9002", "v42")
	eventually(t, "a host of a new version", func() bool { return g.hosts() == "a=v41 b=v42" })
	w.deploy(routing.Weighted{Version: "v41", Weight: 99.999, Salt: "x"}, routing.Weighted{Version: "v42", Weight: 0.001, Salt: "y"})
	eventually(t, "the deployment", func() bool { return g.weights() == "v41:99.999:x v42:0.001:y" })
	w.change(func(w *world) {
		w.matrix = []routing.Incompatible{{Class: "Cart", Caller: "web@v40", Object: "v42", Rule: "R"}}
		w.state = []routing.Unreadable{{Class: "Cart", Writer: "v42", Reader: "v41", Rule: "S", Message: "m"}}
	})
	eventually(t, "the matrix", func() bool { return len(g.newest().Spec().Matrix) == 1 })
	if u, bad := g.newest().Unreadable("Cart", "v42", "v41"); !bad || u.Rule != "S" || u.Message != "m" {
		t.Errorf("state that v42 stores and v41 cannot read came as %+v, %v", u, bad)
	}
	w.remove("a")
	eventually(t, "the end of a host", func() bool { return g.hosts() == "b=v42" })

	eventually(t, "everything acknowledged", func() bool {
		p := c.Proxies()
		return len(p) == 1 && p[0].Node == "gw-1" && p[0].Delta && p[0].Connected && statuses(p[0]) == "CDS:SYNCED EDS:SYNCED RDS:SYNCED"
	})
	if s := g.State(); !s.Connected || s.Age(time.Now()) != 0 || s.Version != g.newest().Version() {
		t.Errorf("state %+v", s)
	}
}

func statuses(p ProxyState) string {
	var out []string
	for _, ty := range p.Types {
		out = append(out, ty.Type+":"+string(ty.Status))
	}
	return strings.Join(out, " ")
}

func TestUnusedClusterIsRemovedAndComesBack(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	w.host("b", "127.0.0.1:9002", "v42")
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")
	eventually(t, "both hosts", func() bool { return g.hosts() == "a=v41 b=v42" })
	onShelf := func(name string) bool {
		c.pub.mu.Lock()
		defer c.pub.mu.Unlock()
		_, cds := c.pub.standard.clusters.on[name]
		_, eds := c.pub.endpoints.on[name]
		return cds || eds
	}
	w.remove("b")
	eventually(t, "the host to go", func() bool { return g.hosts() == "a=v41" })
	eventually(t, "the cluster to go", func() bool { return !onShelf("shop@v42") })
	if !onShelf("shop@v41") {
		t.Error("a cluster in use was removed")
	}
	w.host("c", "127.0.0.1:9003", "v42")
	eventually(t, "a new host of that version", func() bool { return g.hosts() == "a=v41 c=v42" })
}

func TestControlRestartTakesNothingAway(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")
	eventually(t, "the first table", func() bool { return g.hosts() == "a=v41" })
	first := g.newest()

	c.stop()
	eventually(t, "the loss to be seen", func() bool { return !g.State().Connected })
	if g.newest() != first {
		t.Fatal("the table changed when control went away")
	}

	// The store is down when control comes back: it must not answer with an empty mesh.
	w.change(func(w *world) { w.broken = errors.New("store is down") })
	c = start(t, w, c.addr)
	time.Sleep(300 * time.Millisecond)
	if c.Ready() || g.newest() != first || g.State().Connected {
		t.Fatalf("control without a store: ready %v, table kept %v, state %+v", c.Ready(), g.newest() == first, g.State())
	}
	if age := g.State().Age(time.Now()); age < 300*time.Millisecond {
		t.Errorf("age of the table is %s", age)
	}
	w.change(func(w *world) { w.broken = nil })
	eventually(t, "the connection", func() bool { return g.State().Connected && c.Ready() })
	w.host("b", "127.0.0.1:9002", "v41")
	eventually(t, "a new host", func() bool { return g.hosts() == "a=v41 b=v41" })
	if n := g.State().Tables; n != 2 {
		t.Errorf("%d tables, want 2: an unchanged mesh is no new table", n)
	}
}

func TestReconnectSendsOnlyWhatChanged(t *testing.T) {
	w := newWorld()
	for i := range 50 {
		w.host(fmt.Sprint("h", i), fmt.Sprintf("127.0.0.1:%d", 9000+i), fmt.Sprint("v", i))
	}
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")
	eventually(t, "all hosts", func() bool { return strings.Count(g.hosts(), "=") == 50 })
	c.stop()
	w.host("new", "127.0.0.1:8999", "v7")
	c = start(t, w, c.addr)
	eventually(t, "the new host", func() bool { return strings.Count(g.hosts(), "=") == 51 })
	c.acks.mu.Lock()
	defer c.acks.mu.Unlock()
	for _, s := range c.acks.streams {
		if got := s.types[xds.TypeEndpoint].sent.names; len(got) != 1 || got[0] != "shop@v7" {
			t.Errorf("endpoints that were sent again: %v", got)
		}
	}
}

func TestOneWrongSessionStopsNoOther(t *testing.T) {
	w := newWorld()
	w.host("bad", "127.0.0.1:9001", "v\xff41")
	w.host("nowhere", "", "v41")
	w.host("good", "127.0.0.1:9002", "v41")
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")
	eventually(t, "the good host", func() bool { return g.hosts() == "good=v41" })
	w.change(func(w *world) { w.unreadable = errors.New("session x: record was written by a newer skewgate") })
	w.host("later", "127.0.0.1:9003", "v41")
	eventually(t, "the host beside one that cannot be read", func() bool { return g.hosts() == "good=v41 later=v41" })
}

func TestWrongDeploymentKeepsTheLastAndLetsHostsIn(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	w.deploy(routing.Weighted{Version: "v41", Weight: 1, Salt: "x"})
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")
	eventually(t, "the first table", func() bool { return g.hosts() == "a=v41" && g.weights() == "v41:1:x" })
	w.deploy(routing.Weighted{Version: "v41", Weight: 1, Salt: "x"}, routing.Weighted{Version: "v41", Weight: 2, Salt: "x"})
	w.host("b", "127.0.0.1:9002", "v41")
	eventually(t, "the new host", func() bool { return g.hosts() == "a=v41 b=v41" })
	if got := g.weights(); got != "v41:1:x" {
		t.Errorf("weights are %s", got)
	}
}

func TestMeshReloadReachesGateways(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	c := start(t, w, "")
	g := startGateway(t, c.addr, "gw-1")
	eventually(t, "the first table", func() bool { return g.hosts() == "a=v41" })
	m, err := mesh.Parse("mesh.yaml", []byte(meshText+"  Room: {app: chat, routes: [\"/rooms/{id}\"]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.SetMesh(m)
	eventually(t, "the new class", func() bool { return g.newest().Class("Room") != nil })
}
