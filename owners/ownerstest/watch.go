package ownerstest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
)

var watchTests = map[string]func(*testing.T, *fixture){
	"a session that is not renewed is declared dead, one that is stays": func(t *testing.T, f *fixture) {
		lives, dies := f.host(), f.host()
		k := cart("1")
		p := f.own(k, dies)
		w := f.watch()
		born := time.Now()
		for f.session(dies).State != owners.Dead {
			f.tooLong(born, 20*time.Second)
			_, err := f.store.Renew(f.ctx, lives, owners.Health{Ready: true})
			f.must(err)
			if s := f.session(lives).State; s != owners.Live {
				t.Fatalf("the renewed one is %s", s)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if d := time.Since(born); d < time.Second {
			t.Errorf("declared dead after %v", d)
		}
		got, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, Expect: p, SID: lives})
		if err != nil || !won || got.Token <= p.Token {
			t.Errorf("its pin: %+v, %v, %v", got, won, err)
		}
		for !f.sees(w, dies, owners.Dead) || !f.sees(w, lives, owners.Live) {
			f.tooLong(born, 20*time.Second)
			time.Sleep(10 * time.Millisecond)
		}
	},
	"a missing session that a pin names is declared dead when asked": func(t *testing.T, f *fixture) {
		sid, target, k := f.host(), f.host(), cart("1")
		p := f.own(k, sid)
		f.must(f.rdb().Del(f.ctx, f.sessionKey(sid)).Err())
		w := f.watch()
		w.Suspect(sid)
		w.Suspect("nonsense")
		start := time.Now()
		for {
			f.tooLong(start, 20*time.Second)
			_, err := f.store.Renew(f.ctx, target, owners.Health{Ready: true})
			f.must(err)
			_, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, Expect: p, SID: target})
			f.must(err)
			if won {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if d := time.Since(start); d < f.store.MaxLease() {
			t.Errorf("given away after %v, leases.max is %v", d, f.store.MaxLease())
		}
	},
	"a store that lost its data opens after the longest lease": func(t *testing.T, f *fixture) {
		f.flush()
		start := time.Now()
		f.watch()
		for {
			f.tooLong(start, 20*time.Second)
			e, err := f.store.Epoch(f.ctx)
			f.must(err)
			if e.Open {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if d := time.Since(start); d < f.store.MaxLease() {
			t.Errorf("open after %v, leases.max is %v", d, f.store.MaxLease())
		}
	},
	"tokens go on above those of a life that was lost, though its clock is behind": func(t *testing.T, f *fixture) {
		const hour = int64(time.Hour / time.Microsecond)
		epoch := f.store.Prefix() + "epoch"
		now, err := f.rdb().Time(f.ctx).Result()
		f.must(err)
		f.must(f.rdb().HSet(f.ctx, epoch, "base", now.UnixMicro()+hour, "off", hour).Err()) // as after an earlier loss
		used := f.own(cart("1"), f.host())
		if used.Token <= now.UnixMicro()+hour {
			t.Fatalf("token %d, the clock was %d and an hour ahead", used.Token, now.UnixMicro())
		}
		start := time.Now()
		w := f.watch()
		for _, age := w.Snapshot(); age > time.Minute; _, age = w.Snapshot() { // it has looked once
			f.tooLong(start, 20*time.Second)
			time.Sleep(10 * time.Millisecond)
		}
		f.must(f.rdb().FlushDB(f.ctx).Err()) // the hour is gone, too
		for open := false; !open; time.Sleep(20 * time.Millisecond) {
			f.tooLong(start, 20*time.Second)
			e, err := f.store.Epoch(f.ctx)
			f.must(err)
			open = e.Open
		}
		if p, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: cart("1"), SID: f.host()}); err != nil || !won || p.Token <= used.Token {
			t.Errorf("after token %d: %+v, %v, %v", used.Token, p, won, err)
		}
	},
	"index entries whose record has expired are collected": func(t *testing.T, f *fixture) {
		f.must(f.rdb().Del(f.ctx, f.sessionKey(f.host())).Err())
		f.watch()
		index := f.store.Prefix() + "sessions"
		for start := time.Now(); f.rdb().SCard(f.ctx, index).Val() != 0; {
			f.tooLong(start, 20*time.Second)
			time.Sleep(10 * time.Millisecond)
		}
	},
	"watchers know each other": func(t *testing.T, f *fixture) {
		for range 3 {
			f.watch()
		}
		for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			f.tooLong(start, 20*time.Second)
			if ids, err := f.store.Watchers(f.ctx); err != nil {
				t.Fatal(err)
			} else if len(ids) == 3 {
				return
			}
		}
	},
}

// watch runs a watcher until the end of the test.
func (f *fixture) watch() *owners.Watcher {
	w := owners.NewWatcher(f.store, "gw-"+owners.NewSID()[:8], nil)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return w
}

func (f *fixture) sees(w *owners.Watcher, sid string, state owners.SessionState) bool {
	all, age := w.Snapshot()
	for _, s := range all {
		if s.ID == sid && age < time.Minute {
			return s.State == state
		}
	}
	return false
}

func (f *fixture) tooLong(since time.Time, limit time.Duration) {
	f.t.Helper()
	if d := time.Since(since); d > limit {
		f.t.Fatal(fmt.Sprintf("nothing after %v", d))
	}
}
