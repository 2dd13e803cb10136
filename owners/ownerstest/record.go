package ownerstest

import (
	"errors"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
)

var recordTests = map[string]func(*testing.T, *fixture){
	"a pin of a newer skewgate is refused, not guessed": func(t *testing.T, f *fixture) {
		sid, k := f.host(), cart("1")
		p := f.own(k, sid)
		f.must(f.rdb().HSet(f.ctx, f.pinKey(k), "f", "2", "t", "[7,8]").Err())
		before := f.rdb().HGetAll(f.ctx, f.pinKey(k)).Val()
		_, _, err1 := f.store.Acquire(f.ctx, owners.Acquire{Key: k, Expect: p, SID: sid})
		_, _, err2 := f.store.Release(f.ctx, k, sid, p.Token)
		_, err3 := f.store.Confirm(f.ctx, k, sid, p.Token)
		_, _, _, err4 := f.store.Pin(f.ctx, k)
		for i, err := range []error{err1, err2, err3, err4, firstError(f)} {
			if !errors.Is(err, owners.ErrNewer) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		after := f.rdb().HGetAll(f.ctx, f.pinKey(k)).Val()
		for name, v := range before {
			if after[name] != v {
				t.Errorf("field %s changed from %q to %q", name, v, after[name])
			}
		}
	},
	"a session of a newer skewgate is refused, not guessed": func(t *testing.T, f *fixture) {
		r := f.registration()
		_, err := f.store.Register(f.ctx, r)
		f.must(err)
		other := f.host()
		nonce := f.session(r.SID).Nonce
		f.must(f.rdb().HSet(f.ctx, f.sessionKey(r.SID), "f", "2").Err())
		calls := map[string]error{
			"drain": f.store.Drain(f.ctx, r.SID), "close": f.store.CloseSession(f.ctx, r.SID),
			"want": f.store.Want(f.ctx, r.SID, owners.WantedDrain),
		}
		_, calls["register"] = f.store.Register(f.ctx, r)
		_, calls["renew"] = f.store.Renew(f.ctx, r.SID, owners.Health{})
		_, calls["dead"] = f.store.Dead(f.ctx, r.SID, nonce)
		_, _, calls["session"] = f.store.Session(f.ctx, r.SID)
		all, err := f.store.Sessions(f.ctx)
		calls["sessions"] = err
		for name, err := range calls {
			if !errors.Is(err, owners.ErrNewer) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(all) != 1 || all[0].ID != other {
			t.Errorf("the sessions that can be read are %+v", all)
		}
		if p, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: cart("1"), SID: r.SID}); err != nil || won {
			t.Errorf("it was given a pin: %+v, %v", p, err)
		}
	},
	"a pin that makes no sense is an error": func(t *testing.T, f *fixture) {
		sid := f.host()
		for name, fields := range map[string][]any{
			"negative token": {"f", "1", "s", "o", "i", sid, "t", "-5", "c", "0"},
			"zero token":     {"f", "1", "s", "o", "i", sid, "t", "0", "c", "0"},
			"huge token":     {"f", "1", "s", "o", "i", sid, "t", "9007199254740993", "c", "0"},
			"no number":      {"f", "1", "s", "o", "i", sid, "t", "1e15", "c", "0"},
			"no token":       {"f", "1", "s", "o", "i", sid, "c", "0"},
			"no state":       {"f", "1", "i", sid, "t", "5", "c", "0"},
			"other state":    {"f", "1", "s", "x", "i", sid, "t", "5", "c", "0"},
			"bad session":    {"f", "1", "s", "o", "i", "me", "t", "5", "c", "0"},
			"bad confirmed":  {"f", "1", "s", "o", "i", sid, "t", "5", "c", "x"},
			"no format":      {"s", "o", "i", sid, "t", "5", "c", "0"},
		} {
			k := cart(name)
			f.must(f.rdb().HSet(f.ctx, f.pinKey(k), fields...).Err())
			if p, _, _, err := f.store.Pin(f.ctx, k); !errors.Is(err, owners.ErrBadRecord) {
				t.Errorf("%s: read as %+v, %v", name, p, err)
			}
			if got, won, _ := f.store.Acquire(f.ctx, owners.Acquire{Key: k, SID: sid}); won && name != "no state" {
				t.Errorf("%s: acquired %+v", name, got)
			}
		}
	},
	"a record of another type is an error": func(t *testing.T, f *fixture) {
		f.must(f.rdb().Set(f.ctx, f.pinKey(cart("1")), "x", 0).Err())
		if p, _, _, err := f.store.Pin(f.ctx, cart("1")); !errors.Is(err, owners.ErrBadRecord) {
			t.Errorf("read as %+v, %v", p, err)
		}
		if err := firstError(f); !errors.Is(err, owners.ErrBadRecord) {
			t.Errorf("walked: %v", err)
		}
	},
	"scripts that the server forgot are sent again": func(t *testing.T, f *fixture) {
		forget := func() { f.must(f.rdb().ScriptFlush(f.ctx).Err()) }
		forget()
		sid, k := f.host(), cart("1")
		forget()
		p := f.own(k, sid)
		forget()
		if ok, err := f.store.Confirm(f.ctx, k, sid, p.Token); err != nil || !ok {
			t.Errorf("confirm: %v, %v", ok, err)
		}
		forget()
		f.pin(k)
		forget()
		if _, ok, err := f.store.Release(f.ctx, k, sid, p.Token); err != nil || !ok {
			t.Errorf("release: %v, %v", ok, err)
		}
		forget()
		_, err := f.store.Renew(f.ctx, sid, owners.Health{})
		f.must(err)
		forget()
		f.must(f.store.Drain(f.ctx, sid))
		forget()
		f.must(f.store.CloseSession(f.ctx, sid))
	},
	"times and counts do not wear off": func(t *testing.T, f *fixture) {
		r := f.registration()
		r.Lease = 1111 * time.Millisecond
		_, err := f.store.Register(f.ctx, r)
		f.must(err)
		if s := f.session(r.SID); s.Lease != r.Lease {
			t.Errorf("lease is %v", s.Lease)
		}
		_, err = f.store.Renew(f.ctx, r.SID, owners.Health{Objects: -3, InFlight: -1})
		f.must(err)
		if s := f.session(r.SID); s.Objects != 0 || s.InFlight != 0 {
			t.Errorf("negative counts: %+v", s)
		}
	},
}

func firstError(f *fixture) error {
	for _, err := range f.store.Pins(f.ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}
