package storagetest

import (
	"bytes"
	"errors"
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
