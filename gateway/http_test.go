package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
)

// answer is a response read to its end.
type answer struct {
	status int
	body   string
	header http.Header
}

func (m *mesh) get(path string, headers ...string) answer {
	m.t.Helper()
	return m.do(http.MethodGet, path, nil, headers...)
}

func (m *mesh) do(method, path string, body io.Reader, headers ...string) answer {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, "http://"+m.addr+path, body)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer{res.StatusCode, string(b), res.Header}
}

func (a answer) problem(t testing.TB) (p struct {
	Code, Detail, Retryable, Object, ObjectVersion, CallerVersion string
	Overloaded                                                    bool
}) {
	t.Helper()
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("status %d, content type %q, body %q; want a problem", a.status, ct, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestObjectStaysOnOneHost(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.host("b", "v1")
	m.table()
	seen := map[string]bool{}
	for i := range 20 {
		path := fmt.Sprintf("/carts/c%d", i)
		first := m.get(path)
		if first.status != 200 {
			t.Fatalf("%s: %d %s", path, first.status, first.body)
		}
		seen[first.body] = true
		for range 3 {
			if again := m.get(path); again.body != first.body {
				t.Fatalf("%s went to %s and %s", path, first.body, again.body)
			}
		}
		if v := first.header.Get(wire.HeaderObjectVersion); v != "shop@v1" {
			t.Fatalf("object version %q", v)
		}
	}
	if len(seen) != 2 {
		t.Fatalf("20 objects on %d of 2 hosts", len(seen))
	}
}

func TestWarmPinAsksNoStore(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	m.get("/carts/1")
	before := m.store.calls.Load()
	for range 50 {
		if a := m.get("/carts/1"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := m.store.calls.Load() - before; n != 0 {
		t.Fatalf("50 requests of a warm pin made %d store calls", n)
	}
	m.get("/carts/2")
	if m.store.calls.Load() == before {
		t.Fatal("the counter does not count: a cold pin made no store call")
	}
}

func TestBadObjectIDs(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	const svc = "/grpc.testing.TestService/UnaryCall"
	for _, tc := range []struct {
		name, path string
		headers    []string
		status     int
		code       wire.Code
	}{
		{"empty in the path", "/carts//items", nil, 400, wire.ObjectKeyMissing},
		{"600 bytes in the path", "/carts/" + strings.Repeat("x", 600), nil, 400, wire.ObjectKeyInvalid},
		{"512 bytes are fine", "/carts/" + strings.Repeat("x", 512), nil, 200, ""},
		{"513 bytes are not", "/carts/" + strings.Repeat("x", 513), nil, 400, wire.ObjectKeyInvalid},
		{"control character", "/carts/a%0Ab", nil, 400, wire.ObjectKeyInvalid},
		{"slash inside the id", "/carts/a%2Fb", nil, 200, ""},
		{"no id anywhere", svc, nil, 400, wire.ObjectKeyMissing},
		{"empty header", svc, []string{"cart-id", ""}, 400, wire.ObjectKeyMissing},
		{"long header", svc, []string{"cart-id", strings.Repeat("x", 600)}, 400, wire.ObjectKeyInvalid},
		{"unknown class", "/rooms/1", nil, 404, wire.NoRoute},
		{"dot segments", "/carts/1/%2e%2e/2", nil, 404, wire.NoRoute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := m.get(tc.path, tc.headers...)
			if a.status != tc.status {
				t.Fatalf("status %d, want %d: %s", a.status, tc.status, a.body)
			}
			if tc.code != "" && a.problem(t).Code != string(tc.code) {
				t.Fatalf("code %q, want %q", a.problem(t).Code, tc.code)
			}
		})
	}
}

func TestClientCannotSpeakForTheGateway(t *testing.T) {
	m := newMesh(t, func(_ *mesh, o *Options) { o.TrustedCallers = nil })
	m.host("a", "v1")
	m.table()
	a := m.get("/carts/1/headers",
		"Skewgate-Object", "Cart/2", "Skewgate-Token", "9007199254740991", "X-Skewgate-Session", "ffff", "Skewgate_Token", "7",
		"Skewgate-Caller", "admin@v1", "X-Forwarded-For", "6.6.6.6", "Connection", "Skewgate-Auth", "Keep", "me")
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, want := range []string{"Skewgate-Object: Cart/1\n", "Keep: me\n", "X-Forwarded-For: 127.0.0.1\n"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("host did not see %q:\n%s", want, a.body)
		}
	}
	for _, leak := range []string{"9007199254740991", "ffff", "Skewgate_Token", "admin", "6.6.6.6"} {
		if strings.Contains(a.body, leak) {
			t.Errorf("host saw %q:\n%s", leak, a.body)
		}
	}
	for name := range a.header {
		if strings.HasPrefix(name, "Skewgate-") && name != wire.HeaderObjectVersion {
			t.Errorf("client saw %s", name)
		}
	}
}

func TestHostThatDrainsLosesNothing(t *testing.T) {
	m := newMesh(t)
	a := m.host("a", "v1")
	m.host("b", "v1")
	m.table()
	ids := make([]string, 10)
	for i := range ids {
		ids[i] = fmt.Sprintf("/carts/d%d", i)
		m.get(ids[i])
	}
	stopped := make(chan struct{})
	go func() { a.stop(); close(stopped) }()
	for n := 0; ; n++ {
		got := m.get(ids[n%len(ids)])
		if got.status != 200 {
			t.Fatalf("request %d: %d %s", n, got.status, got.body)
		}
		select {
		case <-stopped:
			if n > 50 {
				for _, id := range ids {
					if got := m.get(id); got.body != "b" {
						t.Fatalf("%s is on %q", id, got.body)
					}
				}
				return
			}
		default:
		}
	}
}

func TestDeadControlLosesNothing(t *testing.T) {
	m := newMesh(t)
	a := m.host("a", "v1")
	m.table() // the last word of control
	m.get("/carts/1")
	m.host("b", "v1")
	a.stop()
	if got := m.get("/carts/1"); got.status != 200 || got.body != "b" {
		t.Fatalf("known object: %d %s", got.status, got.body)
	}
	if got := m.get("/carts/2"); got.status != 200 || got.body != "b" {
		t.Fatalf("new object: %d %s", got.status, got.body)
	}
}

func TestStoreDownIsAnError(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits.HoldFor = 150 * time.Millisecond })
	m.host("a", "v1")
	m.table()
	m.get("/carts/warm")
	m.store.fail.Store(true)
	if a := m.get("/carts/warm"); a.status != 200 {
		t.Fatalf("a warm pin needs the store: %d %s", a.status, a.body)
	}
	a := m.get("/carts/cold")
	if p := a.problem(t); a.status != 503 || p.Code != "store_unavailable" || p.Retryable != "yes" || a.header.Get("Retry-After") == "" {
		t.Fatalf("%d %+v %v", a.status, p, a.header)
	}
	if ev := m.events.wait(t, 3); ev.Code != "store_unavailable" || ev.Waited < 100*time.Millisecond {
		t.Fatalf("event %+v", ev)
	}
}

func TestNoHost(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits.HoldFor = 100 * time.Millisecond })
	m.table()
	if a := m.get("/carts/1"); a.problem(t).Code != "no_host" || a.status != 503 {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

func TestHeldRequestsAreBounded(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) {
		m.classes[0].Limits = routing.Limits{HoldFor: 2 * time.Second, HeldPerObject: 5}
	})
	m.table()
	codes := make(chan string, 30)
	for range 30 {
		go func() { codes <- m.get("/carts/1").problem(t).Code }()
	}
	n := map[string]int{}
	for range 30 {
		n[<-codes]++
	}
	if n["overloaded"] == 0 || n["no_host"] == 0 || n["no_host"] > 10 {
		t.Fatalf("%v; want few held to the end, the rest overloaded", n)
	}
}

func TestWebSocket(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, "ws://"+m.addr+"/carts/1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if v := res.Header.Get(wire.HeaderObjectVersion); v != "shop@v1" {
		t.Errorf("object version %q", v)
	}
	conn.SetReadLimit(-1)
	for _, n := range []int{0, 1, 125, 126, 70_000, 1 << 20} {
		msg := strings.Repeat("x", n)
		if err := conn.Write(ctx, websocket.MessageText, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		_, got, err := conn.Read(ctx)
		if err != nil || string(got) != "a:"+msg {
			t.Fatalf("message of %d bytes: got %d, %v", n, len(got), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Fatalf("close handshake: %v", err)
	}
	if ev := m.events.wait(t, 1); !ev.Upgrade || ev.Status != 101 || ev.Code != "" {
		t.Fatalf("event %+v", ev)
	}
}

func TestDrainClosesSocketsWith1012(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+m.addr+"/carts/1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- m.gw.Drain(short) }()
	_, _, err = conn.Read(ctx)
	if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Fatalf("%v; want close 1012", err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if m.gw.Ready() == nil {
		t.Fatal("ready while drained")
	}
}

func TestLargeBodiesPassAndReturn(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	body := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, r := range []io.Reader{strings.NewReader(body), struct{ io.Reader }{strings.NewReader(body)}} {
		if a := m.do(http.MethodPost, "/carts/1/echo", r); a.status != 200 || a.body != body {
			t.Fatalf("%d, %d bytes", a.status, len(a.body))
		}
	}
}

// What gates serve to gateways is out of a client's reach, however it is
// spelled: a stamp would make the client's request look like ours.
func TestReservedPathsAreRefused(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Routes = []string{"/**", "/carts/{id}/**"} })
	m.host("a", "v1")
	m.table()
	for _, path := range []string{"/_skewgate/release", "/%5Fskewgate/release", "//_skewgate/release", "/_skewgate%2Frelease", "/_skewgate"} {
		if a := m.do(http.MethodPost, path, strings.NewReader("{}"), "cart-id", "1"); a.status != 404 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := m.get("/_skewgates", "cart-id", "1"); a.status != 200 {
		t.Errorf("a path that only begins so: %d %s", a.status, a.body)
	}
}

// A client that sends half of its body and waits gets its answer all the same,
// be it an error of ours or an answer of the host's that breaks off.
func TestAnswersDoNotWaitForTheRestOfTheBody(t *testing.T) {
	m := newMesh(t)
	m.fake("a", "v1", func(_ *fakeHost, w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 4))
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			conn.Close()
		}
	})
	m.table()
	for path, want := range map[string]string{"/nowhere": "HTTP/1.1 404", "/carts/1": "HTTP/1.1 200"} {
		conn, err := net.Dial("tcp", m.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf", path)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Fatalf("%s: %q %v, want %q", path, got, err, want)
		}
		if path == "/nowhere" {
			continue
		}
		if rest, err := io.ReadAll(conn); err != nil || strings.Contains(string(rest), "HTTP/1.1") {
			t.Fatalf("%s: %q %v, want the connection's end", path, rest, err)
		}
	}
}
