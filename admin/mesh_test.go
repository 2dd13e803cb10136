package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
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
		test(t, embedded(t))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, newMesh(t, "redis://"+testenv.Redis(t), ""))
	})
}

func embedded(t *testing.T) *mesh {
	t.Helper()
	e, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return newMesh(t, e.URL(), "")
}

// mesh is a store, an API on it with its client, and real hosts of app shop, class Cart.
type mesh struct {
	t      *testing.T
	url    string
	store  *owners.Store
	api    string
	client *Client
	gates  *gates
}

// gates is the way from the API to the hosts.
type gates struct {
	*http.Transport
	refused atomic.Int64 // answers that were refusals
}

func (g *gates) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := g.Transport.RoundTrip(r)
	if err == nil && res.Header.Get(wire.HeaderRefusal) != "" {
		g.refused.Add(1)
	}
	return res, err
}

var secret = []byte("the secret of admin tests")

func newMesh(t *testing.T, url, token string) *mesh {
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
	classes := func() []routing.Class {
		return []routing.Class{{Name: "Cart", App: "shop", Mode: routing.ModeOwn, Services: []string{"shop.v1.CartService"}}}
	}
	gates := &gates{Transport: &http.Transport{}}
	httpc := &http.Client{Transport: gates}
	t.Cleanup(httpc.CloseIdleConnections)
	log := slog.New(slog.DiscardHandler)
	signer := wire.NewSigner(secret)
	handler, err := New(Options{
		Store: store, Classes: classes, Skew: skew.NewReader(store.Redis(), store.Prefix()), Signer: signer, HTTP: httpc, Token: token, Logger: log,
		Rollouts: rollout.New(rollout.Options{Store: store, Classes: classes, Signer: signer, HTTP: httpc, Logger: log}),
		Proxies: func() []Proxy {
			return []Proxy{{Node: "edge-1", Types: []ProxyType{{Type: "CDS", Status: "NACKED", Nack: "no such cluster"}}}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return &mesh{t: t, url: url, store: store, api: srv.URL, gates: gates, client: &Client{URL: srv.URL, Token: token, By: "tester", HTTP: httpc}}
}

// hostLease is long enough for a machine that does other work.
const hostLease = 12 * time.Second

// host runs a real host until the test ends.
func (m *mesh) host(name, version string) {
	m.t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Port(m.t)))
	if err != nil {
		m.t.Fatal(err)
	}
	h, err := host.New(host.Options{
		App: "shop", Version: version, Name: name, Store: m.url, Listener: l, Advertise: l.Addr().String(), Secret: secret,
		Lease: hostLease, Drain: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) }), nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("host %s: %v", name, err)
		}
	})
	m.until("host "+name+" is ready", func() bool {
		hosts, err := m.client.Hosts(m.t.Context(), HostQuery{Version: version})
		if err != nil {
			m.t.Fatal(err)
		}
		for _, h := range hosts.Items {
			if h.Name == name && h.State == "ready" {
				return true
			}
		}
		return false
	})
}

func (m *mesh) until(what string, cond func() bool) {
	m.t.Helper()
	for range 1200 {
		if cond() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Fatalf("never: %s", what)
}

// session gives the live session of a host.
func (m *mesh) session(name string) owners.Session {
	m.t.Helper()
	all, err := m.store.Sessions(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name && !s.State.Final() {
			return s
		}
	}
	m.t.Fatalf("no session of %s", name)
	return owners.Session{}
}

// call runs one event of an object on a host, as a gateway does: pin, then a stamped request.
func (m *mesh) call(id, hostName string) {
	m.t.Helper()
	k := owners.Key{Class: "Cart", ID: id}
	pin, _, _, err := m.store.Pin(m.t.Context(), k)
	if err != nil {
		m.t.Fatal(err)
	}
	s := m.session(hostName)
	if pin.SID != s.ID || pin.State != owners.Owned {
		var won bool
		if pin, won, err = m.store.Acquire(m.t.Context(), owners.Acquire{Key: k, Expect: pin, SID: s.ID}); err != nil || !won {
			m.t.Fatalf("acquire %s: %v %v", k, won, err)
		}
	}
	if res := m.send(k, pin, s); res.StatusCode != http.StatusOK {
		m.t.Fatalf("call of %s on %s: %s %s", k, hostName, res.Status, res.Header.Get(wire.HeaderRefusal))
	}
}

// send makes one attempt at a host with the stamp of a pin.
func (m *mesh) send(k owners.Key, pin owners.Pin, s owners.Session) *http.Response {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, "http://"+s.Addr+"/carts/"+k.ID, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set(wire.HeaderObject, k.String())
	req.Header.Set(wire.HeaderSession, s.ID)
	req.Header.Set(wire.HeaderToken, owners.FormatToken(pin.Token))
	req.Header.Set(wire.HeaderRefuse, "421")
	req.Header.Set(wire.HeaderAuth, wire.NewSigner(secret).Sign(k.String(), s.ID, pin.Token, time.Now()))
	res, err := m.client.HTTP.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// tally counts calls as a gateway would.
func (m *mesh) tally(n int, caller, version, method, code string) {
	m.t.Helper()
	tl, err := skew.NewTallies(skew.Options{Redis: m.store.Redis(), Prefix: m.store.Prefix(), Gateway: "gw-1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range n {
		tl.Add(skew.Call{Class: "Cart", Caller: caller, App: "shop", ObjectVersion: version, Object: fmt.Sprint(i), Method: method, Code: code, Latency: time.Millisecond})
	}
	if err := tl.Flush(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}
