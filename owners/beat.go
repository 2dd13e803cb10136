package owners

import (
	"context"
	"hash/fnv"
	"time"
)

// A watcher that has not beaten for beatTTL is not counted.
const beatTTL = 10 * time.Second

// beat says that watcher id is there and returns the ids of all.
func (s *Store) beat(ctx context.Context, id string) ([]string, error) {
	r, err := s.run(ctx, s.scripts.beat, []string{gwPrefix + id, keyWatchers}, id, beatTTL.Milliseconds())
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(r.fields))
	for i := range ids {
		ids[i] = r.text(i)
	}
	return ids, nil
}

// Watchers gives the ids of the processes that watch the store now (gateways and control).
func (s *Store) Watchers(ctx context.Context) ([]string, error) {
	ids, err := s.rdb.ZRange(ctx, keyWatchers, 0, -1).Result() // each beat drops those that are late
	return ids, fail("read watchers", false, err)
}

// Up to fullWatch watchers read every session at every poll. Beyond that each
// reads those of which it is one of the first primaries by hash, and all of
// them only so often that the store's load stays that of fullWatch watchers:
// a late backup where the primaries are gone.
const (
	fullWatch = 32
	primaries = 2
)

func (w *Watcher) share(index, watchers []string) []string {
	w.turn++
	if len(watchers) <= fullWatch || w.turn%(len(watchers)/fullWatch+1) == 0 {
		return index
	}
	var mine []string
	for _, sid := range index {
		if w.rank(sid, watchers) < primaries {
			mine = append(mine, sid)
		}
	}
	return mine
}

// rank counts the watchers that come before this one for a session (rendezvous hash).
func (w *Watcher) rank(sid string, watchers []string) int {
	own, n := score(w.id, sid), 0
	for _, id := range watchers {
		if id != w.id && score(id, sid) > own {
			n++
		}
	}
	return n
}

func score(watcher, sid string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(watcher))
	h.Write([]byte{0})
	h.Write([]byte(sid))
	x := h.Sum64() // FNV's high bits are poor: mix them
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}
