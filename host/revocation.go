package host

import (
	"errors"
	"io"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/wire"
)

// told is how storage says that it refused the activation or does not know an outcome.
func (s *session) told(a *activation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost(a, err)
}

// lost ends an activation that storage refused (its token can never be used
// again) or that does not know what it stored (its memory is worthless). Needs mu.
func (s *session) lost(a *activation, err error) {
	var stale *storage.StaleError
	known := errors.As(err, &stale)
	if known {
		s.released.saw(a.o.key, stale.Current)
	}
	s.log.Warn("activation lost", "object", a.o.key, "token", a.token, "error", err)
	over := a.over
	s.revoke(a, errRevoked, wire.ReasonStale)
	// A refusal at the same token is a delayed claim of this session's own; the next n passes.
	if known && !over && !s.over && (stale.Current > a.token || !a.live) {
		s.released.add(a.o.key, a.token)
		s.repair(a.o, a.token)
	}
}

// fail ends an activation that cannot be made ready: waiting events get err, the next request tries again. Needs mu.
func (s *session) fail(a *activation, err, why error) {
	for _, e := range a.queue {
		s.settle(e, err)
	}
	a.queue = nil
	s.revoke(a, why, wire.ReasonStale)
}

// revoke ends an activation at once: its contexts end, its storage is closed,
// its queue is refused, what its events made is withheld. Needs mu.
func (s *session) revoke(a *activation, why error, reason string) {
	a.revoked = true
	a.object.store.Close() // before the contexts end: a late access shall learn why
	a.cancel(why)
	for _, e := range a.o.running {
		if e.act == a {
			e.stop(why)
		}
	}
	s.retire(a, why, reason)
	s.advance(a.o)
}

// retire takes an activation out of service. Its running events may end. Needs mu.
func (s *session) retire(a *activation, why error, reason string) {
	if a.over {
		return
	}
	a.over, a.ready = true, false
	if a.o.act == a {
		a.o.act = nil
		s.active--
	}
	if a.o.next == a {
		a.o.next = nil
	}
	for _, t := range []*time.Timer{a.idle, a.turn.limit} {
		if t != nil {
			t.Stop()
		}
	}
	s.note(a)
	for _, e := range a.queue {
		if e.state == waiting {
			s.settle(e, s.refusal(a.o, e.st, reason))
		}
	}
	a.queue = nil
	for e := range a.attached {
		e.closing(why)
	}
	a.signal()
	s.endValue(a)
}

// endValue tells the user's value that its activation is over, after its last event. Needs mu.
func (s *session) endValue(a *activation) {
	if !a.live || a.all > 0 {
		return
	}
	a.live = false
	c, ok := a.object.value.(io.Closer)
	if !ok {
		a.object.store.Close()
		a.cancel(errReleased)
		return
	}
	a.o.loading = append(a.o.loading, a) // a successor on this host waits for it
	s.goCall(func() {
		if err := closeValue(c); err != nil {
			s.log.Warn("close of an object failed", append([]any{"object", a.o.key, "token", a.token}, thrown(err)...)...)
		}
		a.object.store.Close()
		a.cancel(errReleased)
		s.mu.Lock()
		defer s.mu.Unlock()
		a.o.loaded(a)
		s.advance(a.o)
	})
}

func closeValue(c io.Closer) (err error) {
	defer caught(&err)
	return c.Close()
}

// endObject ends everything of an object with its session. Needs mu.
func (s *session) endObject(o *object, why error) {
	if o.act != nil {
		s.revoke(o.act, why, wire.ReasonLease)
	}
	if o.next != nil {
		s.revoke(o.next, why, wire.ReasonLease)
	}
	for _, e := range o.running { // of activations that were over already
		e.act.revoked = true
		e.stop(why)
	}
	if o.rel != nil {
		s.endRelease(o, releaseLapsed)
	}
}
