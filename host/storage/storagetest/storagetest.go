// Package storagetest is one behaviour suite for every storage.Driver.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

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
		"TransactionListsPastItsDeletes":     transactionLists,
		"TransactionThatIsOver":              transactionOver,
		"TransactionInATransaction":          transactionNested,
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
			if err := tx.Put(fmt.Sprint(i), nil); err != nil {
				return err
			}
		}
		return nil
	}
	list := func(limit int) error {
		_, err := st.List(t.Context(), storage.ListOptions{Limit: limit})
		return err
	}
	listIn := func(limit int) error {
		return st.Txn(t.Context(), func(tx *storage.Txn) error {
			_, err := tx.List(t.Context(), storage.ListOptions{Limit: limit})
			return err
		})
	}
	for what, err := range map[string]error{
		"a list of 1001 entries was asked for; 1 to 1000 are given": list(1001),
		"a list of -1 entries was asked for":                        list(-1),
		"a list of 5000 entries was asked for":                      listIn(5000),
		"a list of -2 entries was asked for":                        listIn(-2),
		"the key has 2049 bytes, at most 2048 are allowed":          st.Put(t.Context(), key+"k", nil),
		"the value has 131073 bytes, at most 131072 are allowed":    st.Put(t.Context(), "k", []byte(value+"v")),
		"the key is empty":                                          st.Delete(t.Context(), ""),
		"the transaction has 513 writes, at most 512 are allowed":   st.Txn(t.Context(), many),
	} {
		if !errors.Is(err, storage.ErrLimit) || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want %q", err, what)
		}
	}
	wantValue(t, st, "0", nil)
	put(t, st, "k", "a refusal by a limit does not end the storage")
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
