package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// A gateway keeps pins in memory without a lease, and asks again after a
// refusal; it follows the rules of package gateway, without its limits. It has
// a watcher and clients.
type gateway struct {
	*node
	w       *world
	id      int
	store   *owners.Store
	watcher *owners.Watcher
	ctx     context.Context
	cancel  context.CancelFunc

	mu    sync.Mutex
	cache map[owners.Key]route
	floor map[owners.Key]int64
	busy  map[owners.Key]chan struct{} // a resolve is under way
	probe map[owners.Key]chan struct{} // one request tries, the others wait behind it
	held  map[owners.Key]int           // requests that wait
	asked int

	repeats atomic.Int64
}

type route struct {
	addr, sid string
	token     int64
}

func newGateway(w *world, id int) *gateway {
	return &gateway{
		w: w, id: id, node: newNode(w, "gateway"+strconv.Itoa(id), uint64(10+id)),
		cache: map[owners.Key]route{}, floor: map[owners.Key]int64{}, busy: map[owners.Key]chan struct{}{},
		probe: map[owners.Key]chan struct{}{}, held: map[owners.Key]int{},
	}
}

func (g *gateway) start() {
	g.store = g.w.open(g.node)
	g.watcher = owners.NewWatcher(g.store, "gw"+strconv.Itoa(g.id), nil)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.w.wg.Go(func() { _ = g.watcher.Run(g.ctx) })
	if g.w.c.Weak.TTL || g.w.c.Weak.NoHold {
		g.w.wg.Go(g.weakWatch)
	}
	g.w.wg.Go(g.clients)
}

func (g *gateway) stop() {
	g.cancel()
	g.set(func(n *node) { n.dead = true })
	_ = g.store.Close()
}

func object(i int64) owners.Key { return owners.Key{Class: "Cart", ID: strconv.FormatInt(i, 10)} }

// clients ask for objects, each of which has quiet spells so that idle release happens.
func (g *gateway) clients() {
	for !g.w.over.Load() && !g.w.quiet.Load() {
		if g.w.calm.Load() {
			time.Sleep(80 * time.Millisecond) // nothing but the recovery is left to see
		}
		time.Sleep(g.span(time.Millisecond, g.w.c.gap()))
		g.stand()
		k := g.num(objects)
		if g.num(40) == 0 { // any pin may be forgotten at any time
			g.mu.Lock()
			delete(g.cache, object(g.num(objects)))
			g.mu.Unlock()
		}
		if g.w.calm.Load() || (time.Now().Unix()/2+k)%4 != 0 {
			g.mu.Lock()
			g.asked++
			id := fmt.Sprintf("%d-%d", g.id, g.asked)
			g.mu.Unlock()
			write := float64(g.num(1000)) < 1000*g.w.c.Writes
			g.w.wg.Go(func() { g.ask(object(k), write, id) })
		}
		if g.one("forge", 100) {
			g.forge(object(k))
		}
	}
}

// ask is one client request. After its second refusal it probes, or waits behind the one that does.
func (g *gateway) ask(k owners.Key, write bool, id string) {
	op := g.w.check.begin(k, write, id)
	deadline := time.Now().Add(holdFor)
	var mine chan struct{}
	defer func() { g.probed(k, mine) }()
	for tries := 0; time.Now().Before(deadline) && !g.w.over.Load(); tries++ {
		r, err := g.resolve(k)
		if err == nil {
			a := g.send(k, r, write, id)
			switch a.kind {
			case answered:
				g.w.check.end(op, a)
				return
			case unknown:
				g.w.check.lost(op)
				return
			}
			g.refused(k, r, a.token)
			g.w.check.refusals.Add(1)
			if tries == 0 {
				continue
			}
		}
		if tries == 1 {
			if !g.hold(k) {
				break
			}
			defer g.unhold(k)
		}
		mine = g.behind(k, mine)
		d := 45 * time.Millisecond
		if tries > 8 {
			d = 245 * time.Millisecond
		}
		time.Sleep(5*time.Millisecond + g.span(0, d))
	}
	g.w.check.shed(op)
}

// hold counts a request that waits; no means that too many do.
func (g *gateway) hold(k owners.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held[k] >= heldPerObject {
		return false
	}
	g.held[k]++
	return true
}

func (g *gateway) unhold(k owners.Key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[k]--
}

// behind makes the request the one that probes, or waits until that one knows.
func (g *gateway) behind(k owners.Key, mine chan struct{}) chan struct{} {
	g.mu.Lock()
	other := g.probe[k]
	if other == nil && mine == nil {
		mine = make(chan struct{})
		g.probe[k] = mine
	}
	g.mu.Unlock()
	if mine == nil {
		select {
		case <-other:
		case <-time.After(holdFor / 10):
		}
	}
	return mine
}

func (g *gateway) probed(k owners.Key, mine chan struct{}) {
	if mine == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.probe, k)
	close(mine)
}

func (g *gateway) refused(k owners.Key, r route, token int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.floor[k] = max(g.floor[k], token, r.token)
	if g.cache[k] == r {
		delete(g.cache, k)
	}
}

// resolve finds the owner; one of the requests of an object asks the store.
func (g *gateway) resolve(k owners.Key) (route, error) {
	g.mu.Lock()
	for {
		if r, ok := g.cache[k]; ok {
			g.mu.Unlock()
			return r, nil
		}
		wait := g.busy[k]
		if wait == nil {
			break
		}
		g.mu.Unlock()
		<-wait
		g.mu.Lock()
	}
	done := make(chan struct{})
	g.busy[k] = done
	floor := g.floor[k]
	g.mu.Unlock()
	r, err := g.lookUp(k, floor)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.busy, k)
	close(done)
	if err == nil {
		g.cache[k] = r
		g.floor[k] = max(g.floor[k], r.token)
	}
	return r, err
}

var errNobody = errors.New("nobody owns it yet")

func (g *gateway) lookUp(k owners.Key, floor int64) (route, error) {
	pin, sess, found, err := g.store.Pin(g.ctx, k)
	if err != nil {
		return route{}, err
	}
	if pin.State == owners.Owned && !found {
		g.watcher.Suspect(pin.SID)
		return route{}, errNobody
	}
	if pin.State != owners.Owned || sess.State.Final() {
		target, ok := g.place(pin.SID)
		if !ok {
			return route{}, errNobody
		}
		got, _, err := g.store.Acquire(g.ctx, owners.Acquire{Key: k, Expect: pin, SID: target.ID, Floor: floor})
		if err != nil {
			return route{}, err
		}
		if got.State != owners.Owned || got.SID != target.ID {
			return route{}, errNobody
		}
		pin, sess = got, target
	}
	return route{sess.Addr, pin.SID, pin.Token}, nil
}

// place chooses any host, mostly not the last one: safety must not depend on placement.
func (g *gateway) place(last string) (owners.Session, bool) {
	all, _ := g.watcher.Snapshot()
	may := g.takes(all, last)
	if len(may) == 0 { // the watcher is late
		all, _ = g.store.Sessions(g.ctx)
		may = g.takes(all, last)
	}
	if len(may) == 0 {
		return owners.Session{}, false
	}
	slices.SortFunc(may, func(a, b owners.Session) int { return strings.Compare(a.Name+a.Addr+a.ID, b.Name+b.Addr+b.ID) })
	return may[g.num(int64(len(may)))], true
}

func (g *gateway) takes(all []owners.Session, last string) (may []owners.Session) {
	for _, s := range all {
		if s.State == owners.Live && s.Ready && s.Wanted == owners.WantedNone && (s.ID != last || g.num(3) == 0) {
			may = append(may, s)
		}
	}
	return may
}

type answerKind int

const (
	answered answerKind = iota
	refusal
	unknown
)

type answer struct {
	kind  answerKind
	token int64
	ver   int64
	id    string
	era   int
}

// send makes one attempt. A pause may fall between the look at the cache and the sending.
func (g *gateway) send(k owners.Key, r route, write bool, id string) answer {
	g.stand()
	method := http.MethodGet
	if write {
		method = http.MethodPost
	}
	if g.one("repeats", 60) { // somebody in between sends it again, later
		g.w.check.faulted("repeated-request", g.name)
		// Each copy has a name of its own: several attempts at one request may be repeated.
		again := g.request(k, r, method, fmt.Sprintf("http://%s/?id=%sagain%d", r.addr, id, g.repeats.Add(1)))
		g.w.later(g.span(0, 3*time.Second), func() { g.deliver(again, r.addr) })
	}
	return g.deliver(g.request(k, r, method, "http://"+r.addr+"/?id="+id), r.addr)
}

func (g *gateway) request(k owners.Key, r route, method, url string) *http.Request {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err) // made of constants
	}
	h := req.Header
	h.Set(wire.HeaderObject, k.String())
	h.Set(wire.HeaderSession, r.sid)
	h.Set(wire.HeaderToken, strconv.FormatInt(r.token, 10))
	h.Set(wire.HeaderAuth, g.w.signer.Sign(k.String(), r.sid, r.token, time.Now()))
	h.Set(wire.HeaderRefuse, "421")
	return req
}

// deliver carries a request to whoever listens at addr, and its answer back.
func (g *gateway) deliver(req *http.Request, addr string) answer {
	if ok, _ := g.reaches(); !ok {
		time.Sleep(200 * time.Millisecond)
		return answer{kind: refusal} // could not be connected: nothing was sent
	}
	time.Sleep(g.delay())
	i := g.w.at(addr)
	if i == nil {
		time.Sleep(g.span(0, 200*time.Millisecond))
		return answer{kind: refusal}
	}
	if ok, _ := i.node.reaches(); !ok {
		time.Sleep(200 * time.Millisecond)
		return answer{kind: refusal}
	}
	got := make(chan answer, 1)
	ctx, cancel := context.WithCancel(context.Background())
	g.w.wg.Go(func() {
		defer cancel()
		i.node.stand()
		rec := i.serve(req.WithContext(ctx))
		time.Sleep(i.node.delay())
		i.node.stand()
		here, _ := g.reaches()
		there, _ := i.node.reaches()
		if !here || !there {
			return
		}
		if i.node.one("drops", 300) {
			g.w.check.faulted("lost-answer", i.m.name)
			return
		}
		got <- read(rec.Code, rec.Header(), rec.Body.String())
	})
	timeout := time.NewTimer(sendLimit)
	defer timeout.Stop()
	select {
	case a := <-got:
		g.stand()
		return a
	case <-timeout.C:
		cancel() // the connection is closed
		return answer{kind: unknown}
	}
}

func read(status int, h http.Header, body string) answer {
	if v := h.Get(wire.HeaderRefusal); v != "" {
		r, err := wire.ParseRefusal(v)
		if err != nil {
			panic(err)
		}
		return answer{kind: refusal, token: r.Token}
	}
	f := strings.Split(body, " ")
	if status != http.StatusOK || len(f) != 3 {
		return answer{kind: unknown}
	}
	a := answer{kind: answered, id: f[1]}
	a.ver, _ = strconv.ParseInt(f[0], 10, 64)
	a.era, _ = strconv.Atoi(f[2])
	return a
}

// forge sends a token from the far future, as a request and as a release.
func (g *gateway) forge(k owners.Key) {
	g.mu.Lock()
	r, ok := g.cache[k]
	g.mu.Unlock()
	if !ok {
		return
	}
	g.w.check.faulted("forged-token", g.name)
	r.token = time.Now().AddDate(10, 0, 0).UnixMicro()
	g.w.wg.Go(func() { g.send(k, r, false, "forged") })
	g.w.wg.Go(func() { g.release(k, r, wire.ReleaseNow, time.Second) })
}

// release is what a mover sends.
func (g *gateway) release(k owners.Key, r route, mode string, deadline time.Duration) {
	req := g.request(k, r, http.MethodPost, "http://"+r.addr+wire.PathRelease)
	body := releaseBody(k, r, mode, deadline)
	req.Body, req.ContentLength = body, -1
	g.deliver(req, r.addr)
}

// openAtOnce lets everybody acquire although old leases may stand.
func (g *gateway) openAtOnce() {
	switch e, err := g.store.Epoch(g.ctx); {
	case err != nil:
	case e.ID == "":
		_, _ = g.store.BeginEpoch(g.ctx)
	case !e.Open:
		_, _ = g.store.OpenEpoch(g.ctx, e.ID)
	}
}

// weakWatch is what a watcher must not do.
func (g *gateway) weakWatch() {
	for !g.w.over.Load() {
		time.Sleep(50 * time.Millisecond)
		if g.w.c.Weak.NoHold {
			g.openAtOnce()
		}
		if !g.w.c.Weak.TTL {
			continue
		}
		all, _ := g.watcher.Snapshot()
		for _, s := range all {
			seen, _ := strconv.ParseInt(g.w.store.mini.HGet("{p0}:sess:"+s.ID, "seen"), 10, 64)
			if !s.State.Final() && g.w.store.now().Sub(time.UnixMicro(seen)) > s.Lease {
				_, _ = g.store.Dead(g.ctx, s.ID, s.Nonce)
			}
		}
	}
}
