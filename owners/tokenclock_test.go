package owners

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens to the store's data and to its clock, a pin is given out
// under a token above all before, as long as whoever watched before watches
// still: nobody else remembers anything here, and each acquire is a stranger's.
func TestTokensOnlyGrow(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		off := time.Duration(0) // of the store's clock
		began := w.now
		tick := func() { w.e.mini.SetTime(start.Add(off + w.now - began)) }
		w.s.tokens, w.watcher = tokenClock{}, NewWatcher(w.s, "g", nil)
		w.e.mini.FlushAll()
		w.must(w.s.Init(w.ctx))
		tick()
		sid := w.host()
		var last int64
		var sent [][2]int64 // readings that raise was called with
		poll := func() {
			seen, would := w.s.tokens.shows(w.now)
			sent = append(sent, [2]int64{seen, would})
			w.poll()
			_, err := w.s.Renew(w.ctx, sid, Health{Ready: true})
			w.must(err)
		}
		poll()
		rt.Repeat(map[string]func(*rapid.T){
			"time goes on": func(rt *rapid.T) {
				w.now += time.Duration(rapid.IntRange(1, 500).Draw(rt, "ms")) * time.Millisecond
				tick()
				poll()
			},
			"the clock is set": func(rt *rapid.T) {
				off += time.Duration(rapid.IntRange(-100000, 100000).Draw(rt, "s")) * time.Second
				tick()
				poll()
			},
			"all is lost, and the clock set": func(rt *rapid.T) {
				w.e.mini.FlushAll()
				off += time.Duration(rapid.IntRange(-100000, 100000).Draw(rt, "s")) * time.Second
				for range 3 {
					tick()
					w.poll()
					w.now += WatchSpan(longest)
				}
				sid = w.host()
				poll()
			},
			"a raise is sent again": func(rt *rapid.T) {
				if len(sent) == 0 {
					rt.Skip()
				}
				old := rapid.SampledFrom(slices.Clone(sent)).Draw(rt, "reading")
				_, err := w.s.run(w.ctx, w.s.scripts.raise, []string{keyEpoch}, old[0], old[1])
				w.must(err)
			},
			"a stranger acquires": func(rt *rapid.T) {
				w.e.mini.Del(pinKey(object)) // as after its day
				w.now += time.Microsecond
				tick()
				p, won := w.acquire(Pin{}, sid, 0)
				if !won || p.Token <= last {
					rt.Fatalf("token %d after %d, won %v", p.Token, last, won)
				}
				last = p.Token
			},
		})
	})
}

// A clock that shows no time is not passed on, so that it does not spend the token space.
func TestTokenClockOfTheFarFuture(t *testing.T) {
	w := newWorld(t)
	w.poll()
	seen := w.s.tokens.highest
	w.s.tokens.saw(MaxFloor+1, w.now)
	if w.s.tokens.highest != seen {
		t.Errorf("%d was believed", w.s.tokens.highest)
	}
	a := w.host()
	if _, err := w.s.run(w.ctx, w.s.scripts.raise, []string{keyEpoch}, MaxFloor+1, MaxFloor+1); err != nil {
		t.Fatal(err)
	}
	if p, won := w.acquire(Pin{}, a, 0); !won || p.Token > MaxFloor {
		t.Errorf("%+v, %v", p, won)
	}
}
