// Package ownerstest is the behaviour suite of the ownership store: one set
// of tests for every Redis that an owners.Store may stand on.
package ownerstest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/owners"
)

// Run holds a kind of store to the protocol. open gives a store on a database
// that nobody else uses; the suite empties it before each test. leases.max of
// the store must be 2 s or less, so that holds end soon.
func Run(t *testing.T, open func(t *testing.T) *owners.Store) {
	for _, group := range []map[string]func(*testing.T, *fixture){
		sessionTests, pinTests, epochTests, recordTests, watchTests, resendTests,
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) { test(t, newFixture(t, open(t))) })
		}
	}
}

// A fixture is an empty, open store with short forms of what tests do all the time.
type fixture struct {
	t     *testing.T
	ctx   context.Context
	store *owners.Store
}

func newFixture(t *testing.T, s *owners.Store) *fixture {
	t.Helper()
	f := &fixture{t: t, ctx: t.Context(), store: s}
	f.flush()
	f.must(s.Init(f.ctx))
	return f
}

func (f *fixture) flush() {
	f.t.Helper()
	f.must(f.store.Redis().FlushDB(f.ctx).Err())
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) registration() owners.Registration {
	return owners.Registration{
		SID: owners.NewSID(), Addr: "10.0.0.1:9001", Name: "host-1", App: "shop", Version: "v41",
		Classes: []string{"Cart", "Room"}, Lease: time.Second, Ready: true,
	}
}

// host registers a live and ready session.
func (f *fixture) host() string {
	f.t.Helper()
	r := f.registration()
	_, err := f.store.Register(f.ctx, r)
	f.must(err)
	return r.SID
}

// own makes sid the owner of a fresh pin.
func (f *fixture) own(k owners.Key, sid string) owners.Pin {
	f.t.Helper()
	p, won, err := f.store.Acquire(f.ctx, owners.Acquire{Key: k, SID: sid})
	f.must(err)
	if !won {
		f.t.Fatalf("acquire of a fresh pin lost to %+v", p)
	}
	return p
}

func (f *fixture) pin(k owners.Key) owners.Pin {
	f.t.Helper()
	p, _, _, err := f.store.Pin(f.ctx, k)
	f.must(err)
	return p
}

func (f *fixture) session(sid string) owners.Session {
	f.t.Helper()
	s, ok, err := f.store.Session(f.ctx, sid)
	f.must(err)
	if !ok {
		f.t.Fatalf("session %s is missing", sid)
	}
	return s
}

// end brings a live session into a state.
func (f *fixture) end(sid string, to owners.SessionState) {
	f.t.Helper()
	switch to {
	case owners.Draining:
		f.must(f.store.Drain(f.ctx, sid))
	case owners.Closed:
		f.must(f.store.CloseSession(f.ctx, sid))
	case owners.Dead:
		_, err := f.store.Dead(f.ctx, sid, f.session(sid).Nonce)
		f.must(err)
	}
}

// raw names: the records as they lie in the store, for tests that break them.
func (f *fixture) pinKey(k owners.Key) string   { return f.store.Prefix() + "pin:" + k.String() }
func (f *fixture) sessionKey(sid string) string { return f.store.Prefix() + "sess:" + sid }
func (f *fixture) rdb() redis.UniversalClient   { return f.store.Redis() }
func cart(id string) owners.Key                 { return owners.Key{Class: "Cart", ID: id} }
func unlike(sid string) string                  { return strings.Repeat("0", 8) + sid[8:] }
