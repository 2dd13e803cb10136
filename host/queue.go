package host

import (
	"fmt"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/wire"
)

// arrive is the gate's first look at a request: it is refused, parked behind a
// release, or queued behind a confirmation, an activation or other events. When it returns the event has
// started, has an error, or has a channel to wait on. Needs mu.
func (s *session) arrive(e *event) {
	o := e.o
	if r := o.rel; r != nil && r.marked() && e.st.sid == s.sid && s.valid() {
		s.wait(e)
		r.parked = append(r.parked, e)
		return
	}
	if s.draining && !s.closing && o.act == nil && e.st.sid == s.sid && s.valid() && !s.gone(o, e.st.token) {
		// Nothing new here: the pin is given back at once, the request is answered after that.
		r := s.askRelease(o, e.st.token, wire.ReleaseNow, s.h.opt.Drain)
		if r != nil && r.marked() {
			s.wait(e)
			r.parked = append(r.parked, e)
			return
		}
	}
	if reason := s.gate(o, e.st.token, e.st.sid); reason != "" {
		s.settle(e, s.refusal(o, e.st, reason))
		return
	}
	if o.waiting >= s.h.opt.Queue {
		s.settle(e, &failedError{wire.Overloaded, fmt.Errorf("%d requests wait for %s on this host", o.waiting, o.key)})
		return
	}
	s.place(e)
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
	if a.ready && (e.kind == stream || len(a.queue) == 0 && a.events < s.h.opt.Concurrency) {
		s.start(a, e)
		return
	}
	s.wait(e)
	a.queue = append(a.queue, e)
}

// wait makes an event wait. Needs mu.
func (s *session) wait(e *event) {
	if e.ready == nil {
		e.ready = make(chan struct{})
	}
	e.state = waiting
	e.o.waiting++
}

// settle ends the wait of an event with an error, or with its start. Needs mu.
func (s *session) settle(e *event, err error) {
	if e.state == done {
		return // gave up
	}
	e.err, e.state = err, started
	if err != nil {
		e.state = done
	}
	if e.ready != nil {
		e.o.waiting--
		close(e.ready)
		e.ready = nil
	}
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

// start makes e the activation's running event. Needs mu.
func (s *session) start(a *activation, e *event) {
	e.act = a
	a.last = s.h.now()
	a.all++
	if e.kind == exclusive {
		a.events++
	}
	s.running++
	a.o.running = append(a.o.running, e)
	s.settle(e, nil)
}
