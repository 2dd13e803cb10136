package host

import (
	"errors"
	"fmt"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// errTooLong is the cause with which the context of an activation ends that took too long.
var errTooLong = errors.New("the activation took longer than Options.ActivateTimeout")

// turns let a bounded number of activations claim and load at a time, in the
// order in which their pins were confirmed: after another host's death
// thousands of objects come at once, and each of them loads from the same
// servers. Guarded by the session's mu.
type turns struct {
	taken int
	line  []*activation // those that wait; some may be over by now
}

// turn is what one activation has of it.
type turn struct {
	taken bool
	lined bool        // it is in the line
	limit *time.Timer // of Options.ActivateTimeout; nil before the pin was confirmed
	until time.Time   // when it fires
}

// takeTurn says whether a may claim now. If not, nextTurn comes back to it. Needs mu.
func (s *session) takeTurn(a *activation) bool {
	if s.turns.taken < s.h.opt.MaxActivating {
		s.turns.taken++
		a.turn.taken = true
		s.limitActivation(a)
		return true
	}
	if !a.turn.lined {
		a.turn.lined = true
		s.turns.line = append(s.turns.line, a)
	}
	return false
}

// endTurn lets the next one in. Needs mu.
func (s *session) endTurn(a *activation) {
	if !a.turn.taken {
		return
	}
	a.turn.taken = false
	s.turns.taken--
	for len(s.turns.line) > 0 && s.turns.taken < s.h.opt.MaxActivating {
		next := s.turns.line[0]
		s.turns.line[0] = nil
		s.turns.line = s.turns.line[1:]
		next.turn.lined = false
		s.claim(next) // nothing, if it is over
	}
}

// limitActivation begins the time that an activation may take: when its pin
// has been confirmed, and anew when its turn comes, so that those who come late do not pay for those before them. Needs mu.
func (s *session) limitActivation(a *activation) {
	most := s.h.opt.ActivateTimeout
	if most < 0 {
		return
	}
	a.turn.until = time.Now().Add(most)
	if a.turn.limit != nil {
		a.turn.limit.Reset(most)
		return
	}
	a.turn.limit = time.AfterFunc(most, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !a.over && !a.live && !s.over && !time.Now().Before(a.turn.until) {
			s.tooLong(a)
		}
	})
}

// tooLong gives an activation up:
//
//	what it was at                             who waits gets    its turn
//	claim, load, Activate                      upstream_timeout  goes to the next one
//	waits for earlier code of the same object  upstream_timeout  it had none
//	waits for its turn                         overloaded        it had none
//
// In each case nothing of the events has run, the pin stays, and the next
// request tries again. User code that goes on in spite of its context keeps the object from being activated, or
// let go, here until it returns: two of one object never run beside each other. Needs mu.
func (s *session) tooLong(a *activation) {
	most := s.h.opt.ActivateTimeout
	err := &failedError{wire.UpstreamTimeout, fmt.Errorf("activate %s: not done in %v (Options.ActivateTimeout); nothing was executed", a.o.key, most)}
	switch {
	case a.turn.lined:
		err = &failedError{wire.Overloaded, fmt.Errorf("activate %s: %d others load, and its turn has not come in %v (Options.MaxActivating, --max-activating)", a.o.key, s.turns.taken, most)}
	case !a.isLoading():
		err.err = fmt.Errorf("activate %s: earlier code of this object has not returned in %v (Options.ActivateTimeout); nothing was executed", a.o.key, most)
	}
	s.log.Error("activation took too long", "object", a.o.key, "token", a.token, "error", err)
	s.fail(a, err, errTooLong)
	s.endTurn(a)
}
