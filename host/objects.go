package host

import (
	"github.com/skewgate/skewgate/owners"
)

// object is what a session knows of one object. It exists while something
// happens with it; afterwards only session.released remembers. Guarded by the session's mu.
type object struct {
	key     owners.Key
	act     *activation       // the one that serves
	next    *activation       // a newer token whose CONFIRM is under way
	rel     *release          // RELEASE under way
	scripts map[int64]*script // release scripts under way, by token
	running []*event          // also those of activations that are over
	loading []*activation     // claims, Activate and Close calls under way, also of activations that are over
	waiting int               // events in queues and behind releases
	left    int               // events that gave up since the last sweep of these
}

func (s *session) object(k owners.Key) *object {
	o := s.objects[k]
	if o == nil {
		o = &object{key: k, scripts: map[int64]*script{}}
		s.objects[k] = o
	}
	return o
}

// tidy forgets an object with which nothing happens. Needs mu.
func (s *session) tidy(o *object) {
	if o.act == nil && o.next == nil && o.rel == nil && len(o.scripts) == 0 && len(o.running) == 0 && len(o.loading) == 0 && o.waiting == 0 && s.objects[o.key] == o {
		delete(s.objects, o.key)
	}
}

// stopRunning takes an event off the object, at the time of the session's last
// look at the clock: whoever ends an event, or judges it, has looked. Needs mu.
func (o *object) stopRunning(e *event) {
	for i, x := range o.running {
		if x == e {
			last := len(o.running) - 1
			o.running[i] = o.running[last]
			o.running[last] = nil
			o.running = o.running[:last]
			break
		}
	}
	a := e.act
	a.all--
	if e.kind == exclusive {
		a.events--
	}
	a.last = a.s.seen
	a.s.running--
}

// loaded takes an activation off the list of those that load. Needs mu.
func (o *object) loaded(a *activation) {
	for i, x := range o.loading {
		if x == a {
			o.loading = append(o.loading[:i], o.loading[i+1:]...)
			return
		}
	}
}

func (a *activation) isLoading() bool {
	for _, x := range a.o.loading {
		if x == a {
			return true
		}
	}
	return false
}

// advance is called whenever something has ended on the object: it lets the next thing happen. Needs mu.
func (s *session) advance(o *object) {
	if a := o.act; a != nil && !s.over {
		if a.sure && !a.live {
			s.claim(a)
		}
		s.pump(a)
		if a.ready && len(a.queue) == 0 && a.events == 0 {
			s.armIdle(a)
		}
		s.note(a)
	}
	s.maybeRelease(o)
	s.tidy(o)
	s.wake()
}
