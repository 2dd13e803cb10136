package ownerstest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/owners"
)

var pinTests = map[string]func(*testing.T, *fixture){
	"who may acquire":      whoMayAcquire,
	"who takes pins":       whoTakesPins,
	"one of many acquires": oneOfManyAcquires,
	"tokens rise":          tokensRise,
	"the loser gets the record": func(t *testing.T, f *fixture) {
		a, b := f.host(), f.host()
		p := f.own(cart("1"), a)
		got, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: cart("1"), SID: b})
		f.must(err)
		if won || got != p {
			t.Errorf("got %+v, won %v; the record is %+v", got, won, p)
		}
	},
	"release is the owner's, once or twice": func(t *testing.T, f *fixture) {
		a, b, k := f.host(), f.host(), cart("1")
		p := f.own(k, a)
		for _, row := range []struct {
			sid   string
			token int64
			ok    bool
			state owners.PinState
		}{
			{b, p.Token, false, owners.Owned},
			{a, p.Token - 1, false, owners.Owned},
			{a, p.Token + 1, false, owners.Owned},
			{a, p.Token, true, owners.Released},
			{a, p.Token, true, owners.Released},
			{b, p.Token, false, owners.Released},
		} {
			got, ok, err := f.store.Release(f.ctx, k, row.sid, row.token)
			f.must(err)
			if ok != row.ok || got.State != row.state || got.Token != p.Token || got.SID != a {
				t.Errorf("release (%s, %d): %+v, %v", row.sid[:4], row.token-p.Token, got, ok)
			}
		}
		if got, ok, err := f.store.Release(f.ctx, cart("none"), a, 5); err != nil || ok || got.State != owners.None {
			t.Errorf("release of no pin: %+v, %v, %v", got, ok, err)
		}
	},
	"only released pins expire": func(t *testing.T, f *fixture) {
		sid, k := f.host(), cart("1")
		p := f.own(k, sid)
		ttl := func() time.Duration {
			d, err := f.rdb().PTTL(f.ctx, f.pinKey(k)).Result()
			f.must(err)
			return d
		}
		if d := ttl(); d >= 0 {
			t.Errorf("an owned pin expires in %v", d)
		}
		_, _, err := f.store.Release(f.ctx, k, sid, p.Token)
		f.must(err)
		if d := ttl(); d < 24*time.Hour-time.Minute {
			t.Errorf("a released pin expires in %v", d)
		}
		_, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, Expect: f.pin(k), SID: sid})
		f.must(err)
		if d := ttl(); !won || d >= 0 {
			t.Errorf("acquired again (%v) it expires in %v", won, d)
		}
	},
	"confirm is for the owner's token": func(t *testing.T, f *fixture) {
		a, b, k := f.host(), f.host(), cart("1")
		p := f.own(k, a)
		confirm := func(sid string, token int64) bool {
			ok, err := f.store.Confirm(f.ctx, k, sid, token)
			f.must(err)
			return ok
		}
		if p.Confirmed != 0 || confirm(b, p.Token) || confirm(a, p.Token-1) || confirm(a, p.Token+1) {
			t.Error("confirmed for another")
		}
		if !confirm(a, p.Token) || !confirm(a, p.Token) || f.pin(k).Confirmed != p.Token {
			t.Errorf("not confirmed: %+v", f.pin(k))
		}
		_, _, err := f.store.Release(f.ctx, k, a, p.Token)
		f.must(err)
		if confirm(a, p.Token) {
			t.Error("confirmed after its release")
		}
		if ok, err := f.store.Confirm(f.ctx, cart("none"), a, 5); ok || err != nil {
			t.Errorf("confirm of no pin: %v, %v", ok, err)
		}
	},
	"a pin and its session come in one round trip": func(t *testing.T, f *fixture) {
		sid, k := f.host(), owners.Key{Class: "Room", ID: "a/b {x} ü%"}
		p := f.own(k, sid)
		f.pin(k) // the script is known now
		n := countCalls(f, func() {
			got, s, found, err := f.store.Pin(f.ctx, k)
			f.must(err)
			if got != p || !found || s.ID != sid || s.Addr != "10.0.0.1:9001" || s.State != owners.Live {
				t.Errorf("read %+v, %+v, %v", got, s, found)
			}
		})
		if n != 1 {
			t.Errorf("%d round trips", n)
		}
	},
	"a pin without its session, and no pin": func(t *testing.T, f *fixture) {
		sid := f.host()
		p := f.own(cart("1"), sid)
		f.must(f.rdb().Del(f.ctx, f.sessionKey(sid)).Err())
		if got, _, found, err := f.store.Pin(f.ctx, cart("1")); err != nil || found || got != p {
			t.Errorf("without session: %+v, %v, %v", got, found, err)
		}
		if got, _, found, err := f.store.Pin(f.ctx, cart("2")); err != nil || found || got != (owners.Pin{Key: cart("2")}) {
			t.Errorf("no pin: %+v, %v, %v", got, found, err)
		}
	},
	"all pins are walked": func(t *testing.T, f *fixture) {
		sid, want := f.host(), map[owners.Key]bool{}
		pipe := f.rdb().Pipeline()
		for i := range 2500 {
			k := owners.Key{Class: "Cart", ID: fmt.Sprintf("%d/é", i)}
			want[k] = true
			pipe.HSet(f.ctx, f.pinKey(k), "f", "1", "s", "r", "i", sid, "t", i+1, "v", "v1", "c", 0)
		}
		_, err := pipe.Exec(f.ctx)
		f.must(err)
		for p, err := range f.store.Pins(f.ctx) {
			f.must(err)
			if p.SID != sid {
				t.Errorf("pin %+v", p)
			}
			delete(want, p.Key)
		}
		if len(want) != 0 {
			t.Errorf("%d pins were missed", len(want))
		}
	},
	"tokens that are none are refused": func(t *testing.T, f *fixture) {
		sid := f.host()
		for _, token := range []int64{0, -1, math.MinInt64, 1 << 53, math.MaxInt64} {
			if _, _, err := f.store.Release(f.ctx, cart("1"), sid, token); !errors.Is(err, owners.ErrBadToken) {
				t.Errorf("release %d: %v", token, err)
			}
			if _, err := f.store.Confirm(f.ctx, cart("1"), sid, token); !errors.Is(err, owners.ErrBadToken) {
				t.Errorf("confirm %d: %v", token, err)
			}
		}
		if _, _, err := f.store.Acquire(f.ctx, owners.Acquire{Key: cart("1"), SID: sid, Floor: -1}); !errors.Is(err, owners.ErrBadToken) {
			t.Errorf("floor -1: %v", err)
		}
	},
	"keys that are none are refused": func(t *testing.T, f *fixture) {
		sid := f.host()
		for _, k := range []owners.Key{{}, {Class: "Cart"}, {ID: "1"}, {Class: "a/b", ID: "1"}, {Class: "Cart", ID: "a\nb"}} {
			_, _, err1 := f.store.Acquire(f.ctx, owners.Acquire{Key: k, SID: sid})
			_, _, err2 := f.store.Release(f.ctx, k, sid, 1)
			_, err3 := f.store.Confirm(f.ctx, k, sid, 1)
			_, _, _, err4 := f.store.Pin(f.ctx, k)
			for i, err := range []error{err1, err2, err3, err4} {
				if !errors.Is(err, owners.ErrBadKey) {
					t.Errorf("call %d with %+v: %v", i, k, err)
				}
			}
		}
	},
}

// whoMayAcquire is the table of pins that are free.
func whoMayAcquire(t *testing.T, f *fixture) {
	for _, row := range []struct {
		pin    owners.PinState     // as it is
		owner  owners.SessionState // of the session it names
		expect string              // none, as it is, other token, other sid
		won    bool
	}{
		{owners.None, "", "none", true},
		{owners.None, "", "stale", false},
		{owners.Released, owners.Live, "as is", true},
		{owners.Released, owners.Closed, "as is", true},
		{owners.Released, owners.Live, "none", false},
		{owners.Released, owners.Live, "other token", false},
		{owners.Released, owners.Live, "other sid", false},
		{owners.Owned, owners.Live, "as is", false},
		{owners.Owned, owners.Draining, "as is", false},
		{owners.Owned, owners.Closed, "as is", true},
		{owners.Owned, owners.Dead, "as is", true},
		{owners.Owned, "", "as is", false}, // missing is not final
		{owners.Owned, owners.Dead, "none", false},
		{owners.Owned, owners.Dead, "other token", false},
		{owners.Owned, owners.Dead, "other sid", false},
	} {
		target, k := f.host(), cart(owners.NewSID())
		expect := owners.Pin{}
		if row.pin != owners.None {
			owner := f.host()
			expect = f.own(k, owner)
			if row.pin == owners.Released {
				var err error
				expect, _, err = f.store.Release(f.ctx, k, owner, expect.Token)
				f.must(err)
			}
			if row.owner == "" {
				f.must(f.rdb().Del(f.ctx, f.sessionKey(owner)).Err())
			} else {
				f.end(owner, row.owner)
			}
		}
		before := f.pin(k)
		switch row.expect {
		case "none":
			expect = owners.Pin{}
		case "stale":
			expect = owners.Pin{State: owners.Released, SID: target, Token: 7}
		case "other token":
			expect.Token--
		case "other sid":
			expect.SID = unlike(expect.SID)
		}
		got, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, Expect: expect, SID: target})
		f.must(err)
		after := f.pin(k)
		switch {
		case won != row.won:
			t.Errorf("%+v: won is %v", row, won)
		case !won && (got != before || after != before):
			t.Errorf("%+v: the loser changed or saw another record: %+v → %+v, got %+v", row, before, after, got)
		case won && (got != after || got.State != owners.Owned || got.SID != target || got.Token <= before.Token):
			t.Errorf("%+v: won %+v, the record is %+v", row, got, after)
		}
	}
}

// whoTakesPins is the table of sessions that an object may be given to.
func whoTakesPins(t *testing.T, f *fixture) {
	for name, row := range map[string]struct {
		prepare func(sid string)
		won     bool
	}{
		"live and ready":  {func(string) {}, true},
		"draining":        {func(sid string) { f.end(sid, owners.Draining) }, false},
		"closed":          {func(sid string) { f.end(sid, owners.Closed) }, false},
		"dead":            {func(sid string) { f.end(sid, owners.Dead) }, false},
		"missing":         {func(sid string) { f.must(f.rdb().Del(f.ctx, f.sessionKey(sid)).Err()) }, false},
		"cordoned":        {func(sid string) { f.must(f.store.Want(f.ctx, sid, owners.WantedCordon)) }, false},
		"wanted to drain": {func(sid string) { f.must(f.store.Want(f.ctx, sid, owners.WantedDrain)) }, false},
		"cordoned and back": {func(sid string) {
			f.must(f.store.Want(f.ctx, sid, owners.WantedCordon))
			f.must(f.store.Want(f.ctx, sid, owners.WantedNone))
		}, true},
		"not ready": {func(sid string) {
			_, err := f.store.Renew(f.ctx, sid, owners.Health{Ready: false})
			f.must(err)
		}, false},
	} {
		sid, k := f.host(), cart(owners.NewSID())
		row.prepare(sid)
		got, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, SID: sid})
		f.must(err)
		if won != row.won || !won && got.State != owners.None {
			t.Errorf("%s: won is %v, pin %+v", name, won, got)
		}
	}
}

func oneOfManyAcquires(t *testing.T, f *fixture) {
	var sids []string
	for range 16 {
		sids = append(sids, f.host())
	}
	for round := range 10 {
		k := cart(strconv.Itoa(round))
		var wg sync.WaitGroup
		var mu sync.Mutex
		winners, records := 0, map[owners.Pin]bool{}
		for _, sid := range sids {
			wg.Go(func() {
				p, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, SID: sid})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if won {
					winners++
				}
				records[p] = true
			})
		}
		wg.Wait()
		if winners != 1 || len(records) != 1 {
			t.Fatalf("%d winners, records %v", winners, records)
		}
	}
}

// tokensRise is mint = max(prev+1, floor+1, time), each of the three being the highest once.
func tokensRise(t *testing.T, f *fixture) {
	sid, k := f.host(), cart("1")
	take := func(floor int64) owners.Pin {
		before := f.pin(k)
		if before.State == owners.Owned {
			var err error
			before, _, err = f.store.Release(f.ctx, k, sid, before.Token)
			f.must(err)
		}
		p, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, Expect: before, SID: sid, Floor: floor})
		f.must(err)
		if !won {
			t.Fatalf("lost to %+v", p)
		}
		return p
	}
	now := func() int64 {
		at, err := f.rdb().Time(f.ctx).Result()
		f.must(err)
		return at.UnixMicro()
	}
	before := now()
	if p := take(0); p.Token < before || p.Token > now() {
		t.Errorf("the time is in %d to %d, the token is %d", before, now(), p.Token)
	}
	floor := now() + 3600e6
	if p := take(floor); p.Token != floor+1 {
		t.Errorf("the floor is %d, the token %d", floor, p.Token)
	}
	if p := take(0); p.Token != floor+2 { // the clock is behind the last token
		t.Errorf("the last token is %d, the next one %d", floor+1, p.Token)
	}
	for _, far := range []int64{owners.MaxFloor + 1, math.MaxInt64} { // ignored
		last := f.pin(k).Token
		if p := take(far); p.Token != last+1 {
			t.Errorf("floor %d: the token is %d after %d", far, p.Token, last)
		}
	}
	if p := take(owners.MaxFloor); p.Token != owners.MaxFloor+1 {
		t.Errorf("floor 2^52: the token is %d", p.Token)
	}
	if got, err := f.store.Confirm(f.ctx, k, sid, owners.MaxFloor+1); err != nil || !got {
		t.Errorf("confirm above 2^52: %v, %v", got, err)
	}
}

// countCalls counts the round trips that do makes.
func countCalls(f *fixture, do func()) int {
	c := &callCounter{}
	f.rdb().AddHook(c)
	c.on = true
	do()
	c.on = false
	return c.n
}

type callCounter struct {
	on bool
	n  int
}

func (c *callCounter) count() {
	if c.on {
		c.n++
	}
}

func (c *callCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *callCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count()
		return next(ctx, cmd)
	}
}

func (c *callCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.count()
		return next(ctx, cmds)
	}
}
