package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// ErrDrain says that events did not end in time: the session was not closed,
// so that nobody takes over an object whose event may still run in this
// process. Its objects are served again once its lease has passed, or this process has ended and the lease has passed.
var ErrDrain = errors.New("events still run after the drain's deadline")

// drainGrace is how long events may take to end after their contexts have.
const drainGrace = 5 * time.Second

// drain gives everything up in order: no new objects; each active one is
// released, its running events end; then everything is refused, and once
// nothing runs the session is closed. Closed is final, so that pins which are
// still there move without a gap.
func (s *session) drain() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.h.opt.Drain)
	defer cancel()
	s.log.Info("draining", "deadline", s.h.opt.Drain)
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	if err := s.retry(ctx, func(ctx context.Context) error { return s.h.store.Drain(ctx, s.id()) }); err != nil {
		s.log.Warn("could not mark the session as draining", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.waitUntil(ctx, s.releaseAll) {
		s.logBusy()
	}
	s.closing = true
	for _, o := range s.objects {
		s.endWaiting(o)
	}
	if !s.waitUntil(ctx, s.quiet) {
		s.abandonEvents()
		grace, cancel := context.WithTimeout(s.ctx, drainGrace)
		defer cancel()
		if !s.waitUntil(grace, s.quiet) && !s.over {
			return fmt.Errorf("drain: %w: %d", ErrDrain, s.running)
		}
	}
	if s.over {
		return nil // lapsed meanwhile; lapse has closed it
	}
	s.over = true
	s.cancel(errDrained)
	return nil
}

// releaseAll asks for the release of all that is active and says whether nothing is left. Needs mu.
func (s *session) releaseAll() bool {
	if s.over {
		return true
	}
	idle := true
	for _, o := range s.objects {
		if o.act != nil && o.rel == nil {
			s.askRelease(o, o.act.token, wire.ReleaseNow, s.h.opt.Drain)
		}
		if o.act != nil || o.next != nil || o.rel != nil || len(o.running) > 0 || len(o.loading) > 0 {
			idle = false
		}
	}
	return idle
}

// logBusy says what kept a drain. Needs mu.
func (s *session) logBusy() {
	left := 10
	for k, o := range s.objects {
		if left--; left < 0 {
			return
		}
		s.log.Warn("not released by the drain's deadline", "object", k.String(), "events", len(o.running), "waiting", o.waiting,
			"loading", len(o.loading), "active", o.act != nil, "confirming", o.next != nil, "releasing", o.rel != nil, "scripts", len(o.scripts))
	}
}

// endWaiting refuses what waits on an object, and takes its activation out of service. Needs mu.
func (s *session) endWaiting(o *object) {
	if o.rel != nil {
		s.endRelease(o, releaseLapsed)
	}
	for _, a := range []*activation{o.act, o.next} {
		if a != nil {
			s.retire(a, errDrained, wire.ReasonSession)
		}
	}
}

// quiet says that no event and no user code runs. Needs mu.
func (s *session) quiet() bool {
	if s.over {
		return true
	}
	for _, o := range s.objects {
		if len(o.running) > 0 || len(o.loading) > 0 {
			return false
		}
	}
	return true
}

// abandonEvents ends the contexts of everything that still runs. Needs mu.
func (s *session) abandonEvents() {
	for _, o := range s.objects {
		for _, e := range o.running {
			e.stop(errDrained)
		}
		for _, a := range o.loading {
			a.cancel(errDrained)
		}
	}
}

// closeRecord makes the session final in the store, until answered or until
// the lease has passed for everybody, when a watcher has done it.
func (s *session) closeRecord() {
	ctx, cancel := context.WithTimeout(context.Background(), owners.WatchSpan(s.lease))
	defer cancel()
	if err := s.retry(ctx, func(ctx context.Context) error { return s.h.store.CloseSession(ctx, s.sid) }); err != nil {
		s.log.Warn("session not closed; it ends with its lease", "error", err)
	}
}

// retry calls until it is answered. A fenced session is an answer.
func (s *session) retry(ctx context.Context, call func(context.Context) error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := call(ctx)
		if err == nil || errors.Is(err, owners.ErrFenced) {
			return nil
		}
		t := time.NewTimer(pause + rand.N(pause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}
