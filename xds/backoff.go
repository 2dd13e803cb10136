package xds

import (
	"math/rand/v2"
	"time"
)

// backoff spaces attempts to connect: doubling, with full jitter, so that many
// gateways do not come back at the same moment. The first pause is short, since
// a control that restarts is back at once.
type backoff struct {
	least, most time.Duration
	attempt     int
}

func newBackoff() backoff { return backoff{least: 50 * time.Millisecond, most: 5 * time.Second} }

// next gives the pause before the next attempt.
func (b *backoff) next() time.Duration {
	ceiling := b.most
	if b.attempt < 16 {
		ceiling = min(b.most, b.least<<b.attempt)
	}
	b.attempt++
	return b.least/2 + rand.N(ceiling)
}

func (b *backoff) reset() { b.attempt = 0 }
