package host

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// releaseEnd says how a RELEASE ended.
type releaseEnd int

const (
	releaseDone    releaseEnd = iota // the pin is not this session's under that token any more
	releaseAborted                   // the deadline passed before the object was idle: it goes on here
	releaseLapsed                    // the session is over
)

// release is one RELEASE under way. Its steps: mark (unless when-idle), wait
// until nothing runs, drop, run the script until answered, answer the parked.
// The deadline may end it only before the script is first sent: afterwards the
// pin may be somebody else's already. Guarded by the session's mu.
type release struct {
	token    int64
	to       string // session that shall own the object next, "" for any
	whenIdle bool   // does not mark
	final    bool   // nothing runs, the script is being sent
	parked   []*event
	timer    *time.Timer
	done     chan struct{}
	end      releaseEnd
}

// marked says that requests are parked and messages are not delivered.
func (r *release) marked() bool { return !r.whenIdle || r.final }

// askRelease begins a release of token on o, or joins the one under way. It
// gives nil when there is nothing here to release under that token. Needs mu.
func (s *session) askRelease(o *object, token int64, mode string, deadline time.Duration) *release {
	if !s.valid() || s.closing {
		return nil
	}
	if r := o.rel; r != nil {
		if r.whenIdle && mode != wire.ReleaseWhenIdle && r.token == token {
			r.whenIdle = false
			s.mark(o)
			s.limit(o, deadline)
		}
		return r
	}
	a := o.act
	switch {
	case s.gone(o, token):
		s.repair(o, token)
		return nil
	case a != nil && a.token < token: // unheard of: believed only when confirmed
		if o.next == nil {
			s.verify(o, token)
		}
		return nil
	case a != nil && a.token > token:
		return nil
	}
	o.rel = &release{token: token, whenIdle: mode == wire.ReleaseWhenIdle, done: make(chan struct{})}
	if mode != wire.ReleaseWhenIdle {
		s.mark(o)
	}
	r := o.rel
	if a != nil {
		s.note(a)
	}
	s.limit(o, deadline)
	s.maybeRelease(o)
	return r
}

// mark parks what waits and closes sockets. Needs mu.
func (s *session) mark(o *object) {
	a := o.act
	if a == nil {
		return
	}
	if s.on(faults.Mark) {
		for e := range a.attached {
			e.closing(errReleased)
		}
	}
	o.rel.parked = append(o.rel.parked, a.queue...)
	a.queue = nil
}

// limit sets the time after which the release is given up unless its script was sent. Needs mu.
func (s *session) limit(o *object, deadline time.Duration) {
	r := o.rel
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(deadline, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if o.rel == r && (!r.final || !s.on(faults.Sent)) {
			s.endRelease(o, releaseAborted)
		}
	})
}

// busy says whether anything with a token up to this one runs here. Needs mu.
func (s *session) busy(o *object, token int64) bool {
	if !s.on(faults.Idle) {
		return false
	}
	for _, e := range o.running {
		if e.act.token <= token {
			return true
		}
	}
	for _, a := range o.loading {
		if a.token <= token {
			return true
		}
	}
	return false
}

// maybeRelease is called whenever the object may have become idle. Needs mu.
func (s *session) maybeRelease(o *object) {
	r, a := o.rel, o.act
	if r == nil || r.final || s.over || s.busy(o, r.token) {
		return
	}
	if r.whenIdle && a != nil && (!a.ready || len(a.queue) > 0) {
		return
	}
	r.final = true
	if a == nil {
		s.script(o, r.token)
		return
	}
	r.parked = append(r.parked, a.queue...)
	a.queue = nil
	if a.sure {
		s.released.add(o.key, r.token)
	}
	s.retire(a, errReleased, wire.ReasonReleasing)
	s.script(o, r.token) // it waits for the value's Close, if there is one
}

// endRelease answers the parked requests: by the gate, which refuses them if
// the object has left and lets them in if the release was aborted. Needs mu.
func (s *session) endRelease(o *object, end releaseEnd) {
	r := o.rel
	o.rel = nil
	r.end = end
	if r.final && end == releaseAborted && !s.on(faults.Sent) { // a negative control
		s.released.forget(o.key)
	}
	r.timer.Stop()
	for _, e := range r.parked {
		if e.state == waiting {
			s.arrive(e)
		}
	}
	r.parked = nil
	close(r.done)
	if a := o.act; a != nil {
		if end == releaseAborted {
			s.pump(a)
		}
		s.note(a)
	}
	s.tidy(o)
	s.wake()
}

// repair runs the release script for a token that can never be used again
// here: after a rollback of the store its pin may stand, and nobody else could
// acquire it. Needs mu.
func (s *session) repair(o *object, token int64) {
	if !s.over && s.on(faults.Repair) {
		s.script(o, token)
	}
}

// script is one release script under way.
type script struct{ done chan struct{} }

// script runs release(o, sid, token) until it is answered; at most one for
// each token, and never while an event with a token up to this one runs here. Needs mu.
func (s *session) script(o *object, token int64) *script {
	if sc := o.scripts[token]; sc != nil {
		return sc
	}
	sc, sid := &script{done: make(chan struct{})}, s.sid
	o.scripts[token] = sc
	s.goCall(func() {
		defer close(sc.done)
		most := min(s.lease/8, time.Second) // the object serves nobody until then: once the store is back it is soon
		for pause := 20 * time.Millisecond; s.waitIdle(o, token); pause = min(2*pause, most) {
			if s.runScript(o, sid, token) || !s.on(faults.Again) {
				return
			}
			s.sleep(pause + rand.N(pause))
		}
	})
	return sc
}

// waitIdle waits until nothing runs; false means that the session is over.
func (s *session) waitIdle(o *object, token int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waitUntil(s.ctx, func() bool { return s.over || !s.busy(o, token) }) && !s.over
}

// runScript sends the script once; false means that it must be sent again.
func (s *session) runScript(o *object, sid string, token int64) bool {
	s.h.reach(faults.BeforeRelease, o.key)
	s.mu.Lock()
	above := o.sureAbove(token) // before the script is sent: what is acquired afterwards says nothing of its answer
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, s.lease/2)
	pin, ok, err := s.h.store.Release(ctx, o.key, sid, token)
	if err == nil && ok {
		s.handOver(ctx, o, pin)
	}
	cancel()
	s.h.reach(faults.AfterRelease, o.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return true
	}
	if err != nil {
		s.log.Debug("release failed", "object", o.key, "token", token, "error", err)
		return false
	}
	if r := o.rel; r != nil && r.final && r.token == token {
		if pin.Token >= token {
			s.released.add(o.key, token) // the reply proves that the token was real
		}
		s.endRelease(o, releaseDone)
	}
	delete(o.scripts, token) // not earlier: refusing what was parked would repair what has just been released
	if a := o.act; ok && a != nil && a == above {
		// The pin fell back behind the token that is active here: let go.
		s.askRelease(o, a.token, wire.ReleaseNow, s.h.opt.Drain)
	}
	s.tidy(o)
	return true
}

// handOver gives an object that was just released to the session that the
// mover named, before those who wait are told that it has left: the first of
// them would place it elsewhere. Where it fails they do.
func (s *session) handOver(ctx context.Context, o *object, pin owners.Pin) {
	s.mu.Lock()
	to := ""
	if r := o.rel; r != nil && r.final && r.token == pin.Token {
		to = r.to
	}
	s.mu.Unlock()
	if to == "" {
		return
	}
	_, won, err := s.h.store.Acquire(ctx, owners.Acquire{Key: o.key, Expect: pin, SID: to, Floor: pin.Token})
	if err != nil || !won {
		s.log.Debug("not handed over", "object", o.key, "to", to, "error", err)
	}
}

// sureAbove gives the activation of a confirmed token above this one, if there is one. Needs mu.
func (o *object) sureAbove(token int64) *activation {
	if a := o.act; a != nil && a.sure && a.token > token {
		return a
	}
	return nil
}
