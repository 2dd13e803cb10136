package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/skewgate/skewgate/host/storage"
)

// claimTable is Fence.MayClaim's table, held against a server.
func claimTable(t *testing.T, d storage.Driver, object string) {
	cur := fence(10, "a", 5)
	for i, f := range []storage.Fence{
		fence(11, "b", 1), fence(11, "a", 1), fence(10, "a", 5), fence(10, "a", 6),
		fence(10, "a", 4), fence(10, "b", 5), fence(10, "b", 9), fence(9, "a", 9), fence(9, "b", 9),
	} {
		o := fmt.Sprintf("%s/%d", object, i)
		claim(t, d, o, cur)
		_, err := storage.Open(t.Context(), d, o, f, storage.Limits{}, nil)
		if f.MayClaim(cur) {
			if err != nil {
				t.Errorf("claim %v over %v: %v", f, cur, err)
			}
			continue
		}
		var stale *storage.StaleError
		if !errors.As(err, &stale) || stale.Current != cur.Token {
			t.Errorf("claim %v over %v: %v, want stale at %d", f, cur, err, cur.Token)
		}
	}
}

// accesses are all that a storage can do.
var accesses = map[string]func(context.Context, *storage.Storage) error{
	"get": func(ctx context.Context, st *storage.Storage) error { _, err := st.Get(ctx, "k"); return err },
	"list": func(ctx context.Context, st *storage.Storage) error {
		_, err := st.List(ctx, storage.ListOptions{})
		return err
	},
	"put":    func(ctx context.Context, st *storage.Storage) error { return st.Put(ctx, "k", []byte("stale")) },
	"delete": func(ctx context.Context, st *storage.Storage) error { return st.Delete(ctx, "k") },
	"write in txn": func(ctx context.Context, st *storage.Storage) error {
		return st.Txn(ctx, func(tx *storage.Txn) error { return tx.Put("k", []byte("stale")) })
	},
	"read in txn": func(ctx context.Context, st *storage.Storage) error {
		return st.Txn(ctx, func(tx *storage.Txn) error { _, err := tx.Get(ctx, "k"); return err })
	},
}

func staleInstance(t *testing.T, d storage.Driver, object string) {
	first := claim(t, d, object, fence(7, "a", 1))
	put(t, first, "k", "old")
	// One storage for each access, all of the same claim: the first refusal ends a storage.
	told := map[string]error{}
	old := map[string]*storage.Storage{}
	for what := range accesses {
		st, err := storage.Open(t.Context(), d, object, fence(7, "a", 1), storage.Limits{}, func(err error) { told[what] = err })
		if err != nil {
			t.Fatal(err)
		}
		st.Loaded()
		old[what] = st
	}
	cur := claim(t, d, object, fence(8, "b", 1))
	put(t, cur, "k", "new")
	for what, access := range accesses {
		var stale *storage.StaleError
		if err := access(t.Context(), old[what]); !errors.As(err, &stale) || stale.Current != 8 {
			t.Errorf("%s of a stale instance: %v, want stale at 8", what, err)
		}
		if !errors.Is(told[what], storage.ErrStale) {
			t.Errorf("%s: the owner was told %v", what, told[what])
		}
		if err := access(t.Context(), old[what]); !errors.Is(err, storage.ErrStale) {
			t.Errorf("a second %s: %v, want stale", what, err)
		}
	}
	wantValue(t, cur, "k", []byte("new"))
}

func delayedAccess(t *testing.T, d storage.Driver, object string) {
	early := claim(t, d, object, fence(7, "a", 1))
	late := claim(t, d, object, fence(7, "a", 2)) // the same token, activated again
	put(t, late, "k", "late")
	if err := early.Put(t.Context(), "k", []byte("early")); !errors.Is(err, storage.ErrStale) {
		t.Errorf("write of the earlier activation: %v, want stale", err)
	}
	if _, err := early.Get(t.Context(), "k"); !errors.Is(err, storage.ErrStale) {
		t.Errorf("read of the earlier activation: %v, want stale", err)
	}
	wantValue(t, late, "k", []byte("late"))
}

func emptyObject(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	put(t, st, "k", "v")
	if err := st.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	claim(t, d, object, fence(8, "b", 1))
	if err := st.Put(t.Context(), "k", []byte("stale")); !errors.Is(err, storage.ErrStale) {
		t.Errorf("write of a stale instance to an empty object: %v", err)
	}
}

// claimsRace lets claims and writes of many sessions meet: whoever claimed highest is the only one to write afterwards.
func claimsRace(t *testing.T, d storage.Driver, object string) {
	var wg sync.WaitGroup
	const sessions = 8
	for i := range sessions {
		wg.Go(func() {
			st, err := storage.Open(t.Context(), d, object, fence(int64(i+1), fmt.Sprint("s", i), 1), storage.Limits{}, nil)
			for n := 0; err == nil && n < 5; n++ {
				err = st.Put(t.Context(), "k", fmt.Append(nil, i+1))
			}
			if err != nil && !errors.Is(err, storage.ErrStale) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	st := claim(t, d, object, fence(sessions+1, "last", 1))
	wantValue(t, st, "k", fmt.Append(nil, sessions))
}
