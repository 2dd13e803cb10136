package gateway

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// Target is where a request goes: an address and, for an owned object, the pin
// that says so.
type Target struct {
	Addr    string
	SID     string // "" where nothing is pinned
	Token   int64
	Version string // of the class's app; "" when not known
	Host    string // stable name
}

// pinShards spreads the cache over locks.
const pinShards = 64

// pins caches where objects are. Any entry may be evicted at any time: the
// store knows, and the gate decides.
type pins struct {
	seed   maphash.Seed
	max    int // entries per shard
	shards [pinShards]pinShard
}

type pinShard struct {
	mu sync.RWMutex
	m  map[owners.Key]*pinEntry
}

// pinEntry is what is known of one object.
type pinEntry struct {
	target atomic.Pointer[Target] // nil: not known

	mu     sync.Mutex
	read   time.Time // when the store last said who owns it
	lost   *Target   // the last owner, when its session was seen to be over; else nil
	floor  int64     // highest token ever seen
	flight *flight   // the resolve under way
	held   int       // requests that wait
	probe  *probe    // the one request that tries, while the others wait
}

// probe is a request that tries an object which was refused twice.
type probe struct{ done chan struct{} }

func newPins(max int) *pins {
	p := &pins{seed: maphash.MakeSeed(), max: (max + pinShards - 1) / pinShards}
	for i := range p.shards {
		p.shards[i].m = map[owners.Key]*pinEntry{}
	}
	return p
}

func (p *pins) shard(k owners.Key) *pinShard {
	return &p.shards[maphash.String(p.seed, k.ID)%pinShards]
}

// get finds a warm pin. It does not allocate.
func (p *pins) get(k owners.Key) *Target {
	s := p.shard(k)
	s.mu.RLock()
	e := s.m[k]
	s.mu.RUnlock()
	if e == nil {
		return nil
	}
	return e.target.Load()
}

// entry finds or makes the object's entry.
func (p *pins) entry(k owners.Key) *pinEntry {
	s := p.shard(k)
	s.mu.RLock()
	e := s.m[k]
	s.mu.RUnlock()
	if e != nil {
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[k]; e != nil {
		return e
	}
	for old, o := range s.m { // any idle one will do: the map's order is random
		if len(s.m) < p.max {
			break
		}
		if o.idle() {
			delete(s.m, old)
		}
	}
	e = &pinEntry{}
	s.m[k] = e
	return e
}

// idle says that nobody waits for the entry.
func (e *pinEntry) idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.flight == nil && e.held == 0 && e.probe == nil
}

// drop forgets target, if it is still what is believed, and raises the floor.
func (e *pinEntry) drop(t *Target, floor int64) {
	e.target.CompareAndSwap(t, nil)
	e.mu.Lock()
	e.floor = max(e.floor, floor, t.Token)
	e.mu.Unlock()
}

// orphan is drop for a target whose session is over: the next resolve may take
// the object from it without asking who owns it.
func (e *pinEntry) orphan(t *Target) {
	ours := e.target.CompareAndSwap(t, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.floor = max(e.floor, t.Token)
	if ours {
		e.lost = t
	}
}

// orphaned gives what orphan left, once.
func (e *pinEntry) orphaned() *Target {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.lost
	e.lost = nil
	return t
}

// fresh says that the store said so less than d ago.
func (e *pinEntry) fresh(d time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Since(e.read) < d
}

// orphan orphans every pin of a session that is over, so that nobody else
// finds out by dialling its host.
func (p *pins) orphan(sid string) {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.RLock()
		for _, e := range s.m {
			if t := e.target.Load(); t != nil && t.SID == sid {
				e.orphan(t)
			}
		}
		s.mu.RUnlock()
	}
}

// hold counts one more request that waits, unless there are limit already.
func (e *pinEntry) hold(limit int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held >= limit {
		return false
	}
	e.held++
	return true
}

func (e *pinEntry) unhold() {
	e.mu.Lock()
	e.held--
	e.mu.Unlock()
}

// len counts entries, for metrics.
func (p *pins) len() int {
	n := 0
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}
