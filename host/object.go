package host

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// ErrStale says that this instance is no longer the owner of its object.
var ErrStale = storage.ErrStale

// Object is one activation of one object on this host. It is given to
// Activate, and to handlers by FromContext. It is safe for concurrent use.
type Object struct {
	act   *activation
	store *storage.Storage
	value any
}

type eventKey struct{}

// FromContext gives the object of the running event, or nil outside of one.
func FromContext(ctx context.Context) *Object {
	e, _ := ctx.Value(eventKey{}).(*event)
	if e == nil {
		return nil
	}
	return e.act.object
}

// Key names the object.
func (o *Object) Key() owners.Key { return o.act.o.key }

// Token is the fencing token of this activation; it grows with every change of owner.
func (o *Object) Token() int64 { return o.act.token }

// Value is what Activate returned.
func (o *Object) Value() any { return o.value }

// Storage keeps the object's values, fenced: after somebody else took the
// object over, every access fails with ErrStale.
func (o *Object) Storage() *storage.Storage { return o.store }

// Document claims this object's document in a store of one's own and loads it.
// A Save that finds another owner, or does not learn its outcome, ends this
// activation as the host's own storage does: contexts end, answers are
// withheld, and the next event activates anew. It is independent of Options.Storage, which may be "none".
func (o *Object) Document(ctx context.Context, store storage.Conditional) (*storage.Document, error) {
	a := o.act
	return storage.Claim(ctx, store, a.s.h.storageKey(a.o.key), o.Fence(), func(err error) { a.s.told(a, err) })
}

// Fence is what a store of one's own keeps beside its values, where Document is not what it needs.
func (o *Object) Fence() storage.Fence {
	return storage.Fence{Token: o.act.token, Session: o.act.sid, N: o.act.n}
}

// Context ends when this activation is over, with the reason as its cause.
func (o *Object) Context() context.Context { return o.act.ctx }

// Logger adds object and token to each line.
func (o *Object) Logger() *slog.Logger {
	return o.act.s.h.opt.Logger.With("object", o.act.o.key.String(), "token", o.act.token)
}

// Confirm asks the store, durably, whether this activation still owns its
// object; do so before a side effect outside of its storage. The answer is of
// the moment of asking: it narrows the window in which a stale instance acts, it does not close it.
func (o *Object) Confirm(ctx context.Context) error {
	s := o.act.s
	if err := o.standing(); err != nil {
		return err
	}
	ok, err := s.h.store.Confirm(ctx, o.act.o.key, o.act.sid, o.act.token)
	if err != nil {
		return fmt.Errorf("confirm %s: %w", o.act.o.key, err)
	}
	if !ok {
		return fmt.Errorf("confirm %s: %w", o.act.o.key, ErrStale)
	}
	return o.standing()
}

func (o *Object) standing() error {
	s := o.act.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.valid() || o.act.over {
		return fmt.Errorf("%s: %w", o.act.o.key, ErrStale)
	}
	return nil
}

// ActivateAnew says that what this activation has in memory is not to be relied
// on: when the running event ends the activation is over, in good order, and the
// object's next event, here unless the object moves, loads from storage. Streams and sockets are
// closed as in a release. It is for who cannot tell how far an event came.
func (o *Object) ActivateAnew() {
	s := o.act.s
	s.mu.Lock()
	defer s.mu.Unlock()
	o.act.worn = true
}

// Release says that the object has no further use of this host: it is let go
// as soon as nothing waits for it or runs.
func (o *Object) Release() {
	s := o.act.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !o.act.over {
		s.askRelease(o.act.o, o.act.token, wire.ReleaseWhenIdle, time.Minute)
	}
}
