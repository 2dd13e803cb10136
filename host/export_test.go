package host

import (
	"context"
	"os"

	"github.com/skewgate/skewgate/owners"
)

// Frames lets tests in the outer package follow a stream of frames.
type Frames struct{ f frames }

// Next is frames.next.
func (f *Frames) Next(p []byte) (int, bool) { return f.f.next(p) }

// Boundary is frames.boundary.
func (f *Frames) Boundary() bool { return f.f.boundary() }

// ReleasedTokens lets tests look at what a session remembers.
type ReleasedTokens struct{ r *released }

// NewReleasedTokens makes one of a capacity.
func NewReleasedTokens(capacity int) ReleasedTokens { return ReleasedTokens{newReleased(capacity)} }

// Add is released.add.
func (r ReleasedTokens) Add(k owners.Key, token int64) { r.r.add(k, token) }

// Over says that a token of an object that is not active counts as released.
func (r ReleasedTokens) Over(k owners.Key, token int64) bool {
	over, _ := r.r.get(k)
	return token <= over || token <= r.r.watermark
}

// Waiting is how many requests wait for an object.
func Waiting(h *Host, k owners.Key) int {
	s := h.session()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[k]; o != nil {
		return o.waiting
	}
	return 0
}

// Queued is how many places the queue of an object has taken.
func Queued(h *Host, k owners.Key) int {
	s := h.session()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[k]; o != nil && o.act != nil {
		return len(o.act.queue)
	}
	return 0
}

// AskDrain begins a drain as an operator does.
func AskDrain(h *Host) { h.askDrain() }

// Wait is what Run does with signals, ctx, and the ends of what it started.
func Wait(ctx context.Context, h *Host, signals <-chan os.Signal, lived <-chan error) error {
	return h.wait(ctx, signals, nil, lived)
}

// EventContext makes the context of an event whose request has under.
func EventContext(under context.Context) (ctx context.Context, cancel func(error)) {
	c := &eventContext{Context: under}
	return c, c.cancel
}

// Lasting gives what WithoutClient gives inside of the event of a context that EventContext made.
func Lasting(ctx context.Context) context.Context { return ctx.(*eventContext).lasting() }
