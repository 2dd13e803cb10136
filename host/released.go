package host

import (
	"container/list"

	"github.com/skewgate/skewgate/owners"
)

// releasedCap is how many objects a session remembers that it gave up.
const releasedCap = 1 << 16

// released remembers, for each object, the highest token that can never be
// used again here. It is a cache with a floor: when an entry is evicted its
// token raises the watermark, and below the watermark every token counts as
// released unless it is active. So forgetting makes the gate refuse more, never less.
type released struct {
	cap       int
	entries   map[owners.Key]*list.Element
	lru       *list.List // of *releasedEntry; front is the most recent
	watermark int64
}

type releasedEntry struct {
	key   owners.Key
	token int64 // over, here
	seen  int64 // highest that storage told, for gateways' floors
}

func (h *Host) releasedCap() int {
	if f := h.opt.Faults; f != nil && f.ReleasedCap > 0 {
		return f.ReleasedCap
	}
	return releasedCap
}

func newReleased(capacity int) *released {
	return &released{cap: capacity, entries: map[owners.Key]*list.Element{}, lru: list.New()}
}

// get gives the token that is over and the highest known one.
func (r *released) get(k owners.Key) (over, known int64) {
	if el, ok := r.entries[k]; ok {
		e := el.Value.(*releasedEntry)
		return e.token, max(e.token, e.seen, r.watermark)
	}
	return 0, r.watermark
}

func (r *released) entry(k owners.Key) *releasedEntry {
	if el, ok := r.entries[k]; ok {
		r.lru.MoveToFront(el)
		return el.Value.(*releasedEntry)
	}
	e := &releasedEntry{key: k}
	r.entries[k] = r.lru.PushFront(e)
	for r.lru.Len() > r.cap {
		last := r.lru.Back()
		old := r.lru.Remove(last).(*releasedEntry)
		delete(r.entries, old.key)
		r.watermark = max(r.watermark, old.token)
	}
	return e
}

// add says that token, and all below it, are over for k.
func (r *released) add(k owners.Key, token int64) {
	e := r.entry(k)
	e.token = max(e.token, token)
}

// saw says that storage is at token for k.
func (r *released) saw(k owners.Key, token int64) {
	e := r.entry(k)
	e.seen = max(e.seen, token)
}

// forget is what a negative control does.
func (r *released) forget(k owners.Key) {
	if el, ok := r.entries[k]; ok {
		r.lru.Remove(el)
		delete(r.entries, k)
	}
}
