package owners

import (
	"context"
	"fmt"
)

// Epoch is one life of the store's data. Missing (ID "") after the store lost
// them: nobody acquires until a watcher began a new epoch and watched it hold
// for longer than any lease.
type Epoch struct {
	ID   string
	Open bool
}

// Epoch reads the epoch.
func (s *Store) Epoch(ctx context.Context) (Epoch, error) {
	v, err := s.rdb.HMGet(ctx, keyEpoch, "id", "s").Result()
	if err != nil {
		return Epoch{}, fail("read epoch", false, err)
	}
	return epochOf(v), nil
}

func epochOf(v []any) Epoch {
	r := reply{fields: v}
	return Epoch{ID: r.text(0), Open: r.text(1) == "open"}
}

// BeginEpoch starts a held epoch on a store that has none; it returns the one that stands.
func (s *Store) BeginEpoch(ctx context.Context) (Epoch, error) {
	return s.onEpoch(ctx, "begin epoch", s.scripts.epochBegin, []string{keyEpoch}, random128())
}

// OpenEpoch opens the held epoch id. Only who watched it hold for longer than
// any lease may call it.
func (s *Store) OpenEpoch(ctx context.Context, id string) (Epoch, error) {
	return s.onEpoch(ctx, "open epoch", s.scripts.epochOpen, []string{keyEpoch}, id)
}

// Init opens the epoch of a store of which the operator says that it has no
// hosts yet; ErrSessions when it has sessions. On an open store it does nothing.
func (s *Store) Init(ctx context.Context) error {
	_, err := s.onEpoch(ctx, "init store", s.scripts.init, []string{keyEpoch, keySessions, keyEnded}, random128())
	return err
}

func (s *Store) onEpoch(ctx context.Context, op string, sc Script, keys []string, id string) (Epoch, error) {
	r, err := s.run(ctx, sc, keys, id)
	if err != nil {
		return Epoch{}, fmt.Errorf("%s: %w", op, err)
	}
	if r.status == "sessions" {
		return Epoch{}, fmt.Errorf("%s: %w", op, ErrSessions)
	}
	return epochOf(r.fields), nil
}
