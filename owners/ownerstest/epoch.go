package ownerstest

import (
	"errors"
	"testing"

	"github.com/skewgate/skewgate/owners"
)

var epochTests = map[string]func(*testing.T, *fixture){
	"nobody acquires without an open epoch": func(t *testing.T, f *fixture) {
		f.flush()
		sid := f.host()
		acquire := func() error {
			_, _, err := f.store.Acquire(f.ctx, owners.Acquire{Key: cart("1"), SID: sid})
			return err
		}
		if err := acquire(); !errors.Is(err, owners.ErrEpochHold) {
			t.Errorf("missing: %v", err)
		}
		e, err := f.store.BeginEpoch(f.ctx)
		f.must(err)
		if err := acquire(); e.Open || e.ID == "" || !errors.Is(err, owners.ErrEpochHold) {
			t.Errorf("held %+v: %v", e, err)
		}
		if again, err := f.store.BeginEpoch(f.ctx); err != nil || again != e {
			t.Errorf("begun twice: %+v, %v", again, err)
		}
		if other, err := f.store.OpenEpoch(f.ctx, "other"); err != nil || other != e {
			t.Errorf("opened by another id: %+v, %v", other, err)
		}
		if open, err := f.store.OpenEpoch(f.ctx, e.ID); err != nil || !open.Open || open.ID != e.ID {
			t.Errorf("opened: %+v, %v", open, err)
		}
		if got, err := f.store.Epoch(f.ctx); err != nil || !got.Open || got.ID != e.ID {
			t.Errorf("read: %+v, %v", got, err)
		}
		f.must(acquire())
	},
	"renewals tell the epoch": func(t *testing.T, f *fixture) {
		sid := f.host()
		e, err := f.store.Epoch(f.ctx)
		f.must(err)
		if r, err := f.store.Renew(f.ctx, sid, owners.Health{}); err != nil || r.EpochID != e.ID {
			t.Errorf("%+v, %v; the epoch is %+v", r, err, e)
		}
		f.flush()
		if r, err := f.store.Register(f.ctx, f.registration()); err != nil || r.EpochID != "" {
			t.Errorf("without an epoch: %+v, %v", r, err)
		}
	},
	"init is refused when there are sessions": func(t *testing.T, f *fixture) {
		f.flush()
		f.host()
		if err := f.store.Init(f.ctx); !errors.Is(err, owners.ErrSessions) {
			t.Errorf("err is %v", err)
		}
		if e, err := f.store.Epoch(f.ctx); err != nil || e.Open {
			t.Errorf("epoch %+v, %v", e, err)
		}
	},
	"init of an open store changes nothing": func(t *testing.T, f *fixture) {
		f.host()
		before, err := f.store.Epoch(f.ctx)
		f.must(err)
		f.must(f.store.Init(f.ctx))
		if after, err := f.store.Epoch(f.ctx); err != nil || after != before {
			t.Errorf("%+v became %+v, %v", before, after, err)
		}
	},
	"init ends a hold where there are no hosts": func(t *testing.T, f *fixture) {
		f.flush()
		held, err := f.store.BeginEpoch(f.ctx)
		f.must(err)
		f.must(f.store.Init(f.ctx))
		if e, err := f.store.Epoch(f.ctx); err != nil || !e.Open || e.ID != held.ID {
			t.Errorf("%+v, %v", e, err)
		}
	},
	"the probe finds the store fit": func(t *testing.T, f *fixture) {
		checks, err := f.store.Probe(f.ctx)
		f.must(err)
		names := map[string]owners.Check{}
		for _, c := range checks {
			names[c.Name] = c
			if c.Fatal && !c.OK {
				t.Errorf("%+v", c)
			}
			if !c.OK && c.Fix == "" {
				t.Errorf("%s says no fix: %+v", c.Name, c)
			}
		}
		for _, n := range []string{"version", "role", "eviction", "replicas", "persistence", "scripts", "clock", "epoch"} {
			if _, ok := names[n]; !ok {
				t.Errorf("nothing about %s", n)
			}
		}
	},
}
