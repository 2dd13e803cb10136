package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/internal/testenv"
)

// TestDurableObjectsAreRolledOver has the real workerd behind `skewgate agent`,
// behind two `skewgate serve` gateways: a Durable Object class in two versions,
// rolled out step by step, rolled back while the old version's processes still
// have their old instances in memory, and rolled out again until the old processes are terminated. Every
// object counts on by one, whoever runs it, by requests and by sockets; no request fails.
func TestDurableObjectsAreRolledOver(t *testing.T) {
	m := newMesh(t, "redis://"+testenv.Redis(t))
	if _, stderr, code := run(t, "store", "init", "--store", m.store); code != 0 {
		t.Fatalf("store init: exit %d\n%s", code, stderr)
	}
	m.startControl()
	m.startGateway("gw-a", m.gwA, m.gwAAdmin)
	m.startGateway("gw-b", m.gwB, m.gwBAdmin)
	old := []*testenv.Process{m.startWorkerd("v1", "one"), m.startWorkerd("v1", "two")}
	for _, port := range []int{m.gwA, m.gwB} {
		gw := fmt.Sprintf("http://127.0.0.1:%d", port)
		eventually(t, "first answer of "+gw, func() bool { return status(gw+"/carts/first/") == http.StatusOK })
	}
	l := startCounters(t, m.gwA, m.gwB)
	l.counted(10, "v1")

	m.startWorkerd("v2", "three")
	m.startWorkerd("v2", "four")
	m.rollOut("v2", "--from", "v1", "--steps", "50,100")
	l.counted(10, "v2")
	m.rollOut("v1", "--steps", "50,100")
	l.counted(10, "v1")
	m.rollOut("v2", "--steps", "100")
	for _, agent := range old {
		agent.Signal(syscall.SIGTERM)
		<-agent.Ended()
	}
	l.counted(10, "v2")
	l.stop()
}

// startWorkerd starts workerd with the class of the agent's own tests, and its agent, which it gives.
func (m *mesh) startWorkerd(version, name string) *testenv.Process {
	m.t.Helper()
	workerd, err := filepath.Abs("../../.tools/workerd/workerd")
	if err == nil {
		_, err = os.Stat(workerd)
	}
	if err != nil {
		m.t.Fatalf("workerd is not there: run tools/workerd.sh (%v)", err)
	}
	addr := func() string { return fmt.Sprintf("127.0.0.1:%d", testenv.Port(m.t)) }
	upstream, storage := addr(), addr()
	testenv.StartProcess(m.t, "workerd "+name, []string{"VERSION=" + version}, workerd, "serve", "../../host/agent/testdata/workerd/config.capnp",
		"--socket-addr", "http="+upstream, "--external-addr", "storage="+storage)
	return start(m.t, "skewgate", "agent", "--app", "shop", "--version", version, "--class", "Cart", "--upstream", "http://"+upstream,
		"--listen", addr(), "--name", name, "--storage", storage, "--store", m.store, "--lease", lease, "--secret-file", m.secret,
		"--health", "/healthz", "--drain", "20s")
}

// rollOut rolls the app out to a version and waits until it is done.
func (m *mesh) rollOut(to string, args ...string) {
	m.t.Helper()
	api := []string{"--admin", fmt.Sprintf("http://127.0.0.1:%d", m.controlAdmin)}
	var last string
	eventually(m.t, "a rollout to "+to+" starts", func() bool { // its hosts may not be ready yet
		args := append([]string{"rollout", "start", "shop", "--to", to, "--move", "drain", "--move-rate", "1000/s"}, append(args, api...)...)
		stdout, stderr, code := run(m.t, args...)
		if said := stdout + stderr; said != last {
			m.t.Logf("%s: exit %d\n%s", strings.Join(args, " "), code, said)
			last = said
		}
		return code == 0
	})
	for range 3 { // run gives up after a minute
		stdout, stderr, code := run(m.t, append([]string{"rollout", "status", "shop", "--wait"}, api...)...)
		if code == 0 {
			return
		}
		m.t.Logf("rollout to %s: exit %d\n%s%s", to, code, stdout, stderr)
	}
	m.t.Fatalf("the rollout to %s did not complete", to)
}

// counters are clients with an object each, half of them by requests, half by a
// socket. What they are told must be one more than the last time.
type counters struct {
	t        *testing.T
	gateways []int
	stop     func()

	mu    sync.Mutex
	count []int    // by object: acknowledged
	by    []string // by object: the version that answered last
}

const counted = 12

func startCounters(t *testing.T, gateways ...int) *counters {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	l := &counters{t: t, gateways: gateways, count: make([]int, counted), by: make([]string, counted)}
	l.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(l.stop)
	for i := range counted {
		client := l.byRequests
		if i%2 == 1 {
			client = l.bySocket
		}
		wg.Go(func() { client(ctx, i) })
	}
	return l
}

// url is one of the gateways', in turn.
func (l *counters) url(scheme string, object, turn int, path string) string {
	return fmt.Sprintf("%s://127.0.0.1:%d/carts/counter-%d/%s", scheme, l.gateways[turn%len(l.gateways)], object, path)
}

// answered notes an answer, which must be the next number, or one of those after it
// when there were operations before of unknown outcome.
func (l *counters) answered(object, n int, version string, unknown int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.count[object]; n <= last || n > last+1+unknown {
		l.t.Errorf("object %d counts %d at %s after %d", object, n, version, last)
	}
	l.count[object], l.by[object] = n, version
}

// counted waits until every object has counted on by n at a version.
func (l *counters) counted(n int, version string) {
	l.t.Helper()
	l.mu.Lock()
	from := append([]int(nil), l.count...)
	l.mu.Unlock()
	eventually(l.t, fmt.Sprintf("every object has counted on by %d at %s", n, version), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, c := range l.count {
			if c < from[i]+n || l.by[i] != version {
				return false
			}
		}
		return true
	})
}

func (l *counters) byRequests(ctx context.Context, object int) {
	client := http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for turn := 0; ctx.Err() == nil; turn++ {
		resp, err := client.Post(l.url("http", object, turn, "add"), "", http.NoBody)
		if err != nil {
			l.t.Errorf("object %d: %v", object, err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		n, bad := strconv.Atoi(string(body))
		if err := errors.Join(err, bad); err != nil || resp.StatusCode != http.StatusOK {
			l.t.Errorf("object %d: HTTP %d %.300s %v", object, resp.StatusCode, body, err)
			return
		}
		l.answered(object, n, strings.TrimPrefix(resp.Header.Get("Served-By"), "workerd "), 0)
		time.Sleep(15 * time.Millisecond)
	}
}

// bySocket comes again when its socket was closed with 1012, and with nothing else.
func (l *counters) bySocket(ctx context.Context, object int) {
	unknown := 0
	for turn := 0; ctx.Err() == nil; turn++ {
		conn, _, err := websocket.Dial(ctx, l.url("ws", object, turn, "ws"), nil)
		if err != nil {
			if ctx.Err() == nil {
				l.t.Errorf("object %d: %v", object, err)
			}
			return
		}
		for err == nil && ctx.Err() == nil {
			if err = l.say(conn, object, unknown); err != nil {
				unknown++
			} else {
				unknown = 0
			}
			time.Sleep(15 * time.Millisecond)
		}
		if code := websocket.CloseStatus(err); err != nil && code != websocket.StatusServiceRestart {
			l.t.Errorf("the socket of object %d ended with %v", object, err)
			return
		}
		conn.CloseNow()
	}
}

// say counts on by one, after so many messages that may have done so without an answer.
func (l *counters) say(conn *websocket.Conn, object, unknown int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte("add")); err != nil {
		return err
	}
	_, answer, err := conn.Read(ctx)
	if err != nil {
		return err
	}
	version, number, _ := strings.Cut(string(answer), ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("answer %q: %w", answer, err)
	}
	l.answered(object, n, version, unknown)
	return nil
}
