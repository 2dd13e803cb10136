package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/gateway/picker"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
	"github.com/skewgate/skewgate/xds"
	"github.com/skewgate/skewgate/xds/control"
)

// A whole mesh with both kinds of Envoy before it, each with its generated
// bootstrap: embedded store, control, two gateways, hosts.
type wholeMesh struct {
	t      *testing.T
	mesh   *mesh.Mesh
	secret []byte
	url    string // of the store
	store  *owners.Store

	gateways, pickers []string
	stopControl       func()
	proxyURL, pickURL string
}

// plain is the sources of control that have nothing to say.
type plain struct{}

func (plain) Deployments(context.Context) (map[string][]routing.Weighted, error) { return nil, nil }
func (plain) Matrix(context.Context) (routing.Matrix, error)                     { return routing.Matrix{}, nil }

func newWholeMesh(t *testing.T) *wholeMesh {
	t.Helper()
	em, err := owners.StartEmbedded(fmt.Sprint("127.0.0.1:", testenv.Port(t)), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = em.Close() })
	store, err := owners.Open(t.Context(), owners.Options{URL: em.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &wholeMesh{t: t, mesh: parsed(t, shopMesh), secret: []byte("a secret for tests"), url: em.URL(), store: store}

	ctl, err := control.New(control.Options{Mesh: w.mesh, Sessions: store, Deployments: plain{}, Matrix: plain{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := testenv.Listen(t)
	w.stopControl = w.run(func(ctx context.Context) { _ = ctl.Run(ctx) })
	w.run(func(context.Context) { _ = ctl.Serve(l) })
	w.host("a")
	w.host("b")
	for i := range 2 {
		w.gateway(fmt.Sprint("gw-", i), l.Addr().String())
	}
	w.proxyURL = w.envoy(Options{Mode: Proxy, Gateways: w.gateways})
	w.pickURL = w.envoy(Options{Mode: Picker, Pickers: w.pickers, Controls: []string{l.Addr().String()}, NodeID: "picker-edge"})
	return w
}

// run runs f until stop or the test's end.
func (w *wholeMesh) run(f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { f(ctx) })
	stop = sync.OnceFunc(func() { cancel(); work.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func (w *wholeMesh) host(name string) (stop func()) {
	w.t.Helper()
	l := testenv.Listen(w.t)
	h, err := host.New(host.Options{
		App: "shop", Version: "v1", Name: name, Store: w.url, Listener: l, Advertise: l.Addr().String(), Secret: w.secret,
		Lease: 3 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { serveCart(name, rw, r) }), nil
	})
	stop = w.run(func(ctx context.Context) { _ = h.Run(ctx) })
	w.eventually("host "+name, func() bool {
		all, _ := w.store.Sessions(context.Background())
		for _, s := range all {
			if s.Name == name && s.State == owners.Live && s.Ready {
				return true
			}
		}
		return false
	})
	return stop
}

func serveCart(name string, w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/ws") {
		_, _ = io.WriteString(w, name)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, msg, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, append([]byte(name+":"), msg...)) != nil {
			return
		}
	}
}

func (w *wholeMesh) gateway(id, controlAddr string) {
	w.t.Helper()
	g := gateway.New(gateway.Options{ID: id, Store: w.store, Signer: wire.NewSigner(w.secret), TrustedCallers: w.mesh.Callers.Trust})
	client, err := xds.NewClient(xds.Options{Addrs: []string{controlAddr}, NodeID: id, Logger: slog.New(slog.DiscardHandler), OnTable: g.SetTable})
	if err != nil {
		w.t.Fatal(err)
	}
	w.run(func(ctx context.Context) { _ = client.Run(ctx) })
	data, asks := testenv.Listen(w.t), testenv.Listen(w.t)
	server := gateway.NewServer(g)
	w.run(func(context.Context) {
		if err := server.Serve(data); !errors.Is(err, http.ErrServerClosed) {
			w.t.Errorf("gateway %s: %v", id, err)
		}
	})
	grpcServer := grpc.NewServer()
	picker.New(picker.Options{Gateway: g}).Register(grpcServer)
	w.run(func(context.Context) { _ = grpcServer.Serve(asks) })
	w.t.Cleanup(func() { _ = server.Close(); grpcServer.Stop() })
	w.eventually(id+" to be ready", func() bool { return g.Ready() == nil })
	w.gateways, w.pickers = append(w.gateways, data.Addr().String()), append(w.pickers, asks.Addr().String())
}

func (w *wholeMesh) envoy(o Options) (url string) {
	w.t.Helper()
	o.Listen, o.Admin = fmt.Sprint("127.0.0.1:", testenv.Port(w.t)), fmt.Sprint("127.0.0.1:", testenv.Port(w.t))
	out, err := Bootstrap(w.mesh, o)
	if err != nil {
		w.t.Fatal(err)
	}
	testenv.StartEnvoy(w.t, out, o.Admin)
	return "http://" + o.Listen
}

func (w *wholeMesh) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// get asks for an object. Where a pick takes longer than Envoy waits (a slow
// machine), the locked cluster gives 503: nothing ran, and a client tries again.
func (w *wholeMesh) get(url string) (host string) {
	w.t.Helper()
	for range 20 {
		resp := do(w.t, "GET", url)
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusServiceUnavailable && string(body) == "no healthy upstream" && strings.HasPrefix(url, w.pickURL) {
			continue
		}
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Skewgate-Object-Version") != "shop@v1" {
			w.t.Errorf("GET %s: %s %q %v, version %q", url, resp.Status, body, err, resp.Header.Get("Skewgate-Object-Version"))
		}
		return string(body)
	}
	w.t.Errorf("GET %s: no host was ever picked", url)
	return ""
}

func (w *wholeMesh) echo(url, id string) string {
	w.t.Helper()
	conn, _, err := websocket.Dial(w.t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/carts/"+id+"/ws", nil)
	if err != nil {
		w.t.Fatalf("WebSocket: %v", err)
	}
	defer conn.CloseNow()
	if err := conn.Write(w.t.Context(), websocket.MessageText, []byte("hi")); err != nil {
		w.t.Fatal(err)
	}
	_, msg, err := conn.Read(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(msg)
}

// Both modes stand before one mesh and agree on every object's host, also
// while hosts come and go and without a control plane.
func TestBothModesServeTheSameObjects(t *testing.T) {
	w := newWholeMesh(t)
	agree := func(when string, ids int) (hosts map[string]int) {
		t.Helper()
		hosts = map[string]int{}
		for i := range ids {
			id := fmt.Sprint("cart-", i)
			viaGateway, viaPicker := w.get(w.proxyURL+"/carts/"+id), w.get(w.pickURL+"/carts/"+id)
			if viaGateway != viaPicker || viaGateway == "" {
				t.Errorf("%s: %s is on %q through a gateway and on %q through a pick", when, id, viaGateway, viaPicker)
			}
			hosts[viaGateway]++
		}
		return hosts
	}
	// Until the picker's Envoy has its configuration it has no host to give.
	w.eventually("the picker's Envoy", func() bool { return do(t, "GET", w.pickURL+"/carts/cart-0").StatusCode == http.StatusOK })
	if hosts := agree("at first", 20); len(hosts) != 2 {
		t.Errorf("20 objects are on %v", hosts)
	}
	for _, url := range []string{w.proxyURL, w.pickURL} {
		if got, want := w.echo(url, "cart-3"), w.get(w.proxyURL+"/carts/cart-3")+":hi"; got != want {
			t.Errorf("WebSocket through %s: %q, want %q", url, got, want)
		}
		if resp := do(t, "GET", url+"/nothing"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("no route through %s: %s", url, resp.Status)
		}
	}

	stopC := w.host("c")
	w.eventually("objects on the new host", func() bool {
		for i := range 40 {
			if w.get(fmt.Sprintf("%s/carts/new-%d-%d", w.proxyURL, time.Now().UnixNano(), i)) == "c" {
				return true
			}
		}
		return false
	})
	agree("with a third host", 20)
	stopC() // drains
	if hosts := agree("after a drain", 20); hosts["c"] != 0 {
		t.Errorf("objects on a host that is gone: %v", hosts)
	}
	w.stopControl()
	agree("without control", 20)
}
