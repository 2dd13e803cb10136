package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// txnTries is how often a transaction is run again that lost against a concurrent write of the same activation.
const txnTries = 16

// Txn is a transaction: it sees the object as it was at its first read, plus
// its own writes; all its writes happen at once when its function returns nil,
// or none. It is not safe for concurrent use.
type Txn struct {
	s      *Storage
	writes map[string]Op
	seen   map[string][]byte // what was read, so that a second read gives the same
	rev    int64             // of the first read; -1 before
}

// Txn runs fn and commits what it wrote. When something else of the same
// activation wrote in between, fn is run again, so it must have no effect of
// its own; after 16 tries Txn gives ErrConflict. Nothing of another
// activation can come in between. Use only tx inside of fn.
func (s *Storage) Txn(ctx context.Context, fn func(tx *Txn) error) error {
	for range txnTries {
		tx := &Txn{s: s, writes: map[string]Op{}, seen: map[string][]byte{}, rev: -1}
		err := fn(tx)
		if errors.Is(err, errRevision) {
			continue
		}
		if err != nil {
			return err
		}
		err = tx.commit(ctx)
		if !errors.Is(err, errRevision) {
			return err
		}
	}
	return fmt.Errorf("transaction: %w", ErrConflict)
}

func (tx *Txn) commit(ctx context.Context) error {
	if len(tx.writes) == 0 {
		return nil
	}
	b := Batch{IfRevision: tx.rev}
	for _, k := range slices.Sorted(maps.Keys(tx.writes)) {
		b.Ops = append(b.Ops, tx.writes[k])
	}
	if err := tx.s.write(ctx, b); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Get reads the value of key; nil means that there is none.
func (tx *Txn) Get(ctx context.Context, key string) ([]byte, error) {
	if op, ok := tx.writes[key]; ok {
		return bytes.Clone(op.Value), nil
	}
	if v, ok := tx.seen[key]; ok {
		return bytes.Clone(v), nil
	}
	v, rev, err := tx.s.read(ctx, key)
	if err == nil {
		err = tx.at(rev)
	}
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	tx.seen[key] = v
	return bytes.Clone(v), nil
}

// List reads entries in key order, this transaction's writes merged in.
func (tx *Txn) List(ctx context.Context, o ListOptions) ([]Entry, error) {
	if o.Limit <= 0 || o.Limit > MaxList {
		o.Limit = MaxList
	}
	ask := o
	ask.Limit = min(o.Limit+len(tx.writes), MaxList) // as many may be deleted here
	entries, rev, err := tx.s.list(ctx, ask)
	if err == nil {
		err = tx.at(rev)
	}
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", o.Prefix, err)
	}
	all := make(map[string][]byte, len(entries)+len(tx.writes))
	for _, e := range entries {
		all[e.Key] = e.Value
	}
	// Past the last key that was read the store may have more than it gave.
	full := len(entries) == ask.Limit
	for k, op := range tx.writes {
		switch {
		case op.Delete:
			delete(all, k)
		case !full || !past(k, entries[len(entries)-1].Key, o.Reverse):
			all[k] = op.Value
		}
	}
	return o.apply(all), nil
}

func past(key, last string, reverse bool) bool {
	if reverse {
		return key < last
	}
	return key > last
}

// Put sets the value of key at commit.
func (tx *Txn) Put(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	tx.writes[key] = Op{Key: key, Value: bytes.Clone(value)}
}

// Delete removes key at commit.
func (tx *Txn) Delete(key string) { tx.writes[key] = Op{Key: key, Delete: true} }

// at holds all reads to one revision.
func (tx *Txn) at(rev int64) error {
	if tx.rev == -1 {
		tx.rev = rev
	}
	if tx.rev != rev {
		return errRevision
	}
	return nil
}
