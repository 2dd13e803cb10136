package rollout

import (
	"context"
	"errors"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// How a move goes about a pin that is outdated.
const (
	againFirst = 50 * time.Millisecond // before the second attempt; twice that before the next
	againMost  = 500 * time.Millisecond
	nextOwner  = time.Second     // how long a call that makes the next owner is waited for
	deathPolls = 2 * time.Second // beyond a lease, until watchers have noticed that it is over
)

// outdatedError is the refusal of a move whose pin names a session that has
// lost the object: it did not stay so for long, or will not.
type outdatedError struct {
	*Refusal
	stands time.Duration // how long the session may stand at most
}

// Unwrap gives the refusal, which is what is answered when the pin stays so.
func (e *outdatedError) Unwrap() error { return e.Refusal }

// outdated says that the host of a pin's session does not own the object.
func outdated(pin owners.Pin, from owners.Session, reason string) error {
	return &outdatedError{
		refuse(CodeNotActive, "skewgate objects get "+pin.Key.String(),
			"%s does not have %s under the session that owns it (%s): it lost its lease, or began a new session; the old one ends within its lease of %v",
			from.Name, pin.Key, reason, from.Lease),
		owners.WatchSpan(from.Lease) + deathPolls,
	}
}

// patience says how often and how long a move is tried again.
type patience struct {
	until time.Time // zero before the first refusal
	pause time.Duration
	free  bool // nobody owned the object since
}

// wait passes the time until the next attempt; false says that err is the answer:
//
//	the pin is outdated                          again, until its session must be over
//	nobody owns the object, after such a pin     again, for a second: the next call makes an owner
//	nobody owns it from the first                no
//	anything else                                no
func (p *patience) wait(ctx context.Context, err error) bool {
	var old *outdatedError
	var no *Refusal
	now := time.Now()
	switch {
	case errors.As(err, &old):
		if p.until.IsZero() {
			p.until = now.Add(old.stands)
		}
	case errors.As(err, &no) && no.Reasons[0].Code == CodeNotActive && !p.until.IsZero():
		if !p.free && now.Add(nextOwner).Before(p.until) {
			p.until = now.Add(nextOwner)
		}
		p.free = true
	default:
		return false
	}
	p.pause = min(max(2*p.pause, againFirst), againMost)
	timer := time.NewTimer(p.pause)
	defer timer.Stop()
	if now.Add(p.pause).After(p.until) {
		return false
	}
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
