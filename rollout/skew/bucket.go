package skew

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// row is what is known of one Key in one bucket.
type row struct {
	Calls   int64     `json:"n"`
	Last    int64     `json:"t"` // when the last one ended, ms
	Latency Histogram `json:"h"`

	dirty bool // changed since it was last written; memory only
}

func (r *row) merge(o *row) {
	r.Calls += o.Calls
	r.Last = max(r.Last, o.Last)
	if r.Latency == nil {
		r.Latency = Histogram{}
	}
	r.Latency.merge(o.Latency)
}

// bucket is one minute or hour in memory.
type bucket struct {
	start     int64 // unix seconds
	width     int64 // seconds
	rows      map[Key]*row
	sketches  map[pair]*sketch
	incumbent map[Key]bool // biggest rows of the bucket before: always let in
}

func newBucket(start, width int64) *bucket {
	return &bucket{start: start, width: width, rows: map[Key]*row{}, sketches: map[pair]*sketch{}}
}

// add counts one call; false when it was folded because there are maxRows rows already.
// The biggest keys of the last bucket have their places kept, so that a flood
// of invented callers at the start of a minute does not push out the real ones.
func (b *bucket) add(k Key, id string, latency time.Duration, atMs int64, maxRows int) bool {
	r, kept := b.rows[k], true
	if r == nil && !b.incumbent[k] && len(b.rows) >= maxRows-len(b.incumbent) {
		k, kept = k.folded(), false
		r = b.rows[k]
	}
	if r == nil {
		r = &row{Latency: Histogram{}}
		b.rows[k] = r
	}
	r.Calls++
	r.Last = max(r.Last, atMs)
	r.Latency[bucketOf(latency)]++
	r.dirty = true
	if id != "" {
		s := b.sketches[k.pair()]
		if s == nil {
			s = &sketch{}
			b.sketches[k.pair()] = s
		}
		s.add(id)
	}
	return kept
}

// next gives the bucket that follows at start, with the biggest rows' places kept.
func (b *bucket) next(start int64, maxRows int) *bucket {
	n := newBucket(start, b.width)
	keys := slices.SortedFunc(maps.Keys(b.rows), func(x, y Key) int { return cmp.Compare(b.rows[y].Calls, b.rows[x].Calls) })
	n.incumbent = make(map[Key]bool, maxRows/2)
	for _, k := range keys[:min(len(keys), maxRows/2)] {
		n.incumbent[k] = true
	}
	return n
}
