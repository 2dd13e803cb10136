// Package storagetest is one behaviour suite for every storage.Driver.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/host/storage"
)

// suite gives each test an object of its own.
type suite struct {
	open func(t *testing.T) storage.Driver
}

// Run holds a driver to the contract. open gives a driver to one and the same server each time.
func Run(t *testing.T, open func(t *testing.T) storage.Driver) {
	s := suite{open}
	for name, test := range map[string]func(*testing.T, storage.Driver, string){
		"Values":                             values,
		"ListSelects":                        listSelects,
		"Limits":                             limits,
		"ClaimTable":                         claimTable,
		"StaleInstanceNeitherReadsNorWrites": staleInstance,
		"DelayedAccessOfAnEarlierActivation": delayedAccess,
		"TransactionIsAllOrNothing":          transaction,
		"TransactionsDoNotInterleave":        transactions,
		"ClaimLoads":                         claimLoads,
		"ObjectsAreApart":                    objectsApart,
		"EmptyObjectIsStillFenced":           emptyObject,
		"ClaimsRace":                         claimsRace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s.open(t), "Cart/"+t.Name())
		})
	}
	t.Run("BehavesAsAMap", s.behavesAsAMap)
}

func fence(token int64, session string, n int64) storage.Fence {
	return storage.Fence{Token: token, Session: session, N: n}
}

func claim(t *testing.T, d storage.Driver, object string, f storage.Fence) *storage.Storage {
	t.Helper()
	st, err := storage.Open(t.Context(), d, object, f, storage.Limits{}, nil)
	if err != nil {
		t.Fatalf("claim %v: %v", f, err)
	}
	st.Loaded()
	return st
}

func put(t *testing.T, st *storage.Storage, key, value string) {
	t.Helper()
	if err := st.Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, st *storage.Storage, key string, want []byte) {
	t.Helper()
	got, err := st.Get(t.Context(), key)
	if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("get %q = %q, %v; want %q", key, got, err, want)
	}
}

func values(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	wantValue(t, st, "k", nil)
	put(t, st, "k", "1")
	put(t, st, "k", "2")
	wantValue(t, st, "k", []byte("2"))
	put(t, st, "empty", "")
	wantValue(t, st, "empty", []byte{})
	odd := "a\x00b\xff/ %\n"
	put(t, st, odd, odd)
	wantValue(t, st, odd, []byte(odd))
	for _, k := range []string{"k", "never"} {
		if err := st.Delete(t.Context(), k); err != nil {
			t.Errorf("delete %q: %v", k, err)
		}
		wantValue(t, st, k, nil)
	}
}

func listSelects(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	for _, k := range []string{"a", "b/1", "b/2", "b/3", "c", "b\xff", "\xff\xff"} {
		put(t, st, k, "v"+k)
	}
	for _, c := range []struct {
		o    storage.ListOptions
		want string
	}{
		{storage.ListOptions{}, "a b/1 b/2 b/3 b\xff c \xff\xff"},
		{storage.ListOptions{Prefix: "b/"}, "b/1 b/2 b/3"},
		{storage.ListOptions{Prefix: "b"}, "b/1 b/2 b/3 b\xff"},
		{storage.ListOptions{Prefix: "\xff"}, "\xff\xff"},
		{storage.ListOptions{Prefix: "nothing"}, ""},
		{storage.ListOptions{Start: "b/2", End: "c"}, "b/2 b/3 b\xff"},
		{storage.ListOptions{Start: "b/2", Limit: 2}, "b/2 b/3"},
		{storage.ListOptions{Prefix: "b/", Start: "b/2"}, "b/2 b/3"},
		{storage.ListOptions{Prefix: "b/", End: "b/2"}, "b/1"},
		{storage.ListOptions{Prefix: "b/", Start: "c"}, ""},
		{storage.ListOptions{Start: "c", End: "b"}, ""},
		{storage.ListOptions{Start: "c", End: "c"}, ""},
		{storage.ListOptions{Reverse: true, Limit: 2}, "\xff\xff c"},
		{storage.ListOptions{Prefix: "b/", Reverse: true, Limit: 2}, "b/3 b/2"},
		{storage.ListOptions{Prefix: "b/", Reverse: true, Start: "b/1", End: "b/3"}, "b/2 b/1"},
	} {
		got, err := st.List(t.Context(), c.o)
		var keys []string
		for _, e := range got {
			keys = append(keys, e.Key)
			if string(e.Value) != "v"+e.Key {
				t.Errorf("list %+v: %q has value %q", c.o, e.Key, e.Value)
			}
		}
		if err != nil || strings.Join(keys, " ") != c.want {
			t.Errorf("list %+v = %q, %v; want %q", c.o, strings.Join(keys, " "), err, c.want)
		}
	}
}

func limits(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	key, value := strings.Repeat("k", 2048), strings.Repeat("v", 128<<10)
	put(t, st, key, value)
	wantValue(t, st, key, []byte(value))
	many := func(tx *storage.Txn) error {
		for i := range 513 {
			tx.Put(fmt.Sprint(i), nil)
		}
		return nil
	}
	for what, err := range map[string]error{
		"the key has 2049 bytes, at most 2048 are allowed":       st.Put(t.Context(), key+"k", nil),
		"the value has 131073 bytes, at most 131072 are allowed": st.Put(t.Context(), "k", []byte(value+"v")),
		"the key is empty": st.Delete(t.Context(), ""),
		"the transaction has 513 writes, at most 512 are allowed": st.Txn(t.Context(), many),
	} {
		if !errors.Is(err, storage.ErrLimit) || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want %q", err, what)
		}
	}
	wantValue(t, st, "0", nil)
	put(t, st, "k", "a refusal by a limit does not end the storage")
}

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
		return st.Txn(ctx, func(tx *storage.Txn) error { tx.Put("k", []byte("stale")); return nil })
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

func transaction(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	put(t, st, "b", "1")
	put(t, st, "d", "1")
	ctx := t.Context()
	boom := errors.New("boom")
	err := st.Txn(ctx, func(tx *storage.Txn) error { tx.Put("a", []byte("lost")); return boom })
	if !errors.Is(err, boom) {
		t.Errorf("transaction gave %v, want its own error", err)
	}
	wantValue(t, st, "a", nil)
	err = st.Txn(ctx, func(tx *storage.Txn) error {
		v, err := tx.Get(ctx, "b")
		if err != nil {
			return err
		}
		tx.Put("a", append(v, '+'))
		tx.Delete("b")
		if v, _ := tx.Get(ctx, "b"); v != nil {
			t.Errorf("the transaction does not see its own delete: %q", v)
		}
		got, err := tx.List(ctx, storage.ListOptions{Limit: 2})
		if len(got) != 2 || got[0].Key != "a" || got[1].Key != "d" {
			t.Errorf("the transaction lists %v, want a and d", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, st, "a", []byte("1+"))
	wantValue(t, st, "b", nil)
}

// transactions counts up in many at once: none may be lost.
func transactions(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	const writers = 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range writers {
		wg.Go(func() {
			for range 10 {
				err := st.Txn(t.Context(), func(tx *storage.Txn) error {
					v, err := tx.Get(t.Context(), "n")
					tx.Put("n", append(v, 'x'))
					return err
				})
				if err == nil {
					mu.Lock()
					done++
					mu.Unlock()
				} else if !errors.Is(err, storage.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, st, "n", bytes.Repeat([]byte("x"), done))
	if done == 0 {
		t.Error("no transaction came through")
	}
}

// claimLoads looks at what a claim brings with it: reads before the first write need no round trip, and see what is there.
func claimLoads(t *testing.T, d storage.Driver, object string) {
	first := claim(t, d, object, fence(7, "a", 1))
	for i := range 5 {
		put(t, first, fmt.Sprint(i), "v")
	}
	counted := &countingDriver{Driver: d}
	st, err := storage.Open(t.Context(), counted, object, fence(8, "b", 1), storage.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, st, "3", []byte("v"))
	wantValue(t, st, "x", nil)
	if l, err := st.List(t.Context(), storage.ListOptions{Start: "2", Limit: 2}); err != nil || len(l) != 2 || l[0].Key != "2" {
		t.Errorf("list gives %v, %v", l, err)
	}
	if counted.reads != 0 {
		t.Errorf("%d reads after the claim, want none", counted.reads)
	}
	put(t, st, "3", "w")
	wantValue(t, st, "3", []byte("w"))
	if counted.reads != 1 {
		t.Errorf("%d reads after the first write, want 1", counted.reads)
	}
	for i := range 70 {
		put(t, st, fmt.Sprintf("more%d", i), "v")
	}
	big, err := storage.Open(t.Context(), d, object, fence(9, "b", 2), storage.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, big, "more69", []byte("v")) // too large to be loaded: it is read
}

type countingDriver struct {
	storage.Driver
	reads int
}

func (c *countingDriver) Read(ctx context.Context, object string, f storage.Fence, keys []string) (storage.Values, error) {
	c.reads++
	return c.Driver.Read(ctx, object, f, keys)
}

func objectsApart(t *testing.T, d storage.Driver, object string) {
	one, two := claim(t, d, object, fence(7, "a", 1)), claim(t, d, object+"/k", fence(3, "a", 2))
	put(t, one, "k", "1")
	put(t, two, "k", "2")
	wantValue(t, one, "k", []byte("1"))
	wantValue(t, two, "k", []byte("2"))
	if l, err := two.List(t.Context(), storage.ListOptions{}); err != nil || len(l) != 1 {
		t.Errorf("list gives %v, %v; want one entry", l, err)
	}
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

// behavesAsAMap runs random operations against a driver and a map.
func (s suite) behavesAsAMap(t *testing.T) {
	d := s.open(t)
	object := 0
	key := rapid.StringMatching(`[ab]{1,3}`)
	rapid.Check(t, func(rt *rapid.T) {
		object++
		st, err := storage.Open(t.Context(), d, fmt.Sprintf("%s/%d", t.Name(), object), fence(1, "a", 1), storage.Limits{}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		model := map[string]string{}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				k, v := key.Draw(rt, "key"), rapid.StringN(0, 5, 20).Draw(rt, "value")
				if err := st.Put(t.Context(), k, []byte(v)); err != nil {
					rt.Fatal(err)
				}
				model[k] = v
			},
			"delete": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if err := st.Delete(t.Context(), k); err != nil {
					rt.Fatal(err)
				}
				delete(model, k)
			},
			"get": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				got, err := st.Get(t.Context(), k)
				want, ok := model[k]
				if err != nil || string(got) != want || (got != nil) != ok {
					rt.Fatalf("get %q = %q, %v; want %q, %v", k, got, err, want, ok)
				}
			},
			"list": func(rt *rapid.T) { compareList(rt, t.Context(), st.List, model) },
			"txn": func(rt *rapid.T) {
				next := maps.Clone(model)
				err := st.Txn(t.Context(), func(tx *storage.Txn) error {
					next = maps.Clone(model)
					for range rapid.IntRange(1, 4).Draw(rt, "ops") {
						k := key.Draw(rt, "key")
						if rapid.Bool().Draw(rt, "put") {
							next[k] = k
							tx.Put(k, []byte(k))
						} else {
							delete(next, k)
							tx.Delete(k)
						}
						compareList(rt, t.Context(), tx.List, next)
					}
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
				model = next
			},
		})
	})
}

func compareList(rt *rapid.T, ctx context.Context, list func(context.Context, storage.ListOptions) ([]storage.Entry, error), model map[string]string) {
	o := storage.ListOptions{
		Prefix: rapid.StringMatching(`[ab]{0,2}`).Draw(rt, "prefix"), Start: rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "start"),
		End: rapid.StringMatching(`[ab]{0,3}`).Draw(rt, "end"), Limit: rapid.IntRange(0, 4).Draw(rt, "limit"), Reverse: rapid.Bool().Draw(rt, "reverse"),
	}
	got, err := list(ctx, o)
	if err != nil {
		rt.Fatal(err)
	}
	var want []string
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, o.Prefix) && k >= o.Start && (o.End == "" || k < o.End) {
			want = append(want, k+"="+model[k])
		}
	}
	if o.Reverse {
		slices.Reverse(want)
	}
	if o.Limit > 0 {
		want = want[:min(len(want), o.Limit)]
	}
	var have []string
	for _, e := range got {
		have = append(have, e.Key+"="+string(e.Value))
	}
	if !slices.Equal(have, want) {
		rt.Fatalf("list %+v = %q, want %q", o, have, want)
	}
}
