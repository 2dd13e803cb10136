package host_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// pinFormat writes the format of a pin's record.
func pinFormat(m *testmesh.Mesh, k owners.Key, format string) {
	m.T.Helper()
	name := m.Store.Prefix() + "pin:" + k.String()
	if n, err := m.Store.Redis().Exists(m.T.Context(), name).Result(); err != nil || n != 1 {
		m.T.Fatalf("there is no %s: %v", name, err)
	}
	if err := m.Store.Redis().HSet(m.T.Context(), name, "f", format).Err(); err != nil {
		m.T.Fatal(err)
	}
}

// A pin that a newer skewgate has written is not guessed at: nothing starts under it, and it is not given back by
// who cannot read it. Once it can be read again, the host goes on.
func TestPinOfANewerSkewgate(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		m.Start("one", counting("one", nil))
		k := key("1")
		c := m.Owner(k)
		pinFormat(m, k, "2")
		if a, r := attempt(t, m, k, c); r.Reason != wire.ReasonStale {
			t.Errorf("under a pin of a newer version: %d %s, %+v; want stale", a.Status, a.Body, r)
		}
		pinFormat(m, k, "1")
		m.Until("it is served", func() bool { a, _ := attempt(t, m, k, c); return a.Status == 200 && a.Body == "1" })
		pinFormat(m, k, "2")
		reply := releasing(m, k, c, wire.ReleaseNow, time.Minute)
		select {
		case r := <-reply:
			t.Errorf("released what it cannot read: %+v", r)
		case <-time.After(300 * time.Millisecond):
		}
		pinFormat(m, k, "1")
		if r := <-reply; !r.Released || owned(m, k) {
			t.Errorf("release after it: %+v", r)
		}
	})
}

// Scripts that are flushed while a host runs cost it nothing but to send them again.
func TestScriptsAreFlushedWhileItRuns(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, "redis://"+testenv.Redis(t))
	m.Start("one", counting("one", nil))
	m.Start("two", counting("two", nil))
	k := key("1")
	flush := func() {
		t.Helper()
		if err := m.Store.Redis().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i <= 10; i++ {
		flush() // before acquire, confirm, claim and write
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != strconv.Itoa(i) {
			t.Fatalf("count %s, want %d", a.Body, i)
		}
		flush() // before a read, and the release
		m.Must(k, "GET", "/", "", 200)
		if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
			t.Fatalf("release %d: %+v", i, r)
		}
		m.Forget(k)
	}
}

// A gRPC call on a server of one's own that no gateway has stamped, or stamped otherwise, does not run.
func TestGRPCStampsThatNoGatewayMade(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	addr := serveBeside(t, m, m.Options("one"))
	k := key("1")
	c := m.Owner(k)
	conn := dial(t, addr)
	now := time.Now()
	signed := func(md metadata.MD, sid string, token int64, by *wire.Signer, at time.Time) {
		md.Set(wire.HeaderAuth, by.Sign(k.String(), sid, token, at))
	}
	for name, x := range map[string]struct {
		reason string
		spoil  func(metadata.MD)
	}{
		"no signature": {"auth", func(md metadata.MD) { md.Delete(wire.HeaderAuth) }},
		"another secret": {"auth", func(md metadata.MD) {
			signed(md, c.SID, c.Token, wire.NewSigner([]byte("another secret, of 30 bytes...")), now)
		}},
		"long ago":          {"auth", func(md metadata.MD) { signed(md, c.SID, c.Token, m.Signer, now.Add(-time.Hour)) }},
		"a negative token":  {"auth", func(md metadata.MD) { md.Set(wire.HeaderToken, "-5"); signed(md, c.SID, -5, m.Signer, now) }},
		"no number":         {"auth", func(md metadata.MD) { md.Set(wire.HeaderToken, "12ab") }},
		"beyond the store":  {"auth", func(md metadata.MD) { md.Set(wire.HeaderToken, itoa(1<<53)); signed(md, c.SID, 1<<53, m.Signer, now) }},
		"the token twice":   {"auth", func(md metadata.MD) { md.Append(wire.HeaderToken, "1") }},
		"the session twice": {"auth", func(md metadata.MD) { md.Append(wire.HeaderSession, c.SID) }},
		"another session": {"session", func(md metadata.MD) {
			sid := owners.NewSID()
			md.Set(wire.HeaderSession, sid)
			signed(md, sid, c.Token, m.Signer, now)
		}},
		"the far future": {"stale", func(md metadata.MD) {
			md.Set(wire.HeaderToken, itoa(c.Token+1<<50))
			signed(md, c.SID, c.Token+1<<50, m.Signer, now)
		}},
	} {
		md, _ := metadata.FromOutgoingContext(stamped(t.Context(), m, k, c))
		x.spoil(md)
		for _, method := range []string{"/test.Counter/Add", "/test.Counter/Chat"} {
			var trailer metadata.MD
			err := refusedCall(metadata.NewOutgoingContext(t.Context(), md), conn, method, &trailer)
			if status.Code(err) != codes.Unavailable || !strings.HasPrefix(fmt.Sprint(trailer.Get(wire.HeaderRefusal)), "[reason="+x.reason) {
				t.Errorf("%s to %s: %v with %v; want UNAVAILABLE, reason=%s", name, method, err, trailer, x.reason)
			}
		}
	}
	m.Until("the real one is served, once", func() bool {
		got, err := add(stamped(t.Context(), m, k, c), conn, "")
		return err == nil && got == "1"
	})
}

// refusedCall calls a method, a stream or not, and gives how it ended.
func refusedCall(ctx context.Context, conn *grpc.ClientConn, method string, trailer *metadata.MD) error {
	if method == "/test.Counter/Add" {
		_, err := add(ctx, conn, "", grpc.Trailer(trailer))
		return err
	}
	s, err := conn.NewStream(ctx, &counterService.Streams[0], method)
	if err != nil {
		return err
	}
	err = s.RecvMsg(new(text))
	*trailer = s.Trailer()
	return err
}
