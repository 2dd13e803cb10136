package host

import (
	"container/list"
	"fmt"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// idlers are the activations that nobody uses, the longest idle one first.
// They are kept only where Options.MaxActive asks which one to let go.
// Guarded by the session's mu.
type idlers struct{ list.List }

// note keeps a among the idlers, or not, as it is now. Needs mu.
func (s *session) note(a *activation) {
	if s.h.opt.MaxActive == 0 {
		return
	}
	idle := a.ready && !a.over && a.all == 0 && len(a.queue) == 0 && len(a.attached) == 0 && a.o.rel == nil
	switch {
	case idle && a.idler == nil:
		a.idler = s.idlers.PushBack(a)
	case !idle && a.idler != nil:
		s.idlers.Remove(a.idler)
		a.idler = nil
	}
}

// makeRoom lets idle objects go, the longest idle one first, until one more
// may be active. What it lets go has left memory's count when it returns; its
// Close and its release script follow. Needs mu.
func (s *session) makeRoom() error {
	most := s.h.opt.MaxActive
	for most > 0 && s.active >= most && !s.over {
		first := s.idlers.Front()
		if first == nil {
			return &failedError{wire.Overloaded, fmt.Errorf("%d objects are active on this host, more may not, and none of them is idle (Options.MaxActive, --max-active)", s.active)}
		}
		a := first.Value.(*activation)
		s.idlers.Remove(first)
		a.idler = nil
		s.askRelease(a.o, a.token, wire.ReleaseWhenIdle, time.Second)
	}
	if s.over { // a look at the clock on the way
		return &refusedError{wire.Refusal{Reason: wire.ReasonLease}}
	}
	return nil
}
