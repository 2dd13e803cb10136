package agent_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// startWorkerd runs the real workerd with the Durable Object class of testdata/workerd.
func startWorkerd(t testing.TB, version string) *upstream {
	t.Helper()
	bin, err := filepath.Abs("../../.tools/workerd/workerd")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("workerd is not there: run tools/workerd.sh (%v)", err)
	}
	u := &upstream{addr: addr(t), storage: addr(t), lines: make(chan string, 1000)}
	startProcess(t, u.lines, []string{"VERSION=" + version}, bin, "serve", "testdata/workerd/config.capnp",
		"--socket-addr", "http="+u.addr, "--external-addr", "storage="+u.storage)
	return u
}

// Two workerd processes with two versions of one Durable Object class: an
// object moves from one to the other with its count, and its socket is told to come again.
func TestDurableObjectsInWorkerd(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, "redis://"+testenv.Redis(t))
	for _, version := range []string{"v1", "v2"} {
		startAgent(m, version, startWorkerd(t, version), func(o *agent.Options) { o.Host.Version = version })
	}
	k := key("8812")
	first := m.Must(k, "POST", "/add", "", 200)
	if first.Body != "1" {
		t.Fatalf("count %s, want 1", first.Body)
	}
	pin, sess, _, err := m.Store.Pin(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	if want := "workerd " + sess.Version; first.Header.Get("Served-By") != want {
		t.Errorf("served by %q, want %q", first.Header.Get("Served-By"), want)
	}
	ws := dialSocket(t, m, k)
	say(t, ws, sess.Version+":2")
	say(t, ws, sess.Version+":3")
	m.Avoid(pin.SID)
	if r := m.Release(k, wire.ReleaseNow, 10*time.Second); !r.Released {
		t.Fatalf("not released: %+v", r)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("the socket ended with %v, want status 1012", err)
	}
	second := m.Must(k, "POST", "/add", "", 200)
	if second.Body != "4" || second.Header.Get("Served-By") == first.Header.Get("Served-By") {
		t.Errorf("after the move: %s by %q, want 4 by the other version", second.Body, second.Header.Get("Served-By"))
	}
	// Back again: the instance that workerd still holds in memory must not answer from it.
	pin, _, _, err = m.Store.Pin(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	m.Avoid(pin.SID)
	if r := m.Release(k, wire.ReleaseNow, 10*time.Second); !r.Released {
		t.Fatalf("not released: %+v", r)
	}
	third := m.Must(k, "GET", "/", "", 200)
	if third.Body != "4" || third.Header.Get("Served-By") != first.Header.Get("Served-By") {
		t.Errorf("after the move back: %s by %q, want 4 by %q", third.Body, third.Header.Get("Served-By"), first.Header.Get("Served-By"))
	}
}

func dialSocket(t *testing.T, m *testmesh.Mesh, k owners.Key) *websocket.Conn {
	t.Helper()
	c := m.Owner(k)
	h := http.Header{}
	m.Stamp(h, k, c)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+c.Addr+"/ws", &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func say(t *testing.T, ws *websocket.Conn, want string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte("add")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(t.Context()); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}
