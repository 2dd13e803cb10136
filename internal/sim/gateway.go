package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// A proxy is the machine of one gateway.Gateway, with its store, its watcher
// and its clients. The gateway reaches hosts through the proxy's Do (network.go).
type proxy struct {
	*node
	w      *world
	id     int
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	runs  []*process // the last one is who serves; the others finish what they have
	asked int

	repeats atomic.Int64
}

// A process is one gateway from its start to its end.
type process struct {
	*gateway.Gateway
	name    string
	metrics *prometheus.Registry
	store   *owners.Store
	watcher *owners.Watcher
	ended   context.CancelFunc // of its watcher
}

func newProxy(w *world, id int) *proxy {
	return &proxy{w: w, id: id, node: newNode(w, "gateway"+strconv.Itoa(id), uint64(10+id))}
}

func (g *proxy) start() {
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.restart()
	if g.w.c.Weak.TTL || g.w.c.Weak.NoHold {
		g.w.wg.Go(g.weakWatch)
	}
	g.w.wg.Go(g.control)
	g.w.wg.Go(g.clients)
}

// restart puts a process in the old one's place that knows nothing yet, as
// soon as it reaches the store; the old one watches no more, and ends what it has.
func (g *proxy) restart() {
	store := g.w.open(g.node)
	if store == nil {
		return
	}
	watcher := owners.NewWatcher(store, "gw"+strconv.Itoa(g.id), nil)
	reg := prometheus.NewRegistry()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.w.over.Load() {
		_ = store.Close()
		return
	}
	ctx, ended := context.WithCancel(g.ctx)
	if len(g.runs) > 0 {
		g.runs[len(g.runs)-1].ended()
	}
	p := &process{
		name: fmt.Sprintf("%s.%d", g.name, len(g.runs)), metrics: reg, store: store, watcher: watcher, ended: ended,
		Gateway: gateway.New(gateway.Options{ID: g.name, Store: store, Watcher: watcher, Signer: g.w.signer, Hosts: g, Registry: reg}),
	}
	p.SetTable(g.table(watcher))
	g.runs = append(g.runs, p)
	g.w.wg.Go(func() { _ = watcher.Run(ctx) })
}

func (g *proxy) serving() *process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.runs[len(g.runs)-1]
}

func (g *proxy) stop() {
	g.cancel()
	g.set(func(n *node) { n.dead = true })
	over, cancel := context.WithCancel(context.Background())
	cancel()
	g.mu.Lock()
	runs := g.runs
	g.mu.Unlock()
	for _, p := range runs {
		_ = p.store.Close()
		_ = p.Drain(over) // what is left hangs on a world that is over
	}
}

// control tells the gateway of hosts, mostly of some only and sometimes of
// those that are gone: a table is a hint, and safety must not depend on
// placement. By the hash alone a released object would go back to its host.
func (g *proxy) control() {
	for !g.w.over.Load() {
		time.Sleep(g.span(50*time.Millisecond, 400*time.Millisecond))
		g.stand()
		p := g.serving()
		p.SetTable(g.table(p.watcher))
	}
}

func (g *proxy) table(watcher *owners.Watcher) *routing.Table {
	spec := routing.Spec{Apps: []routing.App{{Name: "shop"}}, Classes: []routing.Class{{
		Name: "Cart", App: "shop", Mode: routing.ModeOwn, Routes: []string{"/carts/{id}"},
		Limits: routing.Limits{HoldFor: holdFor, HeldPerObject: g.w.c.heldPerObject(), HeldBytes: g.w.c.heldBytes()},
	}}}
	if g.w.c.Weak.NoCaps {
		spec.Classes[0].Limits.HeldPerObject, spec.Classes[0].Limits.HeldBytes = 1<<20, 1<<40
	}
	all, _ := watcher.Snapshot()
	for _, s := range byName(all) {
		if !g.w.calm.Load() && g.num(2) == 0 {
			continue
		}
		spec.Hosts = append(spec.Hosts, routing.Host{
			Session: s.ID, Name: s.Name, Addr: s.Addr, App: s.App, Version: s.Version, Classes: s.Classes,
			Draining: s.State == owners.Draining, Ready: s.Ready, Cordoned: s.Wanted != owners.WantedNone,
		})
	}
	t, err := routing.NewTable(spec)
	if err != nil {
		panic(err) // made of constants and of hosts that the store accepted
	}
	return t
}

func object(i int64) owners.Key { return owners.Key{Class: "Cart", ID: strconv.FormatInt(i, 10)} }

// clients ask for objects, each of which has quiet spells so that idle release happens.
func (g *proxy) clients() {
	for !g.w.over.Load() && !g.w.quiet.Load() {
		if g.w.calm.Load() {
			time.Sleep(80 * time.Millisecond) // nothing but the recovery is left to see
		}
		time.Sleep(g.span(time.Millisecond, g.w.c.gap()))
		g.stand()
		k := g.num(objects)
		if g.num(40) == 0 { // an edge that picks reads the pin anew
			forgotten := object(g.num(objects))
			g.w.wg.Go(func() { g.pick(forgotten, g.next()) })
		}
		if g.w.calm.Load() || (time.Now().Unix()/2+k)%4 != 0 {
			id, write := g.next(), float64(g.num(1000)) < 1000*g.w.c.Writes
			g.w.wg.Go(func() { g.ask(object(k), write, id) })
		}
		if g.one("forge", 100) {
			g.forge(object(k))
		}
	}
}

// next names a request.
func (g *proxy) next() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return fmt.Sprintf("%d-%d", g.id, g.asked)
}

type opKey struct{}

// ask is one client request at the gateway.
func (g *proxy) ask(k owners.Key, write bool, id string) {
	p := g.serving()
	o := g.w.check.begin(p, k, write, id)
	r := httptest.NewRequest(http.MethodGet, "/carts/"+k.ID+"?id="+id, nil)
	if write {
		body := strings.Repeat("x", int(g.num(bodyMax)))
		r = httptest.NewRequest(http.MethodPost, "/carts/"+k.ID+"?id="+id, strings.NewReader(body))
	}
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, r.WithContext(context.WithValue(context.Background(), opKey{}, o)))
	g.told(o, read(rec.Code, rec.Header(), rec.Body.String()))
}

// pick is a request that an edge sends to the gate itself, where the gateway says.
func (g *proxy) pick(k owners.Key, id string) {
	run := g.serving()
	o := g.w.check.begin(run, k, false, id)
	o.picked = true
	r := httptest.NewRequest(http.MethodGet, "/carts/"+k.ID+"?id="+id, nil)
	p, err := run.Pick(context.Background(), r, gateway.PickOptions{Refuse: "307", Fresh: true})
	if err != nil {
		g.told(o, answer{kind: unsent})
		return
	}
	g.w.check.sends(o)
	r.URL.Path = "/"
	for name, v := range p.Header {
		r.Header[name] = v
	}
	a := g.deliver(context.Background(), r, p.Target.Addr)
	if a.kind == answered {
		a = read(a.status, a.header, a.body)
	}
	g.told(o, a)
}

func (g *proxy) told(o *op, a answer) {
	switch a.kind {
	case answered:
		g.w.check.end(o, a)
	case unsent:
		g.w.check.shed(o, a.why)
	default:
		g.w.check.lost(o, a.why)
	}
}

type answerKind int

const (
	answered answerKind = iota
	unsent              // it did not start, as far as whoever says so knows
	unknown
)

type answer struct {
	kind   answerKind
	status int // as it came over the network
	header http.Header
	body   string
	ver    int64 // as the object said
	id     string
	era    int
	why    string // there is no answer
}

// read makes of a response what its client learns of it.
func read(status int, h http.Header, body string) answer {
	if h.Get(wire.HeaderRefusal) != "" {
		return answer{kind: unsent}
	}
	f := strings.Split(body, " ")
	if status == http.StatusOK && len(f) == 3 {
		a := answer{kind: answered, id: f[1]}
		a.ver, _ = strconv.ParseInt(f[0], 10, 64)
		a.era, _ = strconv.Atoi(f[2])
		return a
	}
	var p struct {
		Code   wire.Code
		Detail string
	}
	if json.Unmarshal([]byte(body), &p) == nil {
		switch p.Code {
		case wire.NoHost, wire.OwnerMoving, wire.Overloaded, wire.StoreUnavailable:
			return answer{kind: unsent, why: p.Detail}
		}
	}
	return answer{kind: unknown, why: p.Detail}
}
