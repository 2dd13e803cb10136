package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/internal/e2e/history"
	"github.com/skewgate/skewgate/owners"
)

const (
	objects          = 8
	clientsPerObject = 2
	clientTimeout    = 4 * time.Second // more than a request may be held
	// recovery is how long an object may take to be served again. The design says
	// lease + 2 polls + a retry + an activation, 3 s here; the rest is for a machine
	// that is busy with something else. Each test logs what it took.
	recovery = 40 * time.Second
)

// load is clients that append to and read objects of their own through all
// gateways. Each goes to another gateway when one does not answer, as an edge would.
type load struct {
	t      *testing.T
	c      *cluster
	rec    *history.Recorder
	names  []string
	kind   kind
	client *http.Client
	// upgrader has no timeout: a socket may live for long.
	upgrader *http.Client
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu     sync.Mutex
	served map[string]time.Duration // by object: when the last acknowledged operation was called
	owner  map[string]string        // by object: the host that answered last
	strays map[string]int           // answers that nobody promised
	closes map[websocket.StatusCode]int
	oks    atomic.Int64
}

// kind says what the clients do.
type kind int

const (
	mixed        kind = iota // all of it
	fromStorage              // reads go to storage, never to memory
	sockets                  // each client has a socket
	socketsApart             // likewise, divided like readersApart
	readersApart             // half the clients read memory through the first gateway, half append through the second
)

// startLoad starts clients on objects that no other load knows, and waits until all are served.
func (c *cluster) startLoad(t *testing.T, k kind) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{
		t: t, c: c, rec: history.NewRecorder(), kind: k, cancel: cancel,
		client: &http.Client{
			Timeout: clientTimeout,
			Transport: &http.Transport{
				MaxIdleConnsPerHost: objects * clientsPerObject, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
			},
		},
		served: map[string]time.Duration{}, owner: map[string]string{}, strays: map[string]int{}, closes: map[websocket.StatusCode]int{},
	}
	l.upgrader = &http.Client{Transport: l.client.Transport}
	work := l.run
	if k == sockets || k == socketsApart {
		work = l.converse
	}
	prefix := rand.Uint32()
	for i := range objects {
		l.names = append(l.names, fmt.Sprintf("%08x-%d", prefix, i))
	}
	t.Cleanup(l.stop)
	for i, object := range l.names {
		for j := range clientsPerObject {
			l.wg.Go(func() { work(ctx, i*clientsPerObject+j, object) })
		}
	}
	l.servedAgain("every object is served")
	return l
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.client.CloseIdleConnections()
}

// run is one client.
func (l *load) run(ctx context.Context, client int, object string) {
	at := client
	for ctx.Err() == nil {
		value := 0
		if l.appends(client) {
			value = l.rec.Value()
		}
		op, reached := l.do(client, object, value, l.c.gateways[at%len(l.c.gateways)])
		if l.kind != readersApart && (!reached || rand.IntN(4) == 0) {
			at++
		}
		l.rec.Add(op)
		pause := 20*time.Millisecond + rand.N(30*time.Millisecond)
		if op.Outcome != history.OK {
			pause += 50 * time.Millisecond
		}
		time.Sleep(pause)
	}
}

// appends says whether the client's next operation is an append.
func (l *load) appends(client int) bool {
	if l.kind == readersApart || l.kind == socketsApart {
		return client%2 == 1
	}
	return rand.IntN(5) < 3
}

// do makes one operation. reached says that the gateway answered at all.
func (l *load) do(client int, object string, value int, gw *gateway) (op history.Op, reached bool) {
	op = history.Op{Client: client, Object: object, Value: value, Via: gw.Name, Call: l.rec.Now()}
	method, url := http.MethodGet, gw.url+"/lists/"+object+"/"
	switch {
	case value != 0:
		method, url = http.MethodPost, fmt.Sprintf("%sappend?v=%d", url, value)
	case l.kind == fromStorage || l.kind == mixed && rand.IntN(3) == 0:
		url += "?stored=1"
	}
	r, err := http.NewRequest(method, url, http.NoBody)
	if err != nil {
		l.t.Error(err)
		return op, false
	}
	resp, err := l.client.Do(r)
	var dial *net.OpError
	if err != nil {
		if errors.As(err, &dial) && dial.Op == "dial" {
			op.Outcome = history.Failed
		}
		return op, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	op.Return = l.rec.Now()
	if err != nil {
		return op, false
	}
	op.Via += "→" + resp.Header.Get("Served-By")
	op.Outcome = l.outcome(resp.StatusCode, body, &op.List)
	if op.Outcome == history.OK {
		l.answered(op, resp.Header.Get("Served-By"))
	}
	return op, true
}

// answered notes an acknowledged operation.
func (l *load) answered(op history.Op, by string) {
	l.oks.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served[op.Object] = max(l.served[op.Object], op.Call)
	l.owner[op.Object] = by
}

// refusals are the codes of errors that promise that nothing was executed
// (docs/errors.md); a failed append that shows up is a ghost.
var refusals = []string{"no_host", "owner_moving", "store_unavailable", "overloaded"}

// doubts are those that leave it open.
var doubts = []string{"stale_instance", "upstream_failed", "upstream_timeout"}

func (l *load) outcome(status int, body []byte, list *[]int) history.Outcome {
	if status == http.StatusOK && json.Unmarshal(body, list) == nil {
		return history.OK
	}
	var p struct{ Code string }
	_ = json.Unmarshal(body, &p) // not a problem document: no code
	switch {
	case slices.Contains(refusals, p.Code):
		return history.Failed
	case slices.Contains(doubts, p.Code), status == http.StatusInternalServerError: // the latter is the list's own
		return history.Unknown
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strays[fmt.Sprintf("%d %.120q", status, body)]++
	return history.Unknown
}

// servedAgain waits until every object has served an operation that began
// after this call, and gives how long that took.
func (l *load) servedAgain(what string) time.Duration {
	l.t.Helper()
	since := l.rec.Now()
	eventually(l.t, what, recovery, func() bool { return l.servedSince(since) })
	took := l.rec.Now() - since
	l.t.Logf("%s after %v", what, took.Round(10*time.Millisecond))
	return took
}

// servedSince says whether every object has served an operation that began after that time.
func (l *load) servedSince(since time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, object := range l.names {
		if at, ok := l.served[object]; !ok || at < since {
			return false
		}
	}
	return true
}

// goOn lets the clients work for n more acknowledged operations.
func (l *load) goOn(n int64) {
	l.t.Helper()
	from := l.oks.Load()
	eventually(l.t, fmt.Sprintf("%d more operations are acknowledged", n), recovery, func() bool { return l.oks.Load() >= from+n })
}

// busiest gives the host by library that serves the most objects.
func (l *load) busiest() *objectHost {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[string]int{}
	for _, name := range l.owner {
		n[name]++
	}
	best := l.c.hosts[0]
	for _, h := range l.c.hosts {
		if h.upstream == nil && n[h.Name] > n[best.Name] {
			best = h
		}
	}
	l.t.Logf("%s serves %d of %d objects", best.Name, n[best.Name], len(l.names))
	return best
}

// involve makes sure that a host serves an object of this load: which ones do is the hash's choice.
func (l *load) involve(h *objectHost) *objectHost {
	l.t.Helper()
	serves := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Contains(slices.Collect(maps.Values(l.owner)), h.Name)
	}
	if serves() {
		return h
	}
	k := owners.Key{Class: "List", ID: l.names[0]}
	eventually(l.t, k.String()+" is moved to "+h.Name, recovery, func() bool {
		_, err := l.c.api().MoveObject(l.t.Context(), k, admin.ObjectMove{Host: h.Name, Now: true})
		return err == nil
	})
	eventually(l.t, h.Name+" serves an object", recovery, serves)
	return h
}

// outcomes counts what was not acknowledged so far.
func (l *load) outcomes() (refused, doubtful int) {
	for _, op := range l.rec.Ops() {
		switch op.Outcome {
		case history.Failed:
			refused++
		case history.Unknown:
			doubtful++
		case history.OK:
		}
	}
	return refused, doubtful
}

// judge ends the load, reads every object from storage a last time, and gives
// what the history shows.
func (l *load) judge() history.Report {
	l.t.Helper()
	l.stop()
	for i, object := range l.names {
		eventually(l.t, "the last reading of "+object, recovery, func() bool {
			l.kind = fromStorage // nobody else reads it now
			op, _ := l.do(1000+i, object, 0, l.c.gateways[rand.IntN(len(l.c.gateways))])
			if op.Outcome == history.OK {
				l.rec.Add(op)
			}
			return op.Outcome == history.OK
		})
	}
	for stray, n := range l.strays {
		l.t.Errorf("%d answers that no table of ours has: %s", n, stray)
	}
	r := history.Check(l.rec.Ops(), 30*time.Second)
	if r.OK < 100 {
		l.t.Errorf("%d acknowledged operations prove little", r.OK)
	}
	return r
}

// clean judges, and wants nothing wrong.
func (l *load) clean() {
	l.t.Helper()
	r := l.judge()
	if !r.Clean() {
		l.t.Errorf("%v", r)
		return
	}
	l.t.Log(r)
}
