package skew

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long things are kept, and how often they are written.
const (
	MinutesKept = 75 * time.Minute
	HoursKept   = 8 * 24 * time.Hour
	FlushEvery  = time.Second

	maxPending = 60 // full buckets kept in memory while the store is away
)

// Options of Tallies. Zero values mean the defaults in their comments.
type Options struct {
	Redis   redis.UniversalClient
	Prefix  string // of every key, "{p0}:"
	Gateway string // id of this gateway, as in its heartbeat
	MaxRows int    // rows per bucket; 2000
	Logger  *slog.Logger
}

// Tallies counts the calls of one gateway. Add may be called from any number
// of goroutines; Run writes to the store and must be running.
type Tallies struct {
	opt Options
	ins string // this run of the gateway: a restarted one must not overwrite what its forerunner wrote

	mu           sync.Mutex
	minute, hour *bucket
	pending      []*bucket     // full, with rows not written yet
	dropped      int64         // calls folded into Other
	offset       time.Duration // store's clock minus ours

	started int64 // ms by the store's clock; Run's goroutine only
}

// NewTallies makes the tallies of one gateway.
func NewTallies(o Options) (*Tallies, error) {
	if o.Redis == nil || o.Gateway == "" || o.Logger == nil {
		return nil, errors.New("tallies need a store, a gateway id and a logger")
	}
	if o.MaxRows <= 0 {
		o.MaxRows = 2000
	}
	now := time.Now().Unix()
	return &Tallies{
		opt: o, ins: o.Gateway + "." + rand.Text()[:8],
		minute: newBucket(now-now%60, 60), hour: newBucket(now-now%3600, 3600),
	}, nil
}

// Add counts one call. It never blocks on the store.
func (t *Tallies) Add(c Call) {
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	key := c.key()
	t.mu.Lock()
	defer t.mu.Unlock()
	ms := at.Add(t.offset).UnixMilli()
	t.turn(ms / 1000)
	kept := t.minute.add(key, c.Object, c.Latency, ms, t.opt.MaxRows)
	t.hour.add(key, c.Object, c.Latency, ms, t.opt.MaxRows)
	if !kept {
		t.dropped++
	}
}

// turn starts new buckets when now (unix seconds) is past the running ones.
// A call that ended a little earlier than one already counted goes where we are.
func (t *Tallies) turn(now int64) {
	for _, b := range []**bucket{&t.minute, &t.hour} {
		if now < (*b).start+(*b).width {
			continue
		}
		t.pending = append(t.pending, *b)
		*b = (*b).next(now-now%(*b).width, t.opt.MaxRows)
	}
	if n := len(t.pending) - maxPending; n > 0 {
		t.pending = append([]*bucket(nil), t.pending[n:]...)
	}
}

// Run writes to the store until ctx ends, then writes the rest and says goodbye.
func (t *Tallies) Run(ctx context.Context) error {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	failing := false
	for {
		err := t.Flush(ctx)
		if (err != nil) != failing && ctx.Err() == nil {
			failing = err != nil
			if failing {
				t.opt.Logger.Warn("tallies cannot be written; counting goes on in memory", "err", err)
			} else {
				t.opt.Logger.Info("tallies are written again")
			}
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return t.goodbye(last)
		case <-tick.C:
		}
	}
}

// goodbye writes everything and marks this run as ended, so that nobody waits for it.
func (t *Tallies) goodbye(ctx context.Context) error {
	if err := t.Flush(ctx); err != nil {
		return fmt.Errorf("write last tallies: %w", err)
	}
	k := keys{t.opt.Prefix}
	if err := t.opt.Redis.HSet(ctx, k.instance(t.ins), "closed", 1).Err(); err != nil {
		return fmt.Errorf("end tallies: %w", err)
	}
	return nil
}
