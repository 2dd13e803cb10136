package host

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
)

// Causes with which contexts of events end.
var (
	errLapsed   = errors.New("the host's lease has passed")
	errReleased = errors.New("the object was released")
	errRevoked  = errors.New("the activation is no longer current")
	errDrained  = errors.New("the host drained before the event ended")
)

// session is one registration of this host and everything that may be done
// under it. A host that lost its lease makes a new one and keeps nothing of
// the old: activations, queues, releases and sockets hang on their session and end with it.
type session struct {
	h     *Host
	sid   string // changes only without faults.Fresh: read under mu, or when over
	lease time.Duration
	log   *slog.Logger

	ctx    context.Context // ends when the session is over
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	until    time.Duration // on owners.Now; 0 before the first registration
	seen     time.Duration // the last reading of that clock: one costs a system call
	lapsing  *time.Timer   // fires at until, whatever a renewal is waiting for
	epoch    string
	runID    string
	n        int64 // of claims
	objects  map[owners.Key]*object
	released *released
	refusals refusals
	running  int // events
	waiting  int // events, of all objects
	active   int // activations
	idlers   idlers
	turns    turns
	draining bool
	closing  bool          // refuse everything
	over     bool          // lapsed or closed
	changed  chan struct{} // closed when something has ended; nil while nobody waits
}

func newSession(parent context.Context, h *Host) *session {
	s := &session{
		h: h, sid: owners.NewSID(), lease: h.opt.Lease,
		objects: map[owners.Key]*object{}, released: newReleased(h.releasedCap()),
	}
	s.log = h.opt.Logger.With("session", s.sid)
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(parent))
	return s
}

// id is the session's, for who does not hold mu.
func (s *session) id() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sid
}

// keep registers and renews until the session is over or ctx ends. It returns
// when the session lapsed (nil) or ctx ended.
func (s *session) keep(ctx context.Context) error {
	for {
		pause := s.renew(ctx)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// watchLease makes the lease end in time when nobody comes to the gate. Needs mu.
func (s *session) watchLease() {
	left := s.until - s.h.now()
	if s.lapsing != nil {
		s.lapsing.Reset(left)
		return
	}
	s.lapsing = time.AfterFunc(left, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.until > 0 && s.valid() && s.on(faults.Lease) { // the timer's clock stands still while the machine sleeps
			s.watchLease()
		}
	})
}

// renew sends one renewal and says how long to wait for the next.
func (s *session) renew(ctx context.Context) time.Duration {
	t0 := s.h.now() // before the renewal is sent
	s.h.opt.Faults.Reach(faults.BeforeRenew, "")
	health := s.health()
	var r owners.Renewal
	var err error
	s.mu.Lock()
	sid, registered := s.sid, s.until > 0
	s.mu.Unlock()
	if !registered { // not ready: whoever placed an object here before the answer has come would be refused
		r, err = s.h.store.Register(ctx, owners.Registration{
			SID: sid, Addr: s.h.addr, Name: s.h.opt.Name, App: s.h.opt.App, Version: s.h.opt.Version, Preview: s.h.opt.Preview,
			Classes: s.h.classNames(), Lease: s.lease,
		})
	} else {
		r, err = s.h.store.Renew(ctx, sid, health)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
	case s.until > 0 && !s.valid(): // even if the reply says yes
	case errors.Is(err, owners.ErrFenced):
		s.lapse("the session is fenced")
	case err != nil:
		if ctx.Err() == nil {
			s.log.Warn("renewal failed", "error", err)
		}
		return s.lease/32 + rand.N(s.lease/32)
	case s.epoch != "" && r.EpochID != s.epoch && s.on(faults.Epoch):
		s.lapse("the store lost its data")
	default:
		if !registered {
			s.log.Info("registered", "addr", s.h.addr, "lease", s.lease)
		}
		s.renewed(t0, r)
		if !registered && health.Ready {
			return 0 // to say so
		}
	}
	return s.lease / 4
}

func (s *session) renewed(t0 time.Duration, r owners.Renewal) {
	s.until = max(s.until, t0+owners.HostSpan(s.lease))
	s.watchLease()
	s.epoch = r.EpochID
	if s.runID != "" && r.RunID != s.runID && s.on(faults.Reconfirm) {
		s.log.Warn("another store answers; confirming active objects", "objects", s.active)
		s.reconfirm()
	}
	s.runID = r.RunID
	if r.Wanted == owners.WantedDrain && !s.draining {
		s.log.Info("an operator wants this host to drain")
		s.h.askDrain()
	}
}

func (s *session) health() owners.Health {
	ready := s.h.opt.Ready == nil || s.h.opt.Ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	return owners.Health{Ready: ready, Objects: s.active, InFlight: s.running}
}

// look reads the clock. Needs mu.
func (s *session) look() time.Duration {
	s.seen = s.h.now()
	return s.seen
}

// valid says whether the lease stands now; if it has passed, the session lapses. Needs mu.
func (s *session) valid() bool {
	if s.over {
		return false
	}
	if s.look() < s.until || s.until > 0 && !s.on(faults.Lease) {
		return true
	}
	if s.until > 0 {
		s.lapse("the lease has passed")
	}
	return false
}

// lapse ends the session: nothing starts under it again, contexts of its
// events end, everything that waits is refused. Needs mu.
func (s *session) lapse(why string) {
	if s.over {
		return
	}
	if !s.on(faults.Fresh) { // a negative control: the old session's objects live on under a new one
		s.sid, s.until, s.epoch = owners.NewSID(), 0, ""
		return
	}
	s.over = true
	s.log.Warn("session is over", "why", why, "objects", s.active, "events", s.running)
	s.record(faults.Lapsed, nil, 0, why)
	if s.lapsing != nil {
		s.lapsing.Stop()
	}
	for _, o := range s.objects {
		s.endObject(o, errLapsed)
	}
	s.cancel(errLapsed)
	s.wake()
}

// on says that a protection stands; tests switch them off.
func (s *session) on(p faults.Protection) bool { return s.h.opt.Faults.On(p) }

func (s *session) record(k faults.Kind, o *object, token int64, reason string) {
	if f := s.h.opt.Faults; f != nil && f.Trace != nil {
		r := faults.Record{Kind: k, Session: s.sid, Token: token, Reason: reason}
		if o != nil {
			r.Object = o.key.String()
		}
		f.Trace(r)
	}
}

// wake tells whoever waits for something to end. Needs mu.
func (s *session) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// waitUntil waits until ok, asked whenever something has ended, is true; false
// means that ctx ended first. Needs mu, which it gives up meanwhile.
func (s *session) waitUntil(ctx context.Context, ok func() bool) bool {
	for !ok() {
		if ctx.Err() != nil {
			return false
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
	return true
}

// goCall runs a call to the outside; Run waits for it. After that none is run:
// an event that has outlived the host ends with the process. Needs mu.
func (s *session) goCall(f func()) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if !s.h.wound {
		s.h.wg.Go(f)
	}
}

// sleep waits, at most until the session is over.
func (s *session) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
