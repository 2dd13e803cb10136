package host

import (
	"context"
	"fmt"
	"time"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// stamp is what a gateway says of a request.
type stamp struct {
	key   owners.Key
	sid   string
	token int64
}

// refusedError says that the gate refused; nothing has run.
type refusedError struct{ wire.Refusal }

func (e *refusedError) Error() string { return "refused: " + e.String() }

// failedError says that the object could not be made ready; nothing of the event has run.
type failedError struct {
	code wire.Code
	err  error
}

func (e *failedError) Error() string { return e.err.Error() }
func (e *failedError) Unwrap() error { return e.err }

// kind says how an event shares its object.
type kind int

const (
	exclusive kind = iota // one of Options.Concurrency at a time
	stream                // beside the others; each of its messages passes the gate
)

// eventState is where an event stands.
type eventState int

const (
	waiting  eventState = iota // queued behind others, or parked behind a release
	started                    // its handler may run
	attached                   // its socket or stream lives beside the queue
	done
)

// event is one request at the gate. Fields are fixed, or guarded by the session's mu.
type event struct {
	s    *session
	o    *object
	st   stamp
	kind kind

	ctx eventContext // of the handler; ends when the activation is revoked
	out outputGate   // of an event over HTTP

	act     *activation // since it was admitted
	begun   bool        // its handler may run: ctx is made
	state   eventState
	ready   chan struct{} // closed when the wait is over; nil when it did not wait
	err     error         // why it was not started
	closing func(error)   // ends the attached socket or stream and then its context; does not block

	upgrade  string // protocol of the upgrade, if there was one
	answered bool   // 101 has left through WriteHeader
}

// admit takes an event through the gate, waits for its turn and returns with
// the event started, or with a *refusedError, a *failedError or ctx's error.
func (h *Host) admit(ctx context.Context, st stamp, k kind) (*event, error) {
	s := h.session()
	if s == nil {
		return nil, &refusedError{wire.Refusal{Reason: wire.ReasonLease}}
	}
	e := &event{s: s, st: st, kind: k}
	s.mu.Lock()
	e.o = s.object(st.key)
	s.arrive(e)
	wait := e.ready
	s.tidy(e.o)
	s.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, e.abandon(ctx.Err())
		}
	}
	if e.err != nil {
		return nil, e.err
	}
	return e, e.begin(ctx)
}

// begin is the last look before the handler runs: whatever paused this
// goroutine since its turn came has paused it before this line.
func (e *event) begin(ctx context.Context) error {
	e.s.h.reach(faults.GateToHandler, e.st.key)
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	reason := ""
	switch {
	case !e.s.valid():
		reason = wire.ReasonLease
	case e.act.revoked:
		reason = wire.ReasonStale
	}
	if reason != "" {
		e.err = e.s.refusal(e.o, e.st, reason)
		e.finish()
		return e.err
	}
	e.ctx.Context, e.ctx.e = ctx, e
	e.begun = true
	e.s.record(faults.Start, e.o, e.act.token, "")
	return nil
}

// stop ends the handler's context, if there is one. Needs mu.
func (e *event) stop(why error) {
	if e.begun {
		e.ctx.cancel(why)
	}
}

// abandon gives up waiting. If its turn came at the same time, the event ends unstarted.
func (e *event) abandon(why error) error {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	switch e.state {
	case waiting:
		e.state = done
		e.s.unwait(e)
		e.s.sweep(e.o)
	case started:
		e.finish()
	}
	e.s.tidy(e.o)
	return fmt.Errorf("wait for %s: %w", e.st.key, why)
}

// end is called once by whoever runs the handler.
func (e *event) end() {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	if e.state == done {
		return
	}
	e.s.look()
	e.ended()
}

// judge ends the event and says whether what it made may leave.
func (e *event) judge() error {
	var err error
	if e.s.on(faults.Output) {
		err = e.act.storage().Flush(context.Background()) // a client that is gone changes nothing
	}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	if stands := e.stands(); err == nil && e.s.on(faults.Output) {
		err = stands
	}
	if e.state != done {
		e.ended()
	}
	return err
}

// ended is the end of a handler. Needs mu.
func (e *event) ended() {
	e.s.record(faults.End, e.o, e.act.token, "")
	e.finish()
}

// finish takes the event off its object and lets the next one go. Needs mu.
func (e *event) finish() {
	if e.state == done {
		return
	}
	if e.state == attached {
		delete(e.act.attached, e)
	} else {
		e.o.stopRunning(e)
	}
	e.state = done
	e.stop(context.Canceled)
	if e.act.worn {
		e.s.retire(e.act, errReleased, wire.ReasonStale)
	}
	if e.act.over { // while it ran
		e.s.endValue(e.act)
	}
	e.s.advance(e.o)
}

// attach turns a started event into a socket or stream beside the queue.
// closing must end it without blocking, its context included; it is called when the object is being let go. nil ends the context.
func (e *event) attach(closing func(why error)) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	if e.state != started {
		return
	}
	if closing == nil {
		closing = e.ctx.cancel
	}
	e.s.look()
	e.o.stopRunning(e)
	e.state = attached
	e.closing = closing
	e.act.attached[e] = true
	if e.o.act != e.act || e.o.rel != nil && e.o.rel.marked() {
		e.closing(errReleased)
	}
	e.s.advance(e.o)
}

// RunBeside says that the running event has become a stream: it leaves the
// object's queue, so that others may run beside it, and it no longer keeps the object from
// being let go; when that happens its context ends. A handler of server-sent events calls it before
// it begins to wait. Outside of an event it does nothing.
func RunBeside(ctx context.Context) {
	if e := eventOf(ctx); e != nil {
		e.attach(nil)
	}
}

// message is the gate for one inbound message of an attached event.
func (e *event) message() error {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	for {
		o, a := e.o, e.act
		switch {
		case !e.s.valid():
			return errLapsed
		case e.state == done, a.revoked, o.act != a, e.s.closing:
			return errReleased
		case o.rel != nil && o.rel.marked() && e.s.on(faults.Mark):
			return errReleased
		case a.ready:
			a.last = e.s.h.now()
			return nil
		}
		settled := a.settledCh() // another store answers: the pin is being confirmed
		e.s.mu.Unlock()
		select {
		case <-settled:
		case <-e.ctx.Done():
		}
		e.s.mu.Lock()
		if e.ctx.Err() != nil {
			return context.Cause(&e.ctx)
		}
	}
}

// standing says whether what the event's handler made may leave: every write
// so far was accepted, and lease and activation stand. It waits for writes under way.
func (e *event) standing(ctx context.Context) error {
	if !e.s.on(faults.Output) {
		return nil
	}
	if err := e.act.storage().Flush(ctx); err != nil {
		return err
	}
	return e.current()
}

// current says whether lease and activation stand.
func (e *event) current() error {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	return e.stands()
}

// stands is current for who has mu.
func (e *event) stands() error {
	switch {
	case !e.s.valid():
		return errLapsed
	case e.act.revoked:
		return errRevoked
	}
	return nil
}

// beside says that the event has been attached: each of its messages has been
// judged, and its activation may have been released since, in good order.
func (e *event) beside() bool {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	return e.closing != nil
}

// refusal makes the error for a request that the gate does not let in, and remembers it. Needs mu.
func (s *session) refusal(o *object, st stamp, reason string) *refusedError {
	s.refusals.add(refusedEvent{key: st.key, token: st.token, reason: reason, at: time.Now()})
	s.record(faults.Refused, o, st.token, reason)
	return &refusedError{wire.Refusal{Reason: reason, Token: s.known(o)}}
}
