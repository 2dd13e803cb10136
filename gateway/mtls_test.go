package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

const (
	gatewayID = "spiffe://shop.example/gateway"
	hostID    = "spiffe://shop.example/hosts/a"
)

// certs makes the gateway's and the hosts' certificates of one authority.
type certs struct {
	t  testing.TB
	ca *testenv.CA
}

func (c certs) source(name, id string, peers ...string) *mtls.Source {
	c.t.Helper()
	cert, key := c.ca.Issue(name, id)
	src, err := mtls.Open(mtls.Files{CertFile: cert, KeyFile: key, CAFile: c.ca.File, Peers: peers}, slog.New(slog.DiscardHandler))
	if err != nil {
		c.t.Fatal(err)
	}
	return src
}

// host serves TLS to gateways of a name, and asks for no secret unless told to.
func (c certs) host(gateways ...string) func(*host.Options) {
	c.t.Helper()
	cert, key := c.ca.Issue("host", hostID)
	return func(o *host.Options) {
		o.Secret = nil
		o.MTLS = host.MTLS{CertFile: cert, KeyFile: key, CAFile: c.ca.File, Gateways: gateways}
	}
}

func (c certs) gateway(id string, hosts ...string) func(*mesh, *Options) {
	src := c.source("gw-"+strings.ReplaceAll(id, "/", "_"), id, hosts...)
	return func(_ *mesh, o *Options) { o.Forward.TLS = src.Client() }
}

// get asks for a cart and gives status and body.
func get(t testing.TB, client *http.Client, method, url string, head ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// Everything that goes to a host goes through mutual TLS: HTTP/1.1, gRPC over
// HTTP/2, WebSockets and releases, by certificates alone and with the secret as well.
func TestHostsBehindMutualTLS(t *testing.T) {
	for name, secret := range map[string][]byte{"certificates": nil, "certificates and secret": testSecret} {
		t.Run(name, func(t *testing.T) {
			c := certs{t, testenv.NewCA(t)}
			m := newMesh(t, c.gateway(gatewayID, hostID))
			th := m.host("a", "v1", c.host(gatewayID), func(o *host.Options) { o.Secret = secret })
			m.table()
			if code, body := get(t, http.DefaultClient, "POST", "http://"+m.addr+"/carts/1/echo"); code != 200 || body != "body" {
				t.Errorf("POST: %d %s", code, body)
			}
			client := m.grpcClient()
			if res, err := client.UnaryCall(withCart(t, "1"), &testpb.SimpleRequest{}); err != nil || res.GetHostname() != "a" {
				t.Errorf("unary: %v, %v", res, err)
			}
			stream, err := client.FullDuplexCall(withCart(t, "2"))
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := stream.Send(&testpb.StreamingOutputCallRequest{Payload: payload(1000)}); err != nil {
					t.Fatal(err)
				}
				if r, err := stream.Recv(); err != nil || len(r.GetPayload().GetBody()) != 1000 {
					t.Fatalf("stream: %v", err)
				}
			}
			if err := stream.CloseSend(); err != nil {
				t.Error(err)
			}
			talk(t, m.addr)
			pin, _, _, err := m.store.Store.Pin(t.Context(), owners.Key{Class: "Cart", ID: "1"})
			if err != nil {
				t.Fatal(err)
			}
			tr := &http.Transport{TLSClientConfig: c.source("mover", gatewayID, hostID).Client()}
			defer tr.CloseIdleConnections()
			release := wire.ReleaseClient{Signer: wire.NewSigner(secret), HTTP: &http.Client{Transport: tr}, Scheme: "https"}
			reply, err := release.Release(t.Context(), th.addr, wire.ReleaseRequest{
				Object: owners.Key{Class: "Cart", ID: "1"}.String(), Session: pin.SID, Token: pin.Token, Mode: wire.ReleaseNow, Deadline: wire.Seconds(10 * time.Second)})
			if err != nil || !reply.Released {
				t.Errorf("release: %+v, %v", reply, err)
			}
			if code, body := get(t, http.DefaultClient, "POST", "http://"+m.addr+"/carts/1/echo"); code != 200 || body != "body" {
				t.Errorf("POST after the release: %d %s", code, body)
			}
		})
	}
}

func talk(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+"/carts/3/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := conn.Read(ctx); err != nil || string(b) != "a:hello" {
		t.Errorf("socket: %s, %v", b, err)
	}
}

// A gateway that a host does not accept, or the other way round, gets nowhere:
// nothing runs, and the client is told who does not accept whom, at once.
func TestWhoIsNotAcceptedGetsNowhere(t *testing.T) {
	other := testenv.NewCA(t)
	for name, c := range map[string]struct {
		gateway func(c certs) func(*mesh, *Options)
		host    func(c certs) func(*host.Options)
		want    string
	}{
		"a gateway without TLS": {
			gateway: func(certs) func(*mesh, *Options) { return func(*mesh, *Options) {} },
			host:    func(c certs) func(*host.Options) { return c.host(gatewayID) },
			want:    "serves TLS, and this gateway speaks plain HTTP",
		},
		"a gateway without certificate": {
			gateway: func(certs) func(*mesh, *Options) {
				return func(_ *mesh, o *Options) { o.Forward.TLS = &tls.Config{InsecureSkipVerify: true} }
			},
			host: func(c certs) func(*host.Options) { return c.host(gatewayID) },
			want: "does not accept this gateway's certificate",
		},
		"a gateway of another authority": {
			gateway: func(c certs) func(*mesh, *Options) { return certs{c.t, other}.gatewayTrusting(c.ca) },
			host:    func(c certs) func(*host.Options) { return c.host(gatewayID) },
			want:    "does not accept this gateway's certificate",
		},
		"a host's certificate": {
			gateway: func(c certs) func(*mesh, *Options) { return c.gateway(hostID+"b", hostID) },
			host:    func(c certs) func(*host.Options) { return c.host(gatewayID) },
			want:    "does not accept this gateway's certificate",
		},
		"a host that is none": {
			gateway: func(c certs) func(*mesh, *Options) { return c.gateway(gatewayID, "spiffe://shop.example/real-hosts/*") },
			host:    func(c certs) func(*host.Options) { return c.host(gatewayID) },
			want:    "is not trusted",
		},
		"a host without TLS": {
			gateway: func(c certs) func(*mesh, *Options) { return c.gateway(gatewayID, hostID) },
			host:    func(certs) func(*host.Options) { return func(*host.Options) {} },
			want:    "speaks plain HTTP, and this gateway wants TLS",
		},
		"a wrong secret beside the certificate": {
			gateway: func(c certs) func(*mesh, *Options) { return c.gateway(gatewayID, hostID) },
			host: func(c certs) func(*host.Options) {
				set := c.host(gatewayID)
				return func(o *host.Options) { set(o); o.Secret = []byte("the secret of another mesh") }
			},
			want: "does not accept this gateway's signature",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cs := certs{t, testenv.NewCA(t)}
			m := newMesh(t, c.gateway(cs))
			th := m.host("a", "v1", c.host(cs))
			m.table()
			if code, body := get(t, http.DefaultClient, "POST", "http://"+m.addr+"/carts/1/echo"); code != 503 || !strings.Contains(body, c.want) || !strings.Contains(body, "no_host") {
				t.Errorf("POST: %d %s", code, body)
			}
			if _, err := m.grpcClient().UnaryCall(withCart(t, "2"), &testpb.SimpleRequest{}); err == nil || !strings.Contains(err.Error(), "Unavailable") {
				t.Errorf("unary: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if conn, _, err := websocket.Dial(ctx, "ws://"+m.addr+"/carts/3/ws", nil); err == nil {
				conn.CloseNow()
				t.Error("a WebSocket was opened")
			}
			if n := th.acts.Load(); n != 0 {
				t.Errorf("%d objects were activated", n)
			}
		})
	}
}

// gatewayTrusting has a certificate of its own authority and trusts another's hosts.
func (c certs) gatewayTrusting(hosts *testenv.CA) func(*mesh, *Options) {
	cert, key := c.ca.Issue("stranger", gatewayID)
	src, err := mtls.Open(mtls.Files{CertFile: cert, KeyFile: key, CAFile: hosts.File, Peers: []string{"*"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		c.t.Fatal(err)
	}
	return func(_ *mesh, o *Options) { o.Forward.TLS = src.Client() }
}

// Who calls is what the worker's certificate says, or the trusted edge's word
// of it; what the request says of itself counts for nothing.
func TestCallersByCertificate(t *testing.T) {
	c := certs{t, testenv.NewCA(t)}
	ids, err := routing.ParseSPIFFE("spiffe://shop.example/app/{app}/version/{version}")
	if err != nil {
		t.Fatal(err)
	}
	m := newMesh(t, func(_ *mesh, o *Options) { o.CallerIDs = &ids })
	m.host("a", "v1")
	m.table()
	srv := NewServer(m.gw)
	srv.TLSConfig = c.source("listener", "spiffe://shop.example/listener", "*").Workers()
	l := serveTLS(t, srv)
	worker := func(id string) *http.Client {
		tr := &http.Transport{TLSClientConfig: c.source(strings.ReplaceAll(id, "/", "_"), id, "*").Client(), ForceAttemptHTTP2: true}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	nobody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(nobody.CloseIdleConnections)
	xfcc := func(uri string) string {
		return `By=spiffe://shop.example/edge;Hash=00;URI=spiffe://shop.example/app/forged/version/v0,By=x;Subject="CN=a;URI=no,\"b";URI=` + uri
	}
	for name, k := range map[string]struct {
		client *http.Client
		url    string
		head   []string
		want   string
	}{
		"by its own certificate":           {worker("spiffe://shop.example/app/web/version/v41"), "https://" + l, []string{wire.HeaderCaller, "admin@v1"}, "web@v41"},
		"another kind of URI":              {worker("spiffe://shop.example/hosts/x"), "https://" + l, []string{wire.HeaderCaller, "admin@v1"}, ""},
		"no certificate, but a word":       {nobody, "https://" + l, []string{wire.HeaderCaller, "admin@v1"}, ""},
		"the edge's word":                  {http.DefaultClient, "http://" + m.addr, []string{"X-Forwarded-Client-Cert", xfcc("spiffe://shop.example/app/web/version/v40")}, "web@v40"},
		"the edge's word of somebody else": {http.DefaultClient, "http://" + m.addr, []string{"X-Forwarded-Client-Cert", xfcc("spiffe://evil.example/app/web/version/v40")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if code, body := get(t, k.client, "POST", k.url+"/carts/1/headers", k.head...); code != 200 || strings.Contains(body, wire.HeaderCaller+": "+k.want+"\n") != (k.want != "") || k.want == "" && strings.Contains(body, wire.HeaderCaller) {
				t.Errorf("%d %s", code, body)
			}
		})
	}
	cc, err := grpc.NewClient("passthrough:///"+l, grpc.WithTransportCredentials(credentials.NewTLS(c.source("grpc", "spiffe://shop.example/app/cli/version/v7", "*").Client())))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	before := m.events.count()
	if _, err := testpb.NewTestServiceClient(cc).UnaryCall(withCart(t, "1"), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	if e := m.events.wait(t, before+1); e.Caller != "cli@v7" {
		t.Errorf("gRPC's caller is %q", e.Caller)
	}
}

// An XFCC of a peer that is not trusted is nobody's word.
func TestForwardedCertificateOfAStranger(t *testing.T) {
	ids, err := routing.ParseSPIFFE("spiffe://shop.example/{app}")
	if err != nil {
		t.Fatal(err)
	}
	g := New(Options{CallerIDs: &ids, TrustedCallers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for remote, want := range map[string]string{"10.1.2.3:1": "web@v1", "192.0.2.1:1": ""} {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{
			"X-Forwarded-Client-Cert": {"URI=spiffe://shop.example/web"}, wire.HeaderCaller: {"web@v1"}}}
		if got := g.callerOf(r, g.trusts(remote)); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
		r.Header.Set(wire.HeaderCaller, "admin@v1") // the certificate is web's
		if got := g.callerOf(r, g.trusts(remote)); got != "" {
			t.Errorf("%s as admin: %q", remote, got)
		}
	}
}

func serveTLS(t testing.TB, srv *http.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = srv.ServeTLS(l, "", ""); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return l.Addr().String()
}
