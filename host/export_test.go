package host

import "github.com/skewgate/skewgate/owners"

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
