package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
)

// check is the record of what happened, in the order of simulated time, with
// the invariants of starts and of storage checked while it is written and
// those of answers at the end (ownership.md §8).
type check struct {
	w        *world
	refusals atomic.Int64

	mu      sync.Mutex
	era     int // times that the store lost everything
	highest map[string]int64
	running map[string][]*running
	minted  map[string]map[int64]mint
	given   map[grant]bool
	user    map[string]map[int64]string // who used a token
	lapsed  map[string]time.Time        // sessions, and when they did
	fences  map[string]storage.Fence    // highest that storage accepted and answered
	made    map[string]string           // of a value that is to be written: the one it was made of
	parent  map[string]string           // of a written value: the one it replaced
	ops     map[string][]*op
	unsent  map[string]bool         // requests of which their client was told that they did not start
	held    map[string]map[*op]bool // by gateway: requests that are inside of it
	moves   map[string]*moved       // by object
	history *history
	calmAt  time.Time
	bound   time.Duration // for the first answer after calmAt
	broken  map[string][]string
	stats   Stats
}

type running struct {
	i     *instance
	sid   string
	token int64
}

// A grant is a token that the store made for a session.
type grant struct {
	object, sid string
	token       int64
}

type mint struct {
	sid     string
	planned bool // the owner before had released
}

func newCheck(w *world) *check {
	return &check{
		w: w, highest: map[string]int64{}, running: map[string][]*running{}, minted: map[string]map[int64]mint{},
		given: map[grant]bool{}, user: map[string]map[int64]string{}, lapsed: map[string]time.Time{}, fences: map[string]storage.Fence{}, made: map[string]string{}, parent: map[string]string{},
		ops: map[string][]*op{}, unsent: map[string]bool{}, held: map[string]map[*op]bool{}, moves: map[string]*moved{}, history: newHistory(w.c.History), broken: map[string][]string{},
		stats: Stats{Faults: map[string]int{}},
	}
}

// breaks notes a violation. Needs mu.
func (c *check) breaks(invariant, msg string, args ...any) {
	text := fmt.Sprintf(msg, args...)
	c.history.add("broken", invariant, text)
	c.broken[invariant] = append(c.broken[invariant], time.Now().Format("15:04:05.000000 ")+text)
	if c.w.c.Until[invariant] {
		c.w.enough.Do(func() { close(c.w.done) })
	}
}

// record takes what a living host tells.
func (c *check) record(i *instance, r faults.Record) {
	state := ""
	if r.Kind == faults.Start {
		state = c.w.store.state(r.Session) // before the lock: a script holds the store's lock when it comes here
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.add(string(r.Kind), i.m.name, r.Object, c.history.session(r.Session), strconv.FormatInt(r.Token, 10), r.Reason)
	switch r.Kind {
	case faults.Start:
		c.start(i, r, state)
	case faults.End:
		list := c.running[r.Object]
		for n, x := range list {
			if x.i == i && x.token == r.Token && x.sid == r.Session {
				c.running[r.Object] = append(list[:n:n], list[n+1:]...)
				break
			}
		}
	case faults.Lapsed:
		c.lapsed[r.Session] = time.Now()
	}
}

func (c *check) start(i *instance, r faults.Record, state string) {
	c.stats.Events++
	if r.Token < c.highest[r.Object] {
		c.breaks("I1a", "%s starts under %d at %s after one under %d", r.Object, r.Token, i.m.name, c.highest[r.Object])
	}
	c.highest[r.Object] = max(c.highest[r.Object], r.Token)
	for _, x := range c.running[r.Object] {
		if x.token < r.Token && !x.i.node.isDead() && c.lapsed[x.sid].IsZero() && c.minted[r.Object][r.Token].planned {
			c.breaks("I1b", "%s starts under %d at %s while an event under %d runs at %s", r.Object, r.Token, i.m.name, x.token, x.i.m.name)
		}
	}
	if owners.SessionState(state).Final() {
		c.breaks("I1c", "%s starts under %d at %s whose session is %s", r.Object, r.Token, i.m.name, state)
	}
	if !c.given[grant{r.Object, r.Session, r.Token}] {
		c.breaks("I3", "%s starts under %d at %s, and the store never gave that token to its session", r.Object, r.Token, i.m.name)
	}
	if c.user[r.Object] == nil {
		c.user[r.Object] = map[int64]string{}
	}
	if by, ok := c.user[r.Object][r.Token]; ok && by != r.Session {
		c.breaks("I3", "%s: token %d is used by two sessions", r.Object, r.Token)
	}
	c.user[r.Object][r.Token] = r.Session
	c.running[r.Object] = append(c.running[r.Object], &running{i, r.Session, r.Token})
}

// left sees an event's answer leave its host: never after the session lapsed.
func (c *check) left(k, sid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.lapsed[sid]; !at.IsZero() && at.Before(time.Now()) {
		c.breaks("output", "%s: an answer leaves %v after its session lapsed", k, time.Since(at))
	}
}

func (c *check) crashed(i *instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault("crash", i.m.name)
	for o, list := range c.running {
		var left []*running
		for _, x := range list {
			if x.i != i {
				left = append(left, x)
			}
		}
		c.running[o] = left
	}
}

// pinWritten sees every write of a pin: fields and values as they were, and as they become.
func (c *check) pinWritten(key string, before, after []string) {
	was, is := pairs(before), pairs(after)
	o := strings.TrimPrefix(key, "{p0}:pin:")
	token, _ := strconv.ParseInt(is["t"], 10, 64)
	c.mu.Lock()
	defer c.mu.Unlock()
	if is["s"] == "r" || is["s"] == "o" && was["s"] == "o" { // released, or taken over from a session that is over
		if c.moves[o] == nil {
			c.moves[o] = &moved{}
		}
		c.moves[o].at = append(c.moves[o].at, time.Now())
	}
	if is["s"] != "o" {
		return
	}
	if c.minted[o] == nil {
		c.minted[o] = map[int64]mint{}
	}
	if m, ok := c.minted[o][token]; ok && m.sid != is["i"] {
		c.stats.Duplicates++
	}
	c.history.add("owned", o, c.history.session(is["i"]), is["t"])
	m := mint{sid: is["i"], planned: was["s"] == "r"}
	c.minted[o][token] = m
	c.given[grant{o, is["i"], token}] = true
	c.stats.Mints++
	if m.planned {
		c.stats.Moves++
	}
}

// valueWritten sees every accepted write of a value: it must be made of the value that it replaces.
func (c *check) valueWritten(key string, before, after []string) {
	_, old, _ := strings.Cut(pairs(before)["v"], " ")
	_, id, _ := strings.Cut(pairs(after)["v"], " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.add("value", key, old, id)
	if c.made[id] != old {
		c.breaks("I2", "%s: %s was made of %q and replaced %q", key, id, c.made[id], old)
	}
	if _, twice := c.parent[id]; twice {
		c.breaks("I2", "%s: %s was written twice", key, id)
	}
	c.parent[id] = old
}

// fence is the highest under which an access was answered so far.
func (c *check) fence(o string) storage.Fence {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fences[o]
}

// accessed is I2 as hosts see it: an access that began when another fence had
// been answered is accepted under that one or a higher one.
func (c *check) accessed(o string, before, f storage.Fence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.add("accepted", o, strconv.FormatInt(f.Token, 10), strconv.FormatInt(f.N, 10))
	if older(f, before) {
		c.breaks("I2", "%s: an access under (%d, %d) is accepted after (%d, %d)", o, f.Token, f.N, before.Token, before.N)
	}
	if older(c.fences[o], f) {
		c.fences[o] = f
	}
}

func older(a, b storage.Fence) bool { return a.Token < b.Token || a.Token == b.Token && a.N < b.N }

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

func (c *check) attempt(k owners.Key, id, of string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran(k.String(), id)
	c.made[id] = of
}

// ran says that a request's handler runs. Needs mu.
func (c *check) ran(k, id string) {
	if c.unsent[id] {
		c.breaks("unsent", "%s: %s runs, and its client was told that it did not start", k, id)
	}
}

func (c *check) eraNow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.era
}

// flushed says that the store loses everything now.
func (c *check) flushed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.era++
}

// fault counts a fault. Needs mu.
func (c *check) fault(kind, where string) {
	c.history.add("fault", kind, where)
	c.stats.Faults[kind]++
}

// faulted notes one fault.
func (c *check) faulted(kind, where string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault(kind, where)
}

// result checks the answers and gives everything.
func (c *check) result() Result {
	last, about := map[string]string{}, map[string]string{}
	for i := range int64(objects) { // before the lock: a script holds the store's lock when it comes here
		k := object(i).String()
		_, last[k], _ = strings.Cut(c.w.store.mini.HGet("{p0}:kv:"+k, "v"), " ")
		about[k] = c.w.store.describe(k)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(c.ops)) {
		c.order(k, c.ops[k])
	}
	c.heldBytes()
	if c.w.quiet.Load() { // not when the first violation ended the run
		c.planned()
		for _, g := range c.w.gateways {
			c.emptied(g)
		}
		for _, k := range slices.Sorted(maps.Keys(c.ops)) {
			c.kept(k, last[k], c.ops[k])
		}
		c.recovery(about)
	}
	c.stats.Records, c.stats.Hash = c.history.records, c.history.sum()
	c.stats.Refused = int(c.refusals.Load())
	return Result{c.stats, c.broken}
}
