package sim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// What the gateways do with requests, seen from where requests enter them and
// where attempts leave them: I4, I8, and that what is called unsent did not run.

// moved is what an object's pin went through, for I4.
type moved struct{ at []time.Time }

// during counts moves that fall between two times, both included.
func (m *moved) during(from, to time.Time) int {
	if m == nil {
		return 0
	}
	first, _ := slices.BinarySearchFunc(m.at, from, time.Time.Compare)
	n := first
	for n < len(m.at) && !m.at[n].After(to) {
		n++
	}
	return n - first
}

// sends says that an attempt at a host begins: the request is held no more.
func (c *check) sends(o *op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.attempts++
	c.stats.Attempts++
	if o.attempts > 1 {
		c.stats.Resends++
		if o.body > 0 { // it was kept until now, else it could not be sent again
			o.keptTo = time.Now()
		}
	}
	delete(c.held[o.gateway], o)
}

// returns says that an attempt came to nothing and the request is held again.
func (c *check) returns(o *op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds(o)
}

// holds says that a request is inside its gateway, to be sent. Needs mu.
func (c *check) holds(o *op) {
	o.since = time.Now()
	if c.held[o.gateway] == nil {
		c.held[o.gateway] = map[*op]bool{}
	}
	c.held[o.gateway][o] = true
}

// keeps says that a gateway has read n bytes of a request's body.
func (c *check) keeps(o *op, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && o.body == 0 {
		o.body, o.keptFrom = n, time.Now()
	}
}

// watchHeld counts held requests, which are those that were inside their
// gateway for the whole time since the look before: who is there for a moment only, computes.
func (c *check) watchHeld() {
	const every = 5 * time.Millisecond
	for before := time.Now(); !c.w.over.Load(); before = time.Now() {
		time.Sleep(every)
		c.mu.Lock()
		for g, ops := range c.held {
			n := map[string]int{}
			for o := range ops {
				if o.since.Before(before) {
					n[o.key]++
				}
			}
			for _, k := range slices.Sorted(maps.Keys(n)) {
				c.stats.Held = max(c.stats.Held, n[k])
				if n[k] > c.w.c.heldPerObject() {
					c.breaks("I8", "%s: %d requests are held at %s, %d may be", k, n[k], g, c.w.c.heldPerObject())
				}
			}
		}
		c.mu.Unlock()
	}
}

// heldBytes is I8 for bodies: one that was sent twice was kept in between, and
// those of one gateway that were kept at one time are within its bound. Needs mu.
func (c *check) heldBytes() {
	type edge struct {
		at time.Time
		n  int64
	}
	edges := map[string][]edge{}
	for _, list := range c.ops {
		for _, o := range list {
			if !o.keptTo.IsZero() {
				edges[o.gateway] = append(edges[o.gateway], edge{o.keptFrom, o.body}, edge{o.keptTo, -o.body})
			}
		}
	}
	for _, g := range slices.Sorted(maps.Keys(edges)) {
		list, sum := edges[g], int64(0)
		slices.SortFunc(list, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.n, b.n)) })
		for _, e := range list {
			sum += e.n
			c.stats.HeldBytes = max(c.stats.HeldBytes, sum)
			if sum > c.w.c.heldBytes() {
				c.breaks("I8", "%s keeps %d bytes of bodies, %d may be kept", g, sum, c.w.c.heldBytes())
				break
			}
		}
	}
}

// emptied is the rest of I8: a gateway that nobody asks holds nothing. metrics are by name, summed.
func (c *check) emptied(g *proxy) {
	for _, p := range g.runs {
		families, err := p.metrics.Gather()
		if err != nil {
			panic(err) // a fault of ours
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if strings.HasPrefix(f.GetName(), "skewgate_held_") && m.GetGauge().GetValue() != 0 {
					c.breaks("I8", "%s: %s is %v when nobody asks", p.name, f.GetName(), m.GetGauge().GetValue())
				}
			}
		}
	}
}

// planned is I4, where nothing happens but what operators do: every request is
// answered, after at most one resend for each move that it meets, and one for
// moves before it that its gateway has not heard of. Needs mu.
func (c *check) planned() {
	if !c.w.c.planned() {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(c.ops)) {
		for _, o := range c.ops[k] {
			switch {
			case o.picked: // an edge sends it, which may be refused
			case !o.done:
				c.breaks("I4", "%s: %s of %s failed, and nothing happened but planned moves: %s", k, o.id, o.begin.Format("15:04:05.000000"), o.failed)
			case o.attempts-1 > 1+c.moves[k].during(o.begin, o.end):
				c.breaks("I4", "%s: %s of %s was sent %d times and met %d moves", k, o.id, o.begin.Format("15:04:05.000000"), o.attempts, c.moves[k].during(o.begin, o.end))
			}
		}
	}
}
