package host

import (
	"time"

	"github.com/skewgate/skewgate/wire"
)

// armIdle lets go of an object without events and sockets for Options.Idle. The timer
// is armed once and looks at a.last, so that an event costs no timer. Needs mu.
func (s *session) armIdle(a *activation) {
	if a.idle != nil || s.h.opt.Idle < 0 {
		return
	}
	a.idle = time.AfterFunc(s.h.opt.Idle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.over || s.over {
			return
		}
		left := s.h.opt.Idle - (s.h.now() - a.last)
		if a.all > 0 || len(a.attached) > 0 || len(a.queue) > 0 {
			left = s.h.opt.Idle
		}
		if left > 0 {
			a.idle.Reset(left)
			return
		}
		s.askRelease(a.o, a.token, wire.ReleaseWhenIdle, time.Second)
	})
}
