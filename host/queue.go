package host

import (
	"fmt"
	"slices"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/wire"
)

// arrive is the gate's first look at a request: it starts at once, is refused, parked behind a
// release, or queued behind a confirmation, an activation or other events. When it returns the event has
// started, has an error, or has a channel to wait on. Needs mu.
func (s *session) arrive(e *event) {
	o := e.o
	if !s.over && s.free(o.act, e) && s.rows(o, e.st.token, e.st.sid) == "" {
		s.start(o.act, e)
		return
	}
	if r := o.rel; r != nil && r.marked() && e.st.sid == s.sid && s.valid() {
		s.park(r, e)
		return
	}
	if s.draining && !s.closing && o.act == nil && e.st.sid == s.sid && s.valid() && !s.gone(o, e.st.token) {
		// Nothing new here: the pin is given back at once, the request is answered after that.
		r := s.askRelease(o, e.st.token, wire.ReleaseNow, s.h.opt.Drain)
		if r != nil && r.marked() {
			s.park(r, e)
			return
		}
	}
	if reason := s.gate(o, e.st.token, e.st.sid); reason != "" {
		s.settle(e, s.refusal(o, e.st, reason))
		return
	}
	if !s.free(o.act, e) {
		if err := s.room(e); err != nil {
			s.settle(e, err)
			return
		}
	}
	s.place(e)
}

// park makes an event wait for the end of a release. Needs mu.
func (s *session) park(r *release, e *event) {
	if err := s.room(e); err != nil {
		s.settle(e, err)
		return
	}
	s.wait(e)
	r.parked = append(r.parked, e)
}

// room says why an event may not wait, or nil. One that waits already keeps its place. Needs mu.
func (s *session) room(e *event) error {
	switch {
	case e.ready != nil:
		return nil
	case e.o.waiting >= s.h.opt.Queue:
		return &failedError{wire.Overloaded, fmt.Errorf("%d requests wait for %s on this host, more may not (Options.Queue, --queue)", e.o.waiting, e.o.key)}
	case s.waiting >= s.h.opt.QueueTotal:
		return &failedError{wire.Overloaded, fmt.Errorf("%d requests wait on this host, more may not (Options.QueueTotal, --queue-total)", s.waiting)}
	}
	return nil
}

// free says that an event would start at once under a. Needs mu.
func (s *session) free(a *activation, e *event) bool {
	return a != nil && a.ready && e.st.token == a.token && (e.kind == stream || len(a.queue) == 0 && a.events < s.h.opt.Concurrency)
}

// place puts an admitted event in the queue of its token's activation, which
// is made if need be. Needs mu.
func (s *session) place(e *event) {
	o, token := e.o, e.st.token
	a := o.act
	if a != nil && a.sid != s.sid { // only without faults.Fresh
		a.token, a.sid = token, s.sid
	}
	switch {
	case a == nil:
		if err := s.makeRoom(); err != nil {
			s.settle(e, err)
			return
		}
		a = s.newActivation(o, token)
		o.act = a
		s.active++
		s.confirm(a)
	case token > a.token: // it changes nothing until it is confirmed
		b := o.next
		if b != nil && token < b.token {
			s.settle(e, s.refusal(o, e.st, wire.ReasonStale))
			return
		}
		if b == nil || token > b.token {
			b = s.verify(o, token)
		}
		a = b
	case token < a.token: // only while a is not confirmed: afterwards the gate has refused
		s.settle(e, s.refusal(o, e.st, wire.ReasonStale))
		return
	}
	if s.free(a, e) {
		s.start(a, e)
		return
	}
	s.wait(e)
	a.queue = append(a.queue, e)
}

// wait makes an event wait, or wait on elsewhere. Needs mu.
func (s *session) wait(e *event) {
	if e.ready == nil {
		e.ready = make(chan struct{})
		e.o.waiting++
		s.waiting++
	}
	e.state = waiting
}

// unwait wakes who waits. Needs mu.
func (s *session) unwait(e *event) {
	if e.ready == nil {
		return
	}
	close(e.ready)
	e.ready = nil
	e.o.waiting--
	s.waiting--
}

// sweep drops events whose clients have given up, once they are more than
// those that wait: an event that never ends would collect them. Needs mu.
func (s *session) sweep(o *object) {
	if o.left++; o.left <= o.waiting+sweepFrom {
		return
	}
	o.left = 0
	gone := func(e *event) bool { return e.state == done }
	for _, a := range []*activation{o.act, o.next} {
		if a != nil {
			a.queue = slices.DeleteFunc(a.queue, gone)
		}
	}
	if o.rel != nil {
		o.rel.parked = slices.DeleteFunc(o.rel.parked, gone)
	}
}

// sweepFrom keeps short queues from being swept for each of their events.
const sweepFrom = 32

// settle ends the wait of an event with an error, or with its start. Needs mu.
func (s *session) settle(e *event, err error) {
	if e.state == done {
		return // gave up
	}
	e.err, e.state = err, started
	if err != nil {
		e.state = done
	}
	s.unwait(e)
}

// pump starts what may start. Needs mu.
func (s *session) pump(a *activation) {
	for a.ready && len(a.queue) > 0 {
		e := a.queue[0]
		if e.state == waiting && e.kind == exclusive && a.events >= s.h.opt.Concurrency {
			return
		}
		a.queue[0] = nil
		a.queue = a.queue[1:]
		if e.state != waiting {
			continue
		}
		sid := e.st.sid
		if !s.on(faults.Fresh) {
			sid = s.sid
		}
		if reason := s.gate(a.o, a.token, sid); reason != "" {
			s.settle(e, s.refusal(a.o, e.st, reason))
			continue
		}
		s.start(a, e)
	}
}

// start makes e the activation's running event; begin looks at the clock before its handler runs. Needs mu.
func (s *session) start(a *activation, e *event) {
	e.act = a
	a.last = s.seen
	a.all++
	if e.kind == exclusive {
		a.events++
	}
	s.running++
	a.o.running = append(a.o.running, e)
	s.note(a)
	s.settle(e, nil)
}
