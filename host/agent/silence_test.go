package agent_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// upstreamThat runs an agent before an upstream of a test.
func upstreamThat(t *testing.T, limit time.Duration, serve http.HandlerFunc) (*testmesh.Mesh, *upstream) {
	t.Helper()
	m := testmesh.New(t, testmesh.Embedded(t))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			serve(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	u := &upstream{addr: strings.TrimPrefix(srv.URL, "http://"), storage: addr(t)}
	startAgent(m, "one", u, func(o *agent.Options) { o.ResponseTimeout = limit })
	return m, u
}

// An upstream that hangs does not hold its object for ever, and what it stores afterwards is refused.
func TestUpstreamThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	events, hang := make(chan string, 10), make(chan struct{})
	m, u := upstreamThat(t, 2*time.Second, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hang") {
			events <- r.Header.Get(wire.HeaderEvent)
			<-hang
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	defer close(hang)
	k := key("1")
	queued := make(chan testmesh.Answer, 1)
	first := m.Later(k, "POST", "/hang")
	event := <-events
	go func() { queued <- m.Must(k, "POST", "/", "after it", 200) }()
	if a := <-first; a.Status != http.StatusGatewayTimeout || a.Code() != "upstream_timeout" || !strings.Contains(a.Body, "2s (--response-timeout)") {
		t.Errorf("status %d %s, want 504 upstream_timeout", a.Status, a.Body)
	}
	if a := <-queued; a.Body != "after it" {
		t.Errorf("the next event: %q", a.Body)
	}
	api{t, u.storage, event}.want("PUT", "/v1/storage/k", "late", 409, "stale_instance")
	// An upstream that does not even read: the body is larger than all buffers between.
	// A client that still writes when the connection ends may not get to read the
	// answer that is there (Go's waits 50 ms for it), so it asks again.
	var a testmesh.Answer
	err := errors.New("not asked")
	for try := 0; err != nil && try < 10; try++ {
		a, err = m.Do(t.Context(), k, "POST", "/hang", strings.Repeat("x", 16<<20))
	}
	if err != nil || a.Status != http.StatusGatewayTimeout || a.Code() != "upstream_timeout" {
		t.Errorf("a body that nobody reads: %d %s, %v", a.Status, a.Body, err)
	}
}

// Neither a slow client, nor an answer that takes its time once begun, nor a socket is silence.
func TestWhatIsNoSilence(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	m, _ := upstreamThat(t, limit, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(2 * limit)
			fmt.Fprint(w, "done")
		case "/socket":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n")
			line, _ := rw.ReadString('\n')
			fmt.Fprint(conn, line)
		default:
			_, _ = io.Copy(w, r.Body)
		}
	})
	k := key("1")
	c := m.Owner(k)
	body, feed := io.Pipe()
	go func() {
		_, _ = feed.Write([]byte("slow"))
		time.Sleep(2 * limit)
		_, _ = feed.Write([]byte(" client"))
		feed.Close()
	}()
	if a, _, err := m.Send(m.Request(t.Context(), k, c, "POST", "/", body)); err != nil || a.Body != "slow client" {
		t.Errorf("a slow client: %d %s %v", a.Status, a.Body, err)
	}
	if a := m.Must(k, "GET", "/slow", "", 200); a.Body != "done" {
		t.Errorf("a slow answer: %s", a.Body)
	}
	conn, err := net.Dial("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := m.Request(t.Context(), k, c, "GET", "/socket", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "other")
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, r)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %+v, %v", res, err)
	}
	time.Sleep(2 * limit)
	fmt.Fprintln(conn, "still there")
	if line, err := in.ReadString('\n'); line != "still there\n" {
		t.Errorf("a quiet socket: %q, %v", line, err)
	}
}
