package host

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/wire"
)

// activation is one token of one object on this host: from its first request,
// through CONFIRM and CLAIM → LOAD, to its release or revocation.
type activation struct {
	o       *object
	s       *session
	token   int64
	sid     string
	n       int64         // of the claim
	sure    bool          // CONFIRM was answered OK
	ready   bool          // claimed, loaded, confirmed: events may start
	live    bool          // value is made and not ended yet
	revoked bool          // lost: nothing of it may leave or be stored
	over    bool          // revoked, released or succeeded
	worn    bool          // over when an event ends: its memory is not to be relied on
	settled chan struct{} // closed when ready or over; made on demand
	queue   []*event
	events  int // exclusive ones that run
	all     int // events and streams that run
	last    time.Duration
	idle    *time.Timer
	idler   *list.Element // in session.idlers
	turn    turn

	attached map[*event]bool
	object   *Object // what user code sees; its storage and value are set before ready
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

func (s *session) newActivation(o *object, token int64) *activation {
	a := &activation{o: o, s: s, token: token, sid: s.sid, attached: map[*event]bool{}}
	a.ctx, a.cancel = context.WithCancelCause(s.ctx)
	a.object = &Object{act: a, store: storage.Closed(storage.ErrStale)}
	return a
}

// verify confirms a newer token beside the activation that serves. Needs mu.
func (s *session) verify(o *object, token int64) *activation {
	if o.next != nil {
		s.revoke(o.next, errRevoked, wire.ReasonStale)
	}
	a := s.newActivation(o, token)
	o.next = a
	s.confirm(a)
	return a
}

// confirm asks the store, durably, whether the pin is still a's. OK makes the
// token believed; NO and unknown end the activation. Needs mu.
func (s *session) confirm(a *activation) {
	o := a.o
	if !s.on(faults.Confirm) {
		s.confirmed(a)
		return
	}
	sid, token := a.sid, a.token
	s.goCall(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.lease/2)
		ok, err := s.h.store.Confirm(ctx, o.key, sid, token)
		cancel()
		s.h.reach(faults.ConfirmToClaim, o.key)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over || a.over {
			return
		}
		if err != nil || !ok {
			if err != nil {
				s.log.Debug("confirm failed", "object", o.key, "token", a.token, "error", err)
			}
			s.revoke(a, errRevoked, wire.ReasonStale)
			return
		}
		s.confirmed(a)
	})
}

// confirmed believes a's token: it takes over from an older one, or goes on
// after another store answered. Needs mu.
func (s *session) confirmed(a *activation) {
	o := a.o
	a.sure = true
	if o.next == a {
		s.succeed(o, a)
	}
	if a.live {
		a.ready = true
		a.signal()
		s.pump(a)
		s.note(a)
		return
	}
	s.claim(a)
}

// succeed puts a newer, confirmed token in place of the one that serves. The
// old one's events end by themselves. Needs mu.
func (s *session) succeed(o *object, a *activation) {
	o.next = nil
	if old := o.act; old != nil {
		s.released.add(o.key, old.token)
		s.retire(old, errReleased, wire.ReasonReleased)
	} else if err := s.makeRoom(); err != nil {
		s.fail(a, err, errRevoked)
		return
	}
	o.act = a
	s.active++
	if r := o.rel; r != nil && !r.final && r.token < a.token {
		s.endRelease(o, releaseDone) // its token is over
	}
}

// claim takes the storage and makes the value, once nothing of an earlier activation runs here. Needs mu.
func (s *session) claim(a *activation) {
	o := a.o
	if a.over || o.act != a || a.live || a.isLoading() || s.over {
		return
	}
	if a.turn.limit == nil {
		s.limitActivation(a)
	}
	if len(o.running) > 0 || len(o.loading) > 0 {
		return // advance comes back when they have ended
	}
	if !s.takeTurn(a) {
		return
	}
	if s.on(faults.N) || s.n == 0 {
		s.n++
	}
	a.n = s.n
	o.loading = append(o.loading, a)
	f := storage.Fence{Token: a.token, Session: a.sid, N: a.n}
	s.goCall(func() {
		err := s.load(a, f)
		s.mu.Lock()
		defer s.mu.Unlock()
		o.loaded(a)
		s.loadedOrLost(a, err)
		s.advance(o)
		s.endTurn(a)
	})
}

func (s *session) loadedOrLost(a *activation, err error) {
	switch {
	case a.over:
		s.endValue(a)
	case errors.Is(err, storage.ErrStale) || errors.Is(err, storage.ErrUnknown):
		s.lost(a, err)
	case err != nil:
		s.log.Error("activation failed", append([]any{"object", a.o.key, "token", a.token}, thrown(err)...)...)
		s.fail(a, &failedError{wire.UpstreamFailed, fmt.Errorf("activate %s: %w", a.o.key, err)}, errRevoked)
	default:
		a.ready = true
		a.last = s.h.now()
		a.signal()
		s.pump(a)
	}
}

// load runs without the lock: CLAIM → LOAD, then the user's Activate.
func (s *session) load(a *activation, f storage.Fence) error {
	key, d := a.o.key, s.h.storage
	st := storage.Closed(storage.ErrNone)
	if d != nil {
		var err error
		if st, err = storage.Open(a.ctx, d, s.h.storageKey(key), f, s.h.opt.Limits, func(err error) { s.told(a, err) }); err != nil {
			return err
		}
	}
	s.mu.Lock()
	a.object.store = st
	over := a.over
	s.mu.Unlock()
	if over {
		st.Close()
		return storage.ErrStale
	}
	v, err := s.h.classes[key.Class].make(a)
	if err != nil {
		st.Close()
		return err
	}
	st.Loaded()
	s.mu.Lock()
	a.object.value, a.live = v, true
	s.mu.Unlock()
	return nil
}

// reconfirm is called when another server answers for the store: each active
// pin is confirmed before its object's next event. Needs mu.
func (s *session) reconfirm() {
	for _, o := range s.objects {
		if o.next != nil {
			s.revoke(o.next, errRevoked, wire.ReasonStale) // its CONFIRM may have been answered by the old one
		}
		a := o.act
		if a == nil {
			continue
		}
		if !a.ready {
			s.revoke(a, errRevoked, wire.ReasonStale)
			continue
		}
		a.ready = false
		s.note(a)
		s.confirm(a)
	}
}

// signal wakes who waits for the activation to be ready or over. Needs mu.
func (a *activation) signal() {
	if a.settled != nil {
		close(a.settled)
		a.settled = nil
	}
}

func (a *activation) settledCh() <-chan struct{} {
	if a.settled == nil {
		a.settled = make(chan struct{})
	}
	return a.settled
}

// storage gives what the activation's events use.
func (a *activation) storage() *storage.Storage { return a.object.store }
