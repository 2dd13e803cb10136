package host_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(parts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range parts {
		if !strings.Contains(l.b.String(), p) {
			return false
		}
	}
	return true
}

func (l *lines) into(o *host.Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }

// explosive panics when it is told to.
type explosive struct{ http.Handler }

func (e explosive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/panic":
		panic("thrown by a test")
	case "/socket":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n")
		}
		panic("thrown by a test") // and nobody closes conn
	}
	e.Handler.ServeHTTP(w, r)
}

func TestActivateThatPanics(t *testing.T) {
	t.Parallel()
	m, log := testmesh.New(t, testmesh.Embedded(t)), &lines{}
	var calls atomic.Int32
	activate := counting("one", nil)
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		if o.Key() == key("1") && calls.Add(1) == 1 {
			panic("thrown by a test")
		}
		return activate(ctx, o)
	}, log.into)
	c := m.Owner(key("1"))
	if a, _ := attempt(t, m, key("1"), c); a.Status != http.StatusBadGateway || a.Code() != "upstream_failed" || strings.Contains(a.Body, "thrown") {
		t.Errorf("status %d %s, want 502 upstream_failed without what was thrown", a.Status, a.Body)
	}
	if !log.has("Cart/1", "thrown by a test", "panic_test.go") {
		t.Errorf("the log has no stack: %s", log.b.String())
	}
	if a, _ := attempt(t, m, key("1"), c); a.Status != 200 || a.Body != "1" {
		t.Errorf("the next event: status %d %s, want a new activation", a.Status, a.Body)
	}
}

// fragile panics when its activation ends.
type fragile struct{ http.Handler }

func (fragile) Close() error { panic("thrown by a test") }

func TestCloseThatPanics(t *testing.T) {
	t.Parallel()
	m, log := testmesh.New(t, testmesh.Embedded(t)), &lines{}
	activate := counting("one", nil)
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		v, err := activate(ctx, o)
		return fragile{v}, err
	}, log.into)
	for want := 1; want <= 2; want++ {
		if a := m.Must(key("1"), "POST", "/add", "", 200); a.Body != strconv.Itoa(want) {
			t.Errorf("count %s, want %d", a.Body, want)
		}
		if r := m.Release(key("1"), wire.ReleaseNow, time.Minute); !r.Released {
			t.Errorf("release: %+v", r)
		}
	}
	if !log.has("Cart/1", "thrown by a test", "panic_test.go") {
		t.Errorf("the log has no stack: %s", log.b.String())
	}
}

// A handler that panics costs its own connection, as in net/http, and no more.
func TestHandlerThatPanics(t *testing.T) {
	t.Parallel()
	m, log := testmesh.New(t, testmesh.Embedded(t)), &lines{}
	activate := counting("one", nil)
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		v, err := activate(ctx, o)
		return explosive{v}, err
	}, log.into)
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	if a, _, err := m.Send(m.Request(t.Context(), k, c, "POST", "/panic", http.NoBody)); err == nil {
		t.Errorf("status %d %s, want a connection that ends", a.Status, a.Body)
	}
	if !log.has("thrown by a test", "panic_test.go") {
		t.Errorf("the log has no stack: %s", log.b.String())
	}
	r := m.Request(t.Context(), k, c, "GET", "/socket", http.NoBody)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "other")
	res, err := m.Client.Transport.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v", err)
	}
	defer res.Body.Close()
	if n, err := res.Body.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes on a socket whose handler panicked, want its end", n)
	}
	m.Until("nothing runs", func() bool { a, _ := m.ActiveOf(k); return a.Sockets == 0 && a.InFlight == 0 })
	if a, _ := attempt(t, m, k, c); a.Body != "2" {
		t.Errorf("the next event: %d %s, want count 2", a.Status, a.Body)
	}
}

func TestGRPCHandlerThatPanics(t *testing.T) {
	t.Parallel()
	explode := func(t *testing.T, m *testmesh.Mesh, addr string, log *lines) {
		k := key("1")
		c := m.Owner(k)
		conn := dial(t, addr)
		if _, err := add(stamped(t.Context(), m, k, c), conn, "panic"); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "thrown") {
			t.Errorf("unary: %v, want INTERNAL", err)
		}
		s, err := conn.NewStream(stamped(t.Context(), m, k, c), &counterService.Streams[0], "/test.Counter/Chat")
		if err != nil {
			t.Fatal(err)
		}
		chat := &grpc.GenericClientStream[text, text]{ClientStream: s}
		if err := chat.Send(wrapperspb.String("panic")); err != nil {
			t.Fatal(err)
		}
		if _, err := chat.Recv(); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "thrown") {
			t.Errorf("stream: %v, want INTERNAL", err)
		}
		if !log.has("Cart/1", "thrown by a test", "grpc_test.go") {
			t.Errorf("the log has no stack: %s", log.b.String())
		}
		if got, err := add(stamped(t.Context(), m, k, c), conn, ""); err != nil || got != "1" {
			t.Errorf("the next event: %q, %v", got, err)
		}
	}
	t.Run("behind the host's gate", func(t *testing.T) {
		t.Parallel()
		m, log := testmesh.New(t, testmesh.Embedded(t)), &lines{}
		h := startGRPC(m, "one", nil, log.into)
		explode(t, m, h.Addr, log)
	})
	t.Run("on a server of one's own", func(t *testing.T) {
		t.Parallel()
		m, log := testmesh.New(t, testmesh.Embedded(t)), &lines{}
		o := m.Options("one")
		log.into(&o)
		addr := serveBeside(t, m, o)
		explode(t, m, addr, log)
	})
}
