package sim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// A node is a machine: it can be paused, cut off from the store or from
// everything, and has a clock of its own.
type node struct {
	w     *world
	name  string
	mu    sync.Mutex
	rnd   *rand.Rand
	base  time.Time
	rate  float64
	dead  bool      // crashed: for ever
	pause time.Time // until
	part  time.Time // no store until
	cut   time.Time // no network until
}

func newNode(w *world, name string, id uint64) *node {
	n := &node{w: w, name: name, rnd: rand.New(rand.NewPCG(w.c.Seed, id)), base: time.Now(), rate: 1}
	if w.c.has("drift") {
		n.rate += (n.rnd.Float64() - .5) * 1e-3 // within the bound that the protocol assumes between two clocks
	}
	return n
}

// clock is the node's boot-time clock.
func (n *node) clock() time.Duration {
	return time.Hour + time.Duration(float64(time.Since(n.base))*n.rate)
}

// num draws from the node's own numbers.
func (n *node) num(max int64) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rnd.Int64N(max)
}

func (n *node) span(min, max time.Duration) time.Duration {
	return min + time.Duration(n.num(int64(max-min)))
}

// one says yes once in so many times, while there are faults of that class.
func (n *node) one(fault string, in int64) bool {
	return n.w.c.has(fault) && !n.w.calm.Load() && n.num(max(1, in/max(1, n.w.c.Rate))) == 0
}

// stand waits while the node is paused.
func (n *node) stand() {
	for {
		n.mu.Lock()
		d := time.Until(n.pause)
		n.mu.Unlock()
		if d <= 0 || n.w.calm.Load() {
			return
		}
		time.Sleep(min(d, 20*time.Millisecond))
	}
}

// travel waits until a message is there; none is late when the faults are over.
func (n *node) travel(until time.Time) {
	for d := time.Until(until); d > 0; d = time.Until(until) {
		if n.w.calm.Load() {
			d = min(d, time.Millisecond)
			until = time.Now().Add(d)
		}
		time.Sleep(min(d, 20*time.Millisecond))
	}
}

// reaches says whether the node's messages get anywhere, and to the store.
func (n *node) reaches() (network, store bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead {
		return false, false
	}
	if n.w.calm.Load() {
		return true, true
	}
	now := time.Now()
	network = !now.Before(n.cut)
	return network, network && !now.Before(n.part)
}

func (n *node) isDead() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dead
}

// delay is how long one message takes.
func (n *node) delay() time.Duration {
	d := n.span(50*time.Microsecond, time.Millisecond)
	if n.one("delays", 300) {
		n.w.check.faulted("late-message", n.name)
		d += n.span(0, 1500*time.Millisecond)
		if n.num(4) == 0 { // longer than any timeout: it arrives when nobody expects it any more
			d += n.span(0, 5*time.Second)
		}
	}
	return d
}

func (n *node) set(f func(n *node)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}
