package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/skewgate/skewgate/host/storage"
)

func transaction(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	put(t, st, "b", "1")
	put(t, st, "d", "1")
	ctx := t.Context()
	boom := errors.New("boom")
	err := st.Txn(ctx, func(tx *storage.Txn) error { return errors.Join(tx.Put("a", []byte("lost")), boom) })
	if !errors.Is(err, boom) {
		t.Errorf("transaction gave %v, want its own error", err)
	}
	wantValue(t, st, "a", nil)
	err = st.Txn(ctx, func(tx *storage.Txn) error {
		v, err := tx.Get(ctx, "b")
		if err != nil {
			return err
		}
		if err := errors.Join(tx.Put("a", append(v, '+')), tx.Delete("b")); err != nil {
			return err
		}
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
					if err != nil {
						return err
					}
					return tx.Put("n", append(v, 'x'))
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

// transactionLists deletes from the beginning of a list that is as long as lists get.
func transactionLists(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	key := func(i int) string { return fmt.Sprintf("%04d", i) }
	const all = storage.MaxList + 3
	for from := 0; from < all; from += 500 {
		err := st.Txn(t.Context(), func(tx *storage.Txn) error {
			for i := from; i < min(from+500, all); i++ {
				if err := tx.Put(key(i), nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := st.Txn(t.Context(), func(tx *storage.Txn) error {
		if err := errors.Join(tx.Delete(key(0)), tx.Delete(key(7))); err != nil {
			return err
		}
		got, err := tx.List(t.Context(), storage.ListOptions{})
		if err == nil && (len(got) != storage.MaxList || got[0].Key != key(1) || got[storage.MaxList-1].Key != key(storage.MaxList+1)) {
			t.Errorf("%d entries, want %d: there are more than were deleted", len(got), storage.MaxList)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// transactionOver uses a transaction after its function has returned.
func transactionOver(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	var kept *storage.Txn
	err := st.Txn(t.Context(), func(tx *storage.Txn) error { kept = tx; return tx.Put("k", []byte("v")) })
	if err != nil {
		t.Fatal(err)
	}
	_, get := kept.Get(t.Context(), "k")
	_, list := kept.List(t.Context(), storage.ListOptions{})
	for what, err := range map[string]error{"put": kept.Put("k", nil), "delete": kept.Delete("k"), "get": get, "list": list} {
		if !errors.Is(err, storage.ErrTxnDone) {
			t.Errorf("%s gave %v, want ErrTxnDone", what, err)
		}
	}
	wantValue(t, st, "k", []byte("v"))
}

// transactionNested begins a transaction in another one's function, and beside it.
func transactionNested(t *testing.T, d storage.Driver, object string) {
	st := claim(t, d, object, fence(7, "a", 1))
	write := func(key string) error {
		return st.Txn(t.Context(), func(tx *storage.Txn) error { return tx.Put(key, []byte("v")) })
	}
	err := st.Txn(t.Context(), func(tx *storage.Txn) error {
		return errors.Join(tx.Put("outer", []byte("v")), write("inner"))
	})
	if !errors.Is(err, storage.ErrNested) {
		t.Errorf("nested: %v, want ErrNested", err)
	}
	wantValue(t, st, "inner", nil)
	wantValue(t, st, "outer", nil)
	beside := make(chan error)
	err = st.Txn(t.Context(), func(tx *storage.Txn) error {
		go func() { beside <- write("beside") }()
		if err := <-beside; err != nil {
			t.Errorf("beside: %v", err)
		}
		return tx.Put("outer", []byte("v"))
	})
	if err != nil {
		t.Errorf("after one beside it: %v", err)
	}
	wantValue(t, st, "beside", []byte("v"))
	wantValue(t, st, "outer", []byte("v"))
}
