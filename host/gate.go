package host

import (
	"time"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// gate is the admission rule. It is evaluated when a request arrives, before
// its body is read, and again at the instant its handler starts. The first row
// that matches decides:
//
//	row  lease stands  stamp's session is mine   token                          release under way      answer
//	1    no            any                       any                            any                    lease (and the session lapses)
//	2    yes           no, or I am closing       any                            any                    session
//	3    yes           yes                       <= released here               any                    released, repair
//	4    yes           yes                       < the active, confirmed one    any                    released, repair
//	5    yes           yes                       <= watermark and not active    any                    released, repair
//	6    yes           yes                       any other                      marked                 releasing (arriving requests are parked)
//	7    yes           yes                       any other                      none, or when-idle     admitted
//
// An empty answer admits. Where an event would start at once, the look at its
// arrival and the one at its start are the same: begin has it. Needs mu.
func (s *session) gate(o *object, token int64, sid string) (reason string) {
	if !s.valid() {
		return wire.ReasonLease
	}
	if reason = s.rows(o, token, sid); reason == wire.ReasonReleased {
		s.repair(o, token)
	}
	return reason
}

// rows are the gate's but for the first, the lease. Needs mu.
func (s *session) rows(o *object, token int64, sid string) (reason string) {
	switch {
	case sid != s.sid && s.on(faults.SID), s.closing:
		return wire.ReasonSession
	case s.gone(o, token):
		return wire.ReasonReleased
	case o.rel != nil && o.rel.marked():
		return wire.ReasonReleasing
	}
	return ""
}

// gone says that token can never be used again here. Needs mu.
func (s *session) gone(o *object, token int64) bool {
	if !s.on(faults.Released) {
		return false
	}
	over, _ := s.released.get(o.key)
	if token <= over {
		return true
	}
	a := o.act
	if a != nil && a.sure && token < a.token {
		return true
	}
	return (a == nil || a.token != token) && token <= s.released.watermark
}

// known is the highest token to tell in refusals. A token that no CONFIRM
// vouched for is not told: a forged one would spread to every gateway's floor. Needs mu.
func (s *session) known(o *object) int64 {
	_, known := s.released.get(o.key)
	if o.act != nil && o.act.sure {
		known = max(known, o.act.token)
	}
	return known
}

// refusalsKept is how many refusals a session remembers for people who ask.
const refusalsKept = 64

// refusedEvent is one refusal, for `objects get`.
type refusedEvent struct {
	key    owners.Key
	token  int64 // of the stamp
	reason string
	at     time.Time
}

// refusals is a ring of the last ones.
type refusals struct {
	ring [refusalsKept]refusedEvent
	next int
}

func (r *refusals) add(e refusedEvent) {
	r.ring[r.next%refusalsKept] = e
	r.next++
}

// latest lists them, the last one first.
func (r *refusals) latest() []refusedEvent {
	var out []refusedEvent
	for i := r.next - 1; i >= 0 && i >= r.next-refusalsKept; i-- {
		out = append(out, r.ring[i%refusalsKept])
	}
	return out
}
