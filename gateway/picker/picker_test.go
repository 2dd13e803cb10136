package picker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

var secret = []byte("a secret for tests")

// edge is a real Envoy that asks a picker, with real hosts behind it.
type edge struct {
	t      testing.TB
	url    string // http://127.0.0.1:port of Envoy
	addr   string
	url2   string // of the store
	store  *owners.Store
	gw     *gateway.Gateway
	picker *Picker
	server *grpc.Server
	mu     sync.Mutex
	events []*gateway.Event
	stop   map[string]func()
}

// Record keeps events.
func (e *edge) Record(ev *gateway.Event) {
	e.mu.Lock()
	e.events = append(e.events, ev)
	e.mu.Unlock()
}

func (e *edge) find(match func(*gateway.Event) bool) *gateway.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.events {
		if match(ev) {
			return ev
		}
	}
	return nil
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never came about: %s", what)
}

func newEdge(t testing.TB, hosts ...string) *edge {
	t.Helper()
	em, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { em.Close() })
	store, err := owners.Open(t.Context(), owners.Options{URL: em.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	e := &edge{t: t, url2: em.URL(), store: store, stop: map[string]func(){}}
	ports := map[string]int{}
	for _, h := range hosts {
		ports[h] = e.host(h)
	}
	e.gw = gateway.New(gateway.Options{
		ID: "gw", Store: store, Signer: wire.NewSigner(secret), Recorder: e,
		TrustedCallers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, HostRefresh: 20 * time.Millisecond,
	})
	e.table()
	e.picker = New(Options{Gateway: e.gw, Unary: func(m string) bool { return strings.HasSuffix(m, "/UnaryCall") }})
	e.server = grpc.NewServer()
	e.picker.Register(e.server)
	pickerPort := testenv.Port(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", pickerPort))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { _ = e.server.Serve(l); close(served) }()
	t.Cleanup(func() { e.server.Stop(); <-served })

	admin, port := testenv.Port(t), testenv.Port(t)
	e.addr = fmt.Sprintf("127.0.0.1:%d", port)
	e.url = "http://" + e.addr
	var list []int
	for _, h := range hosts {
		list = append(list, ports[h])
	}
	text, err := os.ReadFile("testdata/edge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	tpl := template.Must(template.New("edge").Parse(string(text)))
	if err := tpl.Execute(&out, map[string]any{"Admin": admin, "Edge": port, "Hosts": list, "Picker": pickerPort, "Strip": wire.StripPattern()}); err != nil {
		t.Fatal(err)
	}
	testenv.StartEnvoy(t, out.Bytes(), fmt.Sprintf("127.0.0.1:%d", admin))
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return e
}

func (e *edge) table() {
	sessions, err := e.store.Sessions(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	var hosts []routing.Host
	for _, s := range sessions {
		hosts = append(hosts, routing.Host{Session: s.ID, Name: s.Name, Addr: s.Addr, App: s.App, Version: s.Version, Classes: s.Classes, Ready: s.Ready, Draining: s.State != owners.Live})
	}
	table, err := routing.NewTable(routing.Spec{
		Classes: []routing.Class{{
			Name: "Cart", App: "shop", Mode: routing.ModeOwn, Services: []string{"grpc.testing.TestService"},
			Routes: []string{"/carts/{id}/**"}, IDHeader: "cart-id", Limits: routing.Limits{HoldFor: 2 * time.Second},
		}},
		Apps:  []routing.App{{Name: "shop"}},
		Hosts: hosts,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.gw.SetTable(table)
}

func (e *edge) host(name string) (port int) {
	port = testenv.Port(e.t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		e.t.Fatal(err)
	}
	h, err := host.New(host.Options{
		App: "shop", Version: "v1", Name: name, Store: e.url2, Listener: l, Advertise: l.Addr().String(), Secret: secret,
		Lease: 3 * time.Second, Drain: 2 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveCart(name, w, r) }), nil
	})
	testpb.RegisterTestServiceServer(h.GRPCServer(), &service{name: name})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	e.stop[name] = sync.OnceFunc(func() { cancel(); <-done })
	e.t.Cleanup(e.stop[name])
	eventually(e.t, "host "+name+" registered", func() bool {
		all, _ := e.store.Sessions(context.Background())
		for _, s := range all {
			if s.Name == name && s.State == owners.Live && s.Ready {
				return true
			}
		}
		return false
	})
	return port
}

func serveCart(name string, w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/ws"):
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
	case strings.HasSuffix(r.URL.Path, "/headers"):
		for h, v := range r.Header {
			fmt.Fprintf(w, "%s: %s\n", h, strings.Join(v, "|"))
		}
	default:
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s%s", name, b)
	}
}

type service struct {
	testpb.UnimplementedTestServiceServer
	name string
}

// UnaryCall says which host it is.
func (s *service) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Hostname: s.name}, nil
}

func (e *edge) do(method, path, body string, headers ...string) (int, string, http.Header) {
	e.t.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, rd)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func TestEnvoySendsStraightToTheOwner(t *testing.T) {
	e := newEdge(t, "a", "b")
	seen := map[string]bool{}
	for i := range 12 {
		path := fmt.Sprintf("/carts/c%d", i)
		code, first, h := e.do("GET", path, "")
		if code != 200 {
			t.Fatalf("%d %s", code, first)
		}
		if h.Get("Skewgate-Object-Version") != "shop@v1" || h.Get("X-Skewgate-Pin") != "" {
			t.Fatalf("headers %v", h)
		}
		seen[first] = true
		for range 3 {
			if _, again, _ := e.do("GET", path, ""); again != first {
				t.Fatalf("%s is on %s and %s", path, first, again)
			}
		}
	}
	if len(seen) != 2 {
		t.Fatalf("12 objects on %d of 2 hosts", len(seen))
	}
	eventually(t, "every lease ends with its request", func() bool { return e.picker.Live() == 0 })
	eventually(t, "the access log tells of requests", func() bool {
		return e.find(func(ev *gateway.Event) bool {
			return ev.Class == "Cart" && ev.Object.ID == "c3" && ev.ObjectVersion == "v1" && ev.Status == 200
		}) != nil
	})
}

func TestErrorsReachTheClientInItsProtocol(t *testing.T) {
	e := newEdge(t, "a")
	code, body, h := e.do("GET", "/rooms/1", "")
	if code != 404 || !strings.Contains(body, "no_route") || h.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s %v", code, body, h)
	}
	c := e.client()
	_, err := c.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	st := status.Convert(err)
	if st.Code() != codes.InvalidArgument || len(st.Details()) == 0 {
		t.Fatalf("%v, details %v", err, st.Details())
	}
	res, err := c.UnaryCall(metadata.AppendToOutgoingContext(t.Context(), "cart-id", "1"), &testpb.SimpleRequest{})
	if err != nil || res.GetHostname() != "a" {
		t.Fatalf("%v %v", res, err)
	}
}

func (e *edge) client() testpb.TestServiceClient {
	cc, err := grpc.NewClient("passthrough:///"+e.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { cc.Close() })
	return testpb.NewTestServiceClient(cc)
}

func TestClientCannotChooseTheHost(t *testing.T) {
	e := newEdge(t, "a")
	_, body, _ := e.do("GET", "/carts/1/headers", "",
		"X-Skewgate-Pin", "MTI3LjAuMC4xOjE=", "Skewgate-Token", "9007199254740991", "X-Skewgate-Object", "Cart/2", "X-Gateway-Destination-Endpoint", "127.0.0.1:1")
	for _, bad := range []string{"MTI3", "9007199254740991", "Cart/2", "Destination"} {
		if strings.Contains(body, bad) {
			t.Errorf("host saw %q:\n%s", bad, body)
		}
	}
	if !strings.Contains(body, "Skewgate-Object: Cart/1\n") {
		t.Errorf("host was not told its object:\n%s", body)
	}
}

// The old owner refuses with a redirect that Envoy follows by itself: the
// client sees nothing of the move, with GET and with a small POST.
func TestMoveIsInvisible(t *testing.T) {
	e := newEdge(t, "a", "b")
	var ids []string
	for i := range 10 {
		id := fmt.Sprintf("/carts/m%d", i)
		e.do("GET", id, "")
		ids = append(ids, id)
	}
	gone := make(chan struct{})
	go func() { e.stop["a"](); close(gone) }()
	for n := 0; ; n++ {
		method, body := "GET", ""
		if n%2 == 1 {
			method, body = "POST", "+body"
		}
		code, got, _ := e.do(method, ids[n%len(ids)], body)
		if code != 200 || !strings.HasSuffix(got, body) {
			t.Fatalf("request %d: %d %s", n, code, got)
		}
		select {
		case <-gone:
			if n > 50 {
				return
			}
		default:
		}
	}
}

func TestLeaseLivesAsLongAsTheSocket(t *testing.T) {
	e := newEdge(t, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+e.addr+"/carts/1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := conn.Read(ctx); err != nil || string(msg) != "a:hi" {
		t.Fatalf("%s %v", msg, err)
	}
	if n := e.picker.Live(); n != 1 {
		t.Fatalf("%d leases while a socket is open", n)
	}
	conn.CloseNow()
	eventually(t, "the lease ends", func() bool { return e.picker.Live() == 0 })
}

// A socket whose object was taken over elsewhere is cut by the next pick.
func TestRevokeCutsASocket(t *testing.T) {
	e := newEdge(t, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+e.addr+"/carts/1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	key := owners.Key{Class: "Cart", ID: "1"}
	pin, _, _, err := e.store.Pin(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	e.picker.leases.begin(gateway.Pick{Key: key, Target: &gateway.Target{Token: pin.Token + 1}})
	if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
		t.Fatalf("socket lives on: %v", err)
	}
	if n := e.picker.Live(); n != 1 {
		t.Fatalf("%d leases, want the new one only", n)
	}
}

// The gateway dies: new requests fail closed, a live socket goes on.
func TestGatewayCrash(t *testing.T) {
	e := newEdge(t, "a", "b")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+e.addr+"/carts/1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	e.server.Stop()
	code, body, _ := e.do("GET", "/carts/2", "")
	if code != 503 {
		t.Fatalf("a request without a pick got %d %s", code, body)
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(ctx); err != nil {
		t.Fatalf("live socket: %v", err)
	}
}
