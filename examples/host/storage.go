package main

import (
	"context"
	"strconv"

	"github.com/skewgate/skewgate/host/storage"
)

// calls are all that a storage has.
func calls(ctx context.Context, st *storage.Storage) ([]storage.Entry, error) {
	if err := st.Put(ctx, "item/apple", []byte("2")); err != nil {
		return nil, err
	}
	apple, err := st.Get(ctx, "item/apple") // nil: there is none
	if err != nil {
		return nil, err
	}
	if err := st.Put(ctx, "item/pear", apple); err != nil {
		return nil, err
	}
	if err := st.Delete(ctx, "item/plum"); err != nil { // a missing key is no error
		return nil, err
	}
	return st.List(ctx, storage.ListOptions{Prefix: "item/", Reverse: true, Limit: 10}) // also Start and End
}

// move takes one of from and puts it to to, or does nothing.
func move(ctx context.Context, st *storage.Storage, from, to string) error {
	return st.Txn(ctx, func(tx *storage.Txn) error {
		a, err := number(ctx, tx, from)
		if err != nil || a == 0 {
			return err
		}
		b, err := number(ctx, tx, to)
		if err != nil {
			return err
		}
		if err := tx.Put(from, strconv.AppendInt(nil, a-1, 10)); err != nil {
			return err
		}
		return tx.Put(to, strconv.AppendInt(nil, b+1, 10))
	})
}

func number(ctx context.Context, tx *storage.Txn, key string) (int64, error) {
	v, err := tx.Get(ctx, key)
	if err != nil || v == nil {
		return 0, err
	}
	return strconv.ParseInt(string(v), 10, 64)
}
