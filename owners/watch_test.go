package owners

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// A watcher concludes by its own clock: not before a whole lease since it first saw the nonce.
func TestDeathTakesAWholeLeaseOfTheWatchersClock(t *testing.T) {
	w := newWorld(t)
	a := w.host()
	w.now += 10 * lease // what was before the watcher looked does not count
	w.poll()
	w.now += WatchSpan(lease) - 1
	w.poll()
	if s := w.state(a); s != Live {
		t.Fatalf("after a lease less 1 ns: %s", s)
	}
	w.now++
	w.poll()
	if s := w.state(a); s != Dead {
		t.Fatalf("after the lease: %s", s)
	}
}

func TestRenewalsRestartTheWatch(t *testing.T) {
	w := newWorld(t)
	a := w.host()
	for range 20 {
		w.poll()
		w.now += WatchSpan(lease) - 1
		if _, err := w.s.Renew(w.ctx, a, Health{}); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.state(a); s != Live {
		t.Fatal(s)
	}
}

// The store's own clock and its expiry say nothing about a session.
func TestTheStoresClockDoesNotKill(t *testing.T) {
	w := newWorld(t)
	a := w.host()
	w.poll()
	w.e.mini.SetTime(time.Now().Add(365 * 24 * time.Hour))
	w.e.mini.FastForward(365 * 24 * time.Hour)
	w.poll()
	if s := w.state(a); s != Live {
		t.Fatal(s)
	}
}

func TestMissingSessionWaitsForLeasesMax(t *testing.T) {
	w := newWorld(t)
	a := w.host()
	w.e.mini.Del(sessionKey(a))
	w.e.mini.SRem(keySessions, a)
	w.poll() // nobody asks
	w.watcher.Suspect(a)
	w.now += time.Hour
	w.poll()
	w.now += WatchSpan(longest) - 1
	w.poll()
	if s := w.state(a); s != "" {
		t.Fatalf("before leases.max: %q", s)
	}
	w.now++
	w.poll()
	if s := w.state(a); s != Dead {
		t.Fatalf("after leases.max: %q", s)
	}
	w.poll()
	if len(w.watcher.suspects)+len(w.watcher.seen) != 0 {
		t.Errorf("still remembered: %v, %v", w.watcher.suspects, w.watcher.seen)
	}
}

func TestSuspectThatIsThereIsNotMissing(t *testing.T) {
	w := newWorld(t)
	a := w.host()
	w.watcher.Suspect(a)
	for range 10 {
		w.poll()
		w.now += lease / 2
		if _, err := w.s.Renew(w.ctx, a, Health{}); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.state(a); s != Live || len(w.watcher.suspects) != 0 {
		t.Fatal(s, w.watcher.suspects)
	}
}

func TestHoldIsWatchedForLeasesMax(t *testing.T) {
	w := newWorld(t)
	w.e.mini.FlushAll()
	w.poll() // begins
	w.now += WatchSpan(longest) - 1
	w.poll()
	if e, err := w.s.Epoch(w.ctx); err != nil || e.ID == "" || e.Open {
		t.Fatalf("%+v, %v", e, err)
	}
	w.now++
	w.poll()
	if e, err := w.s.Epoch(w.ctx); err != nil || !e.Open {
		t.Fatalf("%+v, %v", e, err)
	}
}

// leases.max of before the loss counts: it is in the memory of those who watch.
func TestHoldKnowsTheLongestLeaseOfBefore(t *testing.T) {
	w := newWorld(t)
	w.s.opt.MaxLease = 0 // this watcher's own configuration says nothing
	w.e.mini.FlushAll()
	w.poll()
	if got := w.s.MaxLease(); got != longest {
		t.Fatalf("leases.max is %v after the loss, was %v", got, longest)
	}
}

func TestLeasesMaxOnlyGrows(t *testing.T) {
	w := newWorld(t)
	for _, row := range []struct{ asked, is time.Duration }{{longest / 2, longest}, {0, longest}, {3 * longest, 3 * longest}, {0, 3 * longest}} {
		s, err := Open(w.ctx, Options{URL: w.e.URL(), Dial: w.e.Dial, MaxLease: row.asked})
		if err != nil {
			t.Fatal(err)
		}
		if s.MaxLease() != row.is {
			t.Errorf("asked for %v: %v, want %v", row.asked, s.MaxLease(), row.is)
		}
		_ = s.Close()
	}
	w.poll()
	if w.s.MaxLease() != 3*longest {
		t.Errorf("a watcher did not learn it: %v", w.s.MaxLease())
	}
}

func TestStoreOfAnotherLayoutIsRefused(t *testing.T) {
	for field, v := range map[string]string{"f": "2", "partitions": "16", "hash": "crc16"} {
		w := newWorld(t)
		w.e.mini.HSet(keyMeta, field, v)
		if s, err := Open(w.ctx, Options{URL: w.e.URL(), Dial: w.e.Dial}); err == nil {
			t.Errorf("opened with %s = %s", field, v)
			_ = s.Close()
		}
	}
}

func TestSnapshotIsEmptyAndOldAtFirst(t *testing.T) {
	w := newWorld(t)
	a := w.host()
	if s, age := w.watcher.Snapshot(); s != nil || age != math.MaxInt64 {
		t.Errorf("%v, %v", s, age)
	}
	w.poll()
	w.now += time.Second
	if s, age := w.watcher.Snapshot(); len(s) != 1 || s[0].ID != a || age != time.Second {
		t.Errorf("%v, %v", s, age)
	}
}

// Of many watchers each session has some that look at every poll, and all look now and then.
func TestManyWatchersShareTheWork(t *testing.T) {
	w := newWorld(t)
	var ids, sids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprint("gw-", i))
		sids = append(sids, NewSID())
	}
	looked, reads := map[string]int{}, 0
	const polls = 8
	for _, id := range ids {
		x := NewWatcher(w.s, id, nil)
		for range polls {
			for _, sid := range x.share(sids, ids) {
				looked[sid]++
				reads++
			}
		}
	}
	for _, sid := range sids {
		if looked[sid] < primaries*polls+len(ids) {
			t.Errorf("session looked at %d times", looked[sid])
		}
	}
	if limit := (fullWatch + primaries) * polls * len(sids); reads > limit {
		t.Errorf("%d reads, %d is the limit", reads, limit)
	}
	if got := NewWatcher(w.s, "gw-1", nil).share(sids, ids[:fullWatch]); len(got) != len(sids) {
		t.Errorf("one of %d watchers looks at %d of %d", fullWatch, len(got), len(sids))
	}
}

// What a watcher did not read again it keeps; what is gone it forgets.
func TestPartialReadKeepsTheRest(t *testing.T) {
	w := newWorld(t)
	a, b := w.host(), w.host()
	w.poll()
	sa, _, _ := w.s.Session(w.ctx, a)
	w.watcher.publish(view{index: []string{a, b}, sessions: []Session{sa}, partial: true}, w.now)
	if s, _ := w.watcher.Snapshot(); len(s) != 2 {
		t.Errorf("sessions are %v", s)
	}
	w.watcher.publish(view{index: []string{a}, sessions: []Session{sa}, partial: true}, w.now)
	if s, _ := w.watcher.Snapshot(); len(s) != 1 || s[0].ID != a {
		t.Errorf("sessions are %v", s)
	}
}

// How soon a watcher looks again:
//
//	no session                    1 s
//	up to 100                     a fifteenth of the shortest lease, 50 ms to 500 ms
//	more                          the same, but to 1 s
func TestPollPeriod(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		sessions int
		shortest time.Duration
		want     time.Duration
	}{
		{0, 0, time.Second},
		{1, 15 * time.Second, 500 * time.Millisecond},
		{1, 3 * time.Second, 200 * time.Millisecond},
		{1, MinLease, MinLease / 15},
		{1, MinLease / 2, 50 * time.Millisecond}, // of another version
		{fewSessions, 15 * time.Second, 500 * time.Millisecond},
		{fewSessions + 1, 15 * time.Second, time.Second},
		{fewSessions + 1, 3 * time.Second, 200 * time.Millisecond},
	} {
		var v view
		for i := range c.sessions {
			s := Session{ID: NewSID(), State: Live, Lease: c.shortest}
			if i > 0 {
				s.Lease = longest * 100
			}
			v.index, v.sessions = append(v.index, s.ID), append(v.sessions, s)
		}
		w.watcher.publish(v, w.now)
		if got := w.watcher.poll; got != c.want {
			t.Errorf("%d sessions, the shortest lease %v: %v, want %v", c.sessions, c.shortest, got, c.want)
		}
	}
}
