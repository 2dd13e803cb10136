package sim

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// What clients were told: I5, I6, I7.

// op is one request of a client.
type op struct {
	key        string
	gateway    string // name of its process
	write      bool
	picked     bool // an edge sends it itself
	id         string
	begin, end time.Time
	eras       [2]int // at begin and end
	done       bool
	failed     string // else
	full       bool   // because its host has no place for one object more
	a          answer

	attempts         int
	since            time.Time // inside its gateway, and not on its way to a host
	body             int64
	keptFrom, keptTo time.Time // its gateway kept the body, as is proved by sending it twice
}

// begin, end, lost and shed are a client's request: made, answered, of unknown outcome, given up unsent.
func (c *check) begin(p *process, k owners.Key, write bool, id string) *op {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &op{key: k.String(), gateway: p.name, write: write, id: id, begin: time.Now()}
	c.holds(o)
	o.eras[0] = c.era
	c.history.add("asked", k.String(), id, strconv.FormatBool(write))
	c.ops[k.String()] = append(c.ops[k.String()], o)
	return o
}

func (c *check) end(o *op, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held[o.gateway], o)
	o.done, o.a, o.end = true, a, time.Now()
	o.eras[1] = c.era
	c.history.add("answered", o.id, strconv.FormatInt(a.ver, 10), a.id)
	c.stats.OK++
}

func (c *check) lost(o *op, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held[o.gateway], o)
	o.failed, o.end = "outcome unknown: "+why, time.Now()
	c.history.add("unknown", o.id)
	c.stats.Unknown++
}

func (c *check) shed(o *op, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held[o.gateway], o)
	o.failed, o.end = "not sent: "+why, time.Now()
	o.full = strings.Contains(why, "Options.MaxActive")
	c.history.add("shed", o.id)
	c.stats.Shed++
	c.unsent[o.id] = true
	if _, ran := c.made[o.id]; ran {
		c.breaks("unsent", "%s: %s ran, and its client was told that it did not start", o.key, o.id)
	}
}

// calmed says that the faults have ended, perhaps while nobody may acquire.
func (c *check) calmed(holding bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calmAt = time.Now()
	c.bound = recoveryBound(holding)
}

// whole says that the answer and what it was made of belong to one life of the store.
func (o *op) whole() bool { return o.done && o.eras[0] == o.eras[1] && o.a.era == o.eras[0] }

// order is I6 for a register whose versions count: later requests see no lower
// version, and each write has a version of its own. Needs mu.
func (c *check) order(k string, list []*op) {
	var ops []*op
	for _, o := range list {
		if o.whole() {
			ops = append(ops, o)
		}
	}
	ends := append([]*op(nil), ops...)
	sort.Slice(ops, func(i, j int) bool { return ops[i].begin.Before(ops[j].begin) })
	sort.Slice(ends, func(i, j int) bool { return ends[i].end.Before(ends[j].end) })
	highest, n, written := map[int]int64{}, 0, map[string]string{}
	for _, o := range ops {
		for n < len(ends) && ends[n].end.Before(o.begin) {
			highest[ends[n].a.era] = max(highest[ends[n].a.era], ends[n].a.ver)
			n++
		}
		h := highest[o.a.era]
		if o.a.ver < h || o.write && o.a.ver == h && h > 0 {
			c.breaks("I6", "%s: version %d (write %v) asked at %s after %d was told", k, o.a.ver, o.write, o.begin.Format("15:04:05.000000"), h)
		}
		if o.write {
			at := fmt.Sprint(o.a.era, o.a.ver)
			if by, ok := written[at]; ok {
				c.breaks("I6", "%s: version %d is of %s and of %s", k, o.a.ver, by, o.id)
			}
			written[at] = o.id
		}
	}
}

// kept is I5: every acknowledged write is an ancestor of the state. Needs mu.
func (c *check) kept(k, id string, list []*op) {
	in := map[string]bool{}
	for ; id != "" && !in[id]; id = c.parent[id] {
		in[id] = true
	}
	for _, o := range list {
		if o.write && o.whole() && o.a.era == c.era && !in[o.id] {
			c.breaks("I5", "%s: the acknowledged write %s (version %d) of %s is not in the state", k, o.id, o.a.ver, o.begin.Format("15:04:05.000000"))
		}
	}
}

// recoveryBound is how long an object may be without an answer once the faults
// are over (ownership.md, I7). Of what stands in its way each began before
// that, so that they end beside each other:
//
//	its owner is dead                    lh(1+ρ), and two polls of lh/15, until it is declared so
//	its event waits for storage          lh: a call whose answer was lost ends by then (host.storageTimeout)
//	its release has to be sent again     lh/8 for the call that was lost, lh/4 for the longest pause
//
// After the longest of them come
//
//	somebody's next try                  250 ms, the longest jitter
//	activation                           activationTime
//	after the loss of all data           the hold, leases.max(1+ρ), and two polls, of a second: nobody is registered
func recoveryBound(holding bool) time.Duration {
	const retry = 250 * time.Millisecond
	bound := max(owners.WatchSpan(leaseMax)+2*leaseMax/15, leaseMax, leaseMax/8+leaseMax/4) + retry + activationTime
	if holding {
		const idlePoll = time.Second
		bound += owners.WatchSpan(leaseMax) + 2*idlePoll
	}
	return bound
}

// activationTime: a store call that began under the faults and times out
// (lh/8); confirm and claim with a replica that is 60 ms behind; the event; what
// nodes need to notice that they stand and reach again (20 ms each); ten round trips of 2 ms.
const activationTime = leaseMax/8 + 200*time.Millisecond

// recovery is I7. Where hosts are crowded an object may have to wait until
// another one is idle, which nobody bounds: then the owner's word that it is full
// comes in time, and the answer at all. Needs mu.
func (c *check) recovery(about map[string]string) {
	for i := range int64(objects) {
		k := object(i).String()
		first := c.firstAfter(k, func(o *op) bool { return o.done })
		c.stats.Recovery = max(c.stats.Recovery, first)
		word := first
		if full := c.firstAfter(k, func(o *op) bool { return o.full }); full >= 0 {
			word = min(word, full)
		}
		if first < 0 || word > c.bound {
			c.breaks("I7", "%s: first answer %v after the faults, bound %v; %s", k, first, c.bound, about[k])
		}
	}
}

// firstAfter is how long after the faults a request of an object ended so; -1 says never. Needs mu.
func (c *check) firstAfter(k string, so func(*op) bool) time.Duration {
	first := time.Duration(-1)
	for _, o := range c.ops[k] {
		if so(o) && o.end.After(c.calmAt) && (first < 0 || o.end.Sub(c.calmAt) < first) {
			first = o.end.Sub(c.calmAt)
		}
	}
	return first
}
