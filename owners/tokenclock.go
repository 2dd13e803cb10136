package owners

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A tokenClock is what this process saw of the store's token clock, by which
// acquire mints: the store's time plus what watchers added to it. Pins, floors
// and the time itself may all be lost at once, where the store loses its data
// and its clock is set back; who saw the clock before then tells the store.
type tokenClock struct {
	mu      sync.Mutex
	highest int64         // microseconds
	at      time.Duration // when it was seen, by this machine's clock
}

// saw notes a reading: what the store said of the clock, or a token that it minted by it.
func (c *tokenClock) saw(us int64, now time.Duration) {
	if us > MaxFloor {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if us > c.highest {
		c.highest, c.at = us, now
	}
}

// shows gives the highest reading, and what the clock would show now if it had gone on from there.
func (c *tokenClock) shows(now time.Duration) (seen, would int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.highest, c.highest + max(0, now-c.at).Microseconds()
}

// raiseTokens reads the token clock, and sets it on where this process saw it show more.
func (s *Store) raiseTokens(ctx context.Context) (raised bool, err error) {
	seen, would := s.tokens.shows(s.opt.Clock())
	r, err := s.run(ctx, s.scripts.raise, []string{keyEpoch}, seen, would)
	if err != nil || r.status == "none" {
		return false, err
	}
	us, err := ParseToken(r.text(0))
	if err != nil {
		return false, fmt.Errorf("token clock: %w", err)
	}
	s.tokens.saw(us, s.opt.Clock())
	return r.status == "raised", nil
}
