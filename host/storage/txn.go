package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
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
	done   bool              // its function has returned
}

// Txn runs fn and commits what it wrote. When something else of the same
// activation wrote in between, fn is run again, so it must have no effect of
// its own; after 16 tries Txn gives ErrConflict. Nothing of another
// activation can come in between. Use only tx inside of fn: another Txn there
// is ErrNested, and a write past tx makes each try a conflict.
func (s *Storage) Txn(ctx context.Context, fn func(tx *Txn) error) error {
	if s.nested() {
		return fmt.Errorf("transaction: %w", ErrNested)
	}
	for range txnTries {
		tx := &Txn{s: s, writes: map[string]Op{}, seen: map[string][]byte{}, rev: -1}
		err := tx.run(fn)
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
	return fmt.Errorf("transaction: %w in %d tries; does its function write past tx?", ErrConflict, txnTries)
}

// run calls fn, once.
func (tx *Txn) run(fn func(tx *Txn) error) error {
	tx.s.countTxn(1)
	defer func() { tx.done = true; tx.s.countTxn(-1) }()
	return fn(tx)
}

func (s *Storage) countTxn(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.txns += n
}

// nested says that the caller runs inside of the function of another
// transaction. Only a look at the stack tells that from one beside it.
func (s *Storage) nested() bool {
	s.mu.Lock()
	beside := s.txns
	s.mu.Unlock()
	if beside == 0 {
		return false
	}
	for depth := 64; ; depth *= 2 {
		pcs := make([]uintptr, depth)
		n := runtime.Callers(3, pcs)
		if n == depth {
			continue
		}
		frames := runtime.CallersFrames(pcs[:n])
		for {
			f, more := frames.Next()
			if f.Function == runFunction {
				return true
			}
			if !more {
				return false
			}
		}
	}
}

// runFunction is Txn.run as the runtime calls it.
const runFunction = "github.com/skewgate/skewgate/host/storage.(*Txn).run"

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
	if tx.done {
		return nil, fmt.Errorf("get %q: %w", key, ErrTxnDone)
	}
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
	o, err := o.withLimit()
	if tx.done {
		err = ErrTxnDone
	}
	ask := o
	ask.Limit += len(tx.writes) // as many may be deleted here
	var entries []Entry
	if err == nil {
		var rev int64
		if entries, rev, err = tx.s.list(ctx, ask); err == nil {
			err = tx.at(rev)
		}
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

// Put sets the value of key at commit. It fails only with ErrTxnDone; limits are looked at by the commit.
func (tx *Txn) Put(key string, value []byte) error {
	if tx.done {
		return fmt.Errorf("put %q: %w", key, ErrTxnDone)
	}
	if value == nil {
		value = []byte{}
	}
	tx.writes[key] = Op{Key: key, Value: bytes.Clone(value)}
	return nil
}

// Delete removes key at commit. It fails only with ErrTxnDone.
func (tx *Txn) Delete(key string) error {
	if tx.done {
		return fmt.Errorf("delete %q: %w", key, ErrTxnDone)
	}
	tx.writes[key] = Op{Key: key, Delete: true}
	return nil
}

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
