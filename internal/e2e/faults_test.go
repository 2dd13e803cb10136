package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// TestMeshSurvivesKills runs two gateways, one control and three hosts on a
// real Redis, kills one of each without warning, and holds clients' answers
// against what was acknowledged: every cart's revision only grows, by one with
// each acknowledged write of its single writer.
func TestMeshSurvivesKills(t *testing.T) {
	redis := "redis://" + testenv.Redis(t)
	m := newMesh(t, redis)
	if _, stderr, code := run(t, "store", "init", "--store", m.store); code != 0 {
		t.Fatalf("store init: exit %d\n%s", code, stderr)
	}
	control := m.startControl()
	gwA := m.startGateway("gw-a", m.gwA, m.gwAAdmin)
	m.startGateway("gw-b", m.gwB, m.gwBAdmin)
	m.startHost("v1", "host-a", testenv.Port(t))
	hostB := m.startHost("v1", "host-b", testenv.Port(t))
	a, b := fmt.Sprintf("http://127.0.0.1:%d", m.gwA), fmt.Sprintf("http://127.0.0.1:%d", m.gwB)
	for _, gw := range []string{a, b} {
		eventually(t, "first answer of "+gw, func() bool { return status(gw+"/carts/first") == http.StatusOK })
	}

	load := newLoad(t, b, a)
	load.settle(200)

	t.Log("kill gateway A")
	gwA.Kill()
	load.settle(200)
	if n := load.failed.Load(); n != 0 {
		t.Errorf("%d requests failed although each client has a living gateway to go to: %v", n, load.lastError())
	}

	t.Log("kill control")
	control.Kill()
	load.settle(200)
	if n := load.failed.Load(); n != 0 {
		t.Errorf("%d requests failed when control was killed: %v", n, load.lastError())
	}

	t.Log("start a host while there is no control, kill another")
	m.startHost("v1", "host-c", testenv.Port(t))
	hostB.Kill()
	failedBefore := load.failed.Load()
	killed := time.Now()
	eventually(t, "every cart to be served after a host's death", func() bool { return load.allServed(killed) })
	t.Logf("%d requests of unknown outcome or unserved when a host was killed; all were served after %v (lease %s)",
		load.failed.Load()-failedBefore, time.Since(killed).Round(100*time.Millisecond), lease)

	m.startControl()
	failedBefore = load.failed.Load()
	load.settle(200)
	if n := load.failed.Load() - failedBefore; n != 0 {
		t.Errorf("%d requests failed after everything was back: %v", n, load.lastError())
	}
	load.stop()
	if load.lost.Load() != 0 {
		t.Errorf("%d acknowledged writes are missing from later answers", load.lost.Load())
	}
}

// TestAgentHost puts a host in no language of ours, plain HTTP that knows
// nothing of skewgate, behind `skewgate agent`, and kills the agent.
func TestAgentHost(t *testing.T) {
	m := newMesh(t, "redis://"+testenv.Redis(t))
	if _, stderr, code := run(t, "store", "init", "--store", m.store); code != 0 {
		t.Fatalf("store init: exit %d\n%s", code, stderr)
	}
	m.startControl()
	m.startGateway("gw", m.gwA, m.gwAAdmin)
	var running, most atomic.Int32 // events of one object at a time, over both upstreams
	agents := map[string]*testenv.Process{}
	for _, name := range []string{"one", "two"} {
		l := testenv.Listen(t)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(2 * time.Millisecond)
			fmt.Fprintf(w, "%s %s", name, r.Header.Get("Skewgate-Object"))
		})}
		go func() { _ = srv.Serve(l) }()
		t.Cleanup(func() { srv.Close() })
		agents[name] = start(t, "skewgate", "agent", "--app", "legacy", "--version", "v1", "--class", "Counter",
			"--upstream", "http://"+l.Addr().String(), "--listen", fmt.Sprintf("127.0.0.1:%d", testenv.Port(t)),
			"--name", name, "--storage", "", "--store", m.store, "--lease", lease, "--secret-file", m.secret)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/counters/7", m.gwA)
	var owner string
	eventually(t, "an answer through an agent", func() bool {
		body, code := get(url)
		owner, _, _ = strings.Cut(body, " ")
		return code == http.StatusOK && strings.HasSuffix(body, " Counter/7")
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if body, code := get(url); code != http.StatusOK || !strings.HasPrefix(body, owner+" ") {
				t.Errorf("%d %q; the object belongs to %s", code, body, owner)
			}
		})
	}
	all.Wait()
	if n := most.Load(); n != 1 {
		t.Errorf("%d events of one object ran at a time", n)
	}
	agents[owner].Kill()
	eventually(t, "the other agent to take the object over", func() bool {
		body, code := get(url)
		return code == http.StatusOK && !strings.HasPrefix(body, owner+" ")
	})
}

func get(url string) (string, int) {
	resp, err := http.Get(url)
	if err != nil {
		return err.Error(), 0
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return string(data), resp.StatusCode
}

// load is writers, each with a cart of its own, that try one gateway and, if
// it cannot be reached, the other.
type load struct {
	t        *testing.T
	gateways []string
	stopped  context.CancelFunc
	done     sync.WaitGroup

	ok, failed, lost atomic.Int64
	mu               sync.Mutex
	served           []time.Time // by cart: last success
	last             error
}

const carts = 40

func newLoad(t *testing.T, gateways ...string) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, gateways: gateways, stopped: cancel, served: make([]time.Time, carts)}
	for i := range carts {
		l.done.Go(func() { l.write(ctx, i) })
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() { l.stopped(); l.done.Wait() }

func (l *load) write(ctx context.Context, cart int) {
	var acknowledged int64
	for ctx.Err() == nil {
		revision, err := l.add(cart)
		if err != nil {
			l.failed.Add(1)
			l.mu.Lock()
			l.last = err
			l.mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if revision <= acknowledged {
			l.lost.Add(1)
		}
		acknowledged = revision
		l.ok.Add(1)
		l.mu.Lock()
		l.served[cart] = time.Now()
		l.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

// add puts an item in; a gateway that refuses the connection has not seen the request.
func (l *load) add(cart int) (int64, error) {
	var err error
	for i := range l.gateways {
		gw := l.gateways[(cart+i)%len(l.gateways)]
		var resp *http.Response
		resp, err = http.Post(fmt.Sprintf("%s/carts/c%d/items", gw, cart), "application/json",
			strings.NewReader(`{"sku":"tea","quantity":1,"priceCents":1}`))
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			data, _ := io.ReadAll(resp.Body)
			return 0, fmt.Errorf("HTTP %d: %s", resp.StatusCode, data)
		}
		return revisionOf(resp.Body)
	}
	return 0, err
}

func revisionOf(r io.Reader) (int64, error) {
	var c struct{ Revision int64 }
	err := json.NewDecoder(r).Decode(&c)
	return c.Revision, err
}

// settle waits for n more successes.
func (l *load) settle(n int64) {
	l.t.Helper()
	from := l.ok.Load()
	eventually(l.t, fmt.Sprintf("%d more answers", n), func() bool { return l.ok.Load() >= from+n })
}

// allServed says that every cart was served after since.
func (l *load) allServed(since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.served {
		if at.Before(since) {
			return false
		}
	}
	return true
}

func (l *load) lastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
