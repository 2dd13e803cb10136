package host_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// room answers each message on a WebSocket with how many there were.
type room struct {
	o        *host.Object
	n        int
	received chan string
}

func (r *room) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path != "/ws" {
		fmt.Fprint(w, r.n)
		return
	}
	conn, err := host.AcceptWebSocket(w, req, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		_, msg, err := conn.Read(req.Context())
		if err != nil {
			return
		}
		r.received <- string(msg)
		r.n++
		if conn.Write(req.Context(), websocket.MessageText, []byte(strconv.Itoa(r.n))) != nil {
			return
		}
	}
}

func rooms(received chan string) host.Activate {
	return func(_ context.Context, o *host.Object) (http.Handler, error) {
		return &room{o: o, received: received}, nil
	}
}

func dialSocket(t *testing.T, m *testmesh.Mesh, k owners.Key, c testmesh.Target) *websocket.Conn {
	t.Helper()
	h := http.Header{}
	m.Stamp(h, k, c)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+c.Addr+"/ws", &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func say(t *testing.T, ws *websocket.Conn, msg, want string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(t.Context()); err != nil || string(got) != want {
		t.Fatalf("answer %q, %v; want %q", got, err, want)
	}
}

// restarted wants the socket to end with 1012.
func restarted(t *testing.T, ws *websocket.Conn) {
	t.Helper()
	for {
		_, _, err := ws.Read(t.Context())
		if err == nil {
			continue
		}
		if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("the socket ended with %v, want status 1012", err)
		}
		return
	}
}

func TestWebSocket(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		received := make(chan string, 100)
		m.Start("one", rooms(received))
		k := key("1")
		c := m.Owner(k)
		a, b := dialSocket(t, m, k, c), dialSocket(t, m, k, c)
		say(t, a, strings.Repeat("x", 30000), "1")
		say(t, b, "y", "2")
		if got := m.Must(k, "GET", "/", "", 200); got.Body != "2" {
			t.Errorf("beside the sockets: %s, want 2", got.Body)
		}
		if o, _ := m.ActiveOf(k); o.Sockets != 2 || o.InFlight != 0 {
			t.Errorf("%d sockets, %d events; want 2 and 0", o.Sockets, o.InFlight)
		}
		if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
			t.Errorf("release: %+v", r)
		}
		restarted(t, a)
		restarted(t, b)
	})
}

// From a release's mark on, messages are not delivered.
func TestWebSocketMessagesStopAtTheMark(t *testing.T) {
	t.Parallel()
	m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
	received := make(chan string, 100)
	m.Start("one", rooms(received), faulty(nil, st))
	k := key("1")
	c := m.Owner(k)
	ws := dialSocket(t, m, k, c)
	say(t, ws, "before", "1")
	resume := st.hold(faults.BeforeRelease)
	reply := releasing(m, k, c, wire.ReleaseNow, time.Minute)
	st.reached(faults.BeforeRelease)
	_ = ws.Write(t.Context(), websocket.MessageText, []byte("after")) // the socket may be gone
	restarted(t, ws)
	resume()
	<-reply
	close(received)
	for msg := range received {
		if msg != "before" {
			t.Errorf("the message %q was delivered after the mark", msg)
		}
	}
}

// A message arrives while a release waits for a running event.
func TestControlMark(t *testing.T) {
	control(t, "messages", []faults.Protection{faults.Mark}, false, func(t *testing.T, m *testmesh.Mesh, tr *trace, with func(*stops) func(*host.Options)) {
		received, enter, leave := make(chan string, 100), make(chan struct{}), make(chan struct{})
		m.Start("one", func(_ context.Context, o *host.Object) (http.Handler, error) {
			r := &room{o: o, received: received}
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/hold" {
					close(enter)
					<-leave
					return
				}
				r.ServeHTTP(w, req)
			}), nil
		}, with(nil))
		k := key("1")
		c := m.Owner(k)
		ws := dialSocket(t, m, k, c)
		say(t, ws, "before", "1")
		held := m.LaterAt(k, c, "GET", "/hold")
		<-enter
		reply := releasing(m, k, c, wire.ReleaseNow, time.Minute)
		m.Until("the release has marked the object", func() bool { o, _ := m.ActiveOf(k); return o.State == "releasing" })
		_ = ws.Write(t.Context(), websocket.MessageText, []byte("after")) // the socket may be gone
		if _, got, err := ws.Read(t.Context()); err == nil {
			tr.breakI("messages", "one was delivered after the mark, and answered "+string(got))
		}
		close(leave)
		<-held
		<-reply
	})
}

func TestWebSocketEndsWithTheLease(t *testing.T) {
	t.Parallel()
	m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
	received := make(chan string, 100)
	h := m.Start("one", rooms(received), faulty(nil, st))
	k := key("1")
	ws := dialSocket(t, m, k, m.Owner(k))
	say(t, ws, "x", "1")
	defer st.hold(faults.BeforeRenew)()
	st.jump()
	poke(t, m, h.Addr)
	restarted(t, ws)
}

func TestWebSocketEndsWithADrain(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	h := m.Start("one", rooms(make(chan string, 100)))
	k := key("1")
	ws := dialSocket(t, m, k, m.Owner(k))
	say(t, ws, "x", "1")
	ended := make(chan error, 1)
	go func() { ended <- h.Stop() }()
	restarted(t, ws)
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

// A socket keeps its object from being let go for idleness.
func TestIdleObjectWithASocketStays(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", rooms(make(chan string, 100)), func(o *host.Options) { o.Idle = 30 * time.Millisecond })
	k := key("1")
	ws := dialSocket(t, m, k, m.Owner(k))
	time.Sleep(200 * time.Millisecond)
	say(t, ws, "x", "1")
	_ = ws.Close(websocket.StatusNormalClosure, "")
	m.Until("it is let go", func() bool { return !owned(m, k) })
}

// A library that takes the connection and writes its own 101, and a protocol that is no WebSocket.
func TestOtherUpgrades(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", func(context.Context, *host.Object) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n")
			_ = rw.Flush()
			fmt.Fprint(rw, "Upgrade: echo\r\n\r\n")
			_ = rw.Flush()
			for {
				line, err := rw.ReadString('\n')
				if err != nil {
					return
				}
				fmt.Fprint(rw, line)
				_ = rw.Flush()
			}
		}), nil
	})
	k := key("1")
	c := m.Owner(k)
	conn, err := net.Dial("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := m.Request(t.Context(), k, c, "GET", "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, r)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("upgrade: %v, %v", res, err)
	}
	for _, line := range []string{"a\n", "b\n"} {
		fmt.Fprint(conn, line)
		if got, err := br.ReadString('\n'); err != nil || got != line {
			t.Errorf("echo %q, %v", got, err)
		}
	}
	if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
		t.Errorf("release: %+v", r)
	}
	if _, err := br.ReadString('\n'); err == nil {
		t.Error("the connection outlived the release")
	}
}
