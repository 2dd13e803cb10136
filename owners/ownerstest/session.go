package ownerstest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
)

var sessionTests = map[string]func(*testing.T, *fixture){
	"register makes a session live and indexed": func(t *testing.T, f *fixture) {
		r := f.registration()
		r.Preview = "pr-7"
		got, err := f.store.Register(f.ctx, r)
		f.must(err)
		if got.State != owners.Live || got.RunID == "/" || got.RunID == "" || got.EpochID == "" {
			t.Errorf("renewal is %+v", got)
		}
		all, err := f.store.Sessions(f.ctx)
		f.must(err)
		if len(all) != 1 {
			t.Fatalf("%d sessions are indexed", len(all))
		}
		s := all[0]
		if s.ID != r.SID || s.Addr != r.Addr || s.Name != r.Name || s.App != r.App || s.Version != r.Version ||
			s.Preview != "pr-7" || strings.Join(s.Classes, ",") != "Cart,Room" || s.Lease != r.Lease ||
			s.State != owners.Live || !s.Ready || s.Wanted != owners.WantedNone {
			t.Errorf("session is %+v, registered was %+v", s, r)
		}
	},
	"register again renews, with another nonce": func(t *testing.T, f *fixture) {
		r := f.registration()
		_, err := f.store.Register(f.ctx, r)
		f.must(err)
		before := f.session(r.SID).Nonce
		r.Addr = "10.9.9.9:1" // a re-sent call does not change the record
		_, err = f.store.Register(f.ctx, r)
		f.must(err)
		after := f.session(r.SID)
		if after.Nonce == before || after.Addr != "10.0.0.1:9001" {
			t.Errorf("after the second register: %+v", after)
		}
	},
	"register refuses a lease above leases.max": func(t *testing.T, f *fixture) {
		r := f.registration()
		r.Lease = f.store.MaxLease() + time.Second
		if _, err := f.store.Register(f.ctx, r); !errors.Is(err, owners.ErrLease) {
			t.Errorf("err is %v", err)
		}
		if _, ok, _ := f.store.Session(f.ctx, r.SID); ok {
			t.Error("a record was written")
		}
	},
	"register refuses what cannot be a session": refusesRegistration,
	"renew tells what is wanted and keeps what the host says": func(t *testing.T, f *fixture) {
		sid := f.host()
		f.must(f.store.Want(f.ctx, sid, owners.WantedCordon))
		r, err := f.store.Renew(f.ctx, sid, owners.Health{Ready: false, Objects: 7, InFlight: 3})
		f.must(err)
		s := f.session(sid)
		if r.Wanted != owners.WantedCordon || s.Ready || s.Objects != 7 || s.InFlight != 3 {
			t.Errorf("renewal %+v, session %+v", r, s)
		}
		f.must(f.store.Want(f.ctx, sid, owners.WantedNone))
		if r, err = f.store.Renew(f.ctx, sid, owners.Health{Ready: true}); err != nil || r.Wanted != owners.WantedNone {
			t.Errorf("renewal %+v, %v", r, err)
		}
	},
	"every renewal has a nonce of its own": func(t *testing.T, f *fixture) {
		sid, seen := f.host(), map[string]bool{}
		for range 50 {
			n := f.session(sid).Nonce
			if seen[n] {
				t.Fatalf("nonce %s twice", n)
			}
			seen[n] = true
			_, err := f.store.Renew(f.ctx, sid, owners.Health{Ready: true})
			f.must(err)
		}
	},
	"states of a session":                sessionStates,
	"dead needs the nonce that was seen": deadNeedsTheNonce,
	"a missing session is dead only when asked for as missing": func(t *testing.T, f *fixture) {
		sid := owners.NewSID()
		if s, err := f.store.Dead(f.ctx, sid, "abc"); err != nil || s.State != "" {
			t.Errorf("with a nonce: %+v, %v", s, err)
		}
		if _, ok, _ := f.store.Session(f.ctx, sid); ok {
			t.Error("with a nonce a record was written")
		}
		s, err := f.store.Dead(f.ctx, sid, "")
		f.must(err)
		if s.State != owners.Dead {
			t.Errorf("as missing: %+v", s)
		}
		r := f.registration()
		r.SID = sid
		if _, err := f.store.Register(f.ctx, r); !errors.Is(err, owners.ErrFenced) {
			t.Errorf("a late register of it: %v", err)
		}
	},
	"final sessions are collected after a week, live ones never": func(t *testing.T, f *fixture) {
		a, b, c := f.host(), f.host(), f.host()
		f.end(b, owners.Closed)
		f.end(c, owners.Dead)
		week := 7 * 24 * time.Hour
		for sid, want := range map[string]bool{a: false, b: true, c: true} {
			ttl, err := f.rdb().PTTL(f.ctx, f.sessionKey(sid)).Result()
			f.must(err)
			if has := ttl > week-time.Minute && ttl <= week; has != want || !want && ttl > 0 {
				t.Errorf("session %s: expires in %v", f.session(sid).State, ttl)
			}
		}
	},
	"want refuses sessions that are final or not there": func(t *testing.T, f *fixture) {
		sid := f.host()
		f.end(sid, owners.Closed)
		if err := f.store.Want(f.ctx, sid, owners.WantedDrain); !errors.Is(err, owners.ErrFenced) {
			t.Errorf("closed: %v", err)
		}
		if err := f.store.Want(f.ctx, owners.NewSID(), owners.WantedDrain); !errors.Is(err, owners.ErrNoSession) {
			t.Errorf("missing: %v", err)
		}
		if err := f.store.Want(f.ctx, f.host(), "explode"); err == nil {
			t.Error("explode: no error")
		}
	},
	"session ids that are not ours are refused everywhere": func(t *testing.T, f *fixture) {
		for _, sid := range []string{"", "x", strings.Repeat("a", 31), strings.Repeat("A", 32), strings.Repeat("g", 32), "../../../../../../etc/passwd/aaaaaa"} {
			calls := map[string]error{"drain": f.store.Drain(f.ctx, sid), "close": f.store.CloseSession(f.ctx, sid), "want": f.store.Want(f.ctx, sid, "")}
			_, calls["renew"] = f.store.Renew(f.ctx, sid, owners.Health{})
			_, calls["dead"] = f.store.Dead(f.ctx, sid, "")
			_, _, calls["session"] = f.store.Session(f.ctx, sid)
			_, _, calls["acquire"] = f.store.Acquire(f.ctx, owners.Acquire{Key: cart("1"), SID: sid})
			_, _, calls["release"] = f.store.Release(f.ctx, cart("1"), sid, 1)
			_, calls["confirm"] = f.store.Confirm(f.ctx, cart("1"), sid, 1)
			for name, err := range calls {
				if !errors.Is(err, owners.ErrBadSession) {
					t.Errorf("%s %q: %v", name, sid, err)
				}
			}
		}
	},
}

func refusesRegistration(t *testing.T, f *fixture) {
	for name, spoil := range map[string]func(*owners.Registration){
		"sid":       func(r *owners.Registration) { r.SID = "mine" },
		"addr":      func(r *owners.Registration) { r.Addr = "" },
		"name":      func(r *owners.Registration) { r.Name = "" },
		"app":       func(r *owners.Registration) { r.App = "" },
		"version":   func(r *owners.Registration) { r.Version = "" },
		"classes":   func(r *owners.Registration) { r.Classes = nil },
		"class":     func(r *owners.Registration) { r.Classes = []string{"a b"} },
		"lease":     func(r *owners.Registration) { r.Lease = owners.MinLease - 1 },
		"no lease":  func(r *owners.Registration) { r.Lease = 0 },
		"tag class": func(r *owners.Registration) { r.Classes = []string{"{p1}"} },
	} {
		r := f.registration()
		spoil(&r)
		if _, err := f.store.Register(f.ctx, r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if all, err := f.store.Sessions(f.ctx); err != nil || len(all) != 0 {
		t.Errorf("sessions are %v, %v", all, err)
	}
}

// sessionStates is the table of who may bring a session from where to where.
func sessionStates(t *testing.T, f *fixture) {
	const missing = owners.SessionState("")
	fenced := owners.ErrFenced
	acts := map[string]func(sid, nonce string) error{
		"renew": func(sid, _ string) error { _, err := f.store.Renew(f.ctx, sid, owners.Health{Ready: true}); return err },
		"drain": func(sid, _ string) error { return f.store.Drain(f.ctx, sid) },
		"close": func(sid, _ string) error { return f.store.CloseSession(f.ctx, sid) },
		"dead":  func(sid, nonce string) error { _, err := f.store.Dead(f.ctx, sid, nonce); return err },
	}
	for _, row := range []struct {
		from owners.SessionState
		act  string
		to   owners.SessionState
		err  error
	}{
		{owners.Live, "renew", owners.Live, nil},
		{owners.Live, "drain", owners.Draining, nil},
		{owners.Live, "close", owners.Closed, nil},
		{owners.Live, "dead", owners.Dead, nil},
		{owners.Draining, "renew", owners.Draining, nil},
		{owners.Draining, "drain", owners.Draining, nil},
		{owners.Draining, "close", owners.Closed, nil},
		{owners.Draining, "dead", owners.Dead, nil},
		{owners.Closed, "renew", owners.Closed, fenced},
		{owners.Closed, "drain", owners.Closed, fenced},
		{owners.Closed, "close", owners.Closed, nil},
		{owners.Closed, "dead", owners.Closed, nil},
		{owners.Dead, "renew", owners.Dead, fenced},
		{owners.Dead, "drain", owners.Dead, fenced},
		{owners.Dead, "close", owners.Dead, nil},
		{owners.Dead, "dead", owners.Dead, nil},
		{missing, "renew", missing, fenced},
		{missing, "drain", missing, fenced},
		{missing, "close", missing, nil},
	} {
		sid, nonce := owners.NewSID(), ""
		if row.from != missing {
			sid = f.host()
			f.end(sid, row.from)
			nonce = f.session(sid).Nonce
		}
		err := acts[row.act](sid, nonce)
		got, _, rerr := f.store.Session(f.ctx, sid)
		f.must(rerr)
		if !errors.Is(err, row.err) || err != nil && row.err == nil || got.State != row.to {
			t.Errorf("%s of a %q session: %q, %v; want %q, %v", row.act, row.from, got.State, err, row.to, row.err)
		}
	}
}

func deadNeedsTheNonce(t *testing.T, f *fixture) {
	sid := f.host()
	seen := f.session(sid).Nonce
	_, err := f.store.Renew(f.ctx, sid, owners.Health{Ready: true})
	f.must(err)
	s, err := f.store.Dead(f.ctx, sid, seen)
	f.must(err)
	if s.State != owners.Live || f.session(sid).State != owners.Live {
		t.Errorf("a renewed session was declared dead: %+v", s)
	}
	if s, err = f.store.Dead(f.ctx, sid, ""); err != nil || s.State != owners.Live {
		t.Errorf("a live session was declared dead as missing: %+v, %v", s, err)
	}
}
