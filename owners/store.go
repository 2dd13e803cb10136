package owners

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options say which store to open. The zero value of a field means its default.
type Options struct {
	URL      string        // redis://…, rediss://…, redis+sentinel://…, see ParseURL
	Replicas int           // n of WAIT n, at least as many as ?replicas=; never derived from who is connected
	Failover time.Duration // longest failover; held against the leases; 0s, with Sentinel 5s
	MaxLease time.Duration // leases.max; what the store says, else 30s. It only ever grows.
	Timeout  time.Duration // of one try of one call: an eighth of the caller's lease; 1.875s
	Clock    func() time.Duration
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // another way to reach the store
	Logger   *slog.Logger
}

const (
	defaultMaxLease = 30 * time.Second
	defaultTimeout  = 15 * time.Second / 8
)

// Store runs the ownership protocol on one partition of a Redis. It is safe
// for concurrent use.
type Store struct {
	rdb      redis.UniversalClient
	opt      Options
	scripts  scripts
	calls    *Batcher
	confirms *Batcher     // durable, beside the calls that are not
	maxLease atomic.Int64 // as the store says; nanoseconds
	tokens   tokenClock
}

// Open connects and checks the meta record, which it writes on a new store.
// It does not look whether the store is safe to use: see Probe.
func Open(ctx context.Context, o Options) (*Store, error) {
	target, err := ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults(target)
	all, err := loadScripts()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{rdb: target.client(o), opt: o, scripts: all}
	s.calls = NewBatcher(s.rdb, BatchOptions{Timeout: s.callTimeout()})
	s.confirms = NewBatcher(s.rdb, BatchOptions{Timeout: s.callTimeout(), Replicas: o.Replicas, Wait: s.waitTimeout()})
	if err := s.checkMeta(ctx); err != nil {
		s.rdb.Close()
		return nil, fmt.Errorf("open store %s: %w", target.Redacted(), err)
	}
	return s, nil
}

func (o Options) withDefaults(t Target) Options {
	o.Replicas = max(o.Replicas, t.Replicas)
	if o.Failover == 0 {
		o.Failover = t.Failover
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Clock == nil {
		o.Clock = Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// checkMeta holds what the store says of its layout against what this code
// can serve, and raises its leases.max to what was asked for.
func (s *Store) checkMeta(ctx context.Context) error {
	r, err := s.run(ctx, s.scripts.meta, []string{keyMeta}, format, "1", "none", s.opt.MaxLease.Milliseconds())
	if err != nil {
		return err
	}
	if err := checkFormat(r.text(0)); err != nil {
		return err
	}
	if r.text(1) != "1" || r.text(2) != "none" {
		return fmt.Errorf("%w: %s partitions by hash %q, this skewgate serves 1", ErrMeta, r.text(1), r.text(2))
	}
	s.learnMaxLease(r.text(3))
	return nil
}

// learnMaxLease takes leases.max from the store's meta record. It never
// shrinks: after the store lost its data, hosts still hold leases of before.
func (s *Store) learnMaxLease(ms string) {
	d, err := time.ParseDuration(ms + "ms")
	if err != nil {
		d = 0
	}
	if d = max(d, s.opt.MaxLease, s.MaxLease()); d == 0 {
		d = defaultMaxLease
	}
	for {
		old := s.maxLease.Load()
		if int64(d) <= old || s.maxLease.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// Close ends the connections.
func (s *Store) Close() error {
	err := s.rdb.Close() // ends the calls that run
	s.calls.Rest()
	s.confirms.Rest()
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Redis gives the client, for packages that keep other records in the same store.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// Prefix gives the partition tag with which every key begins, "{p0}:".
func (s *Store) Prefix() string { return prefix }

// Replicas is the n of WAIT n, for packages that write durably to the same store.
func (s *Store) Replicas() int { return s.opt.Replicas }

// Failover is how long a failover of the store may take.
func (s *Store) Failover() time.Duration { return s.opt.Failover }

// MaxLease is the longest lease that any session of the store may have.
func (s *Store) MaxLease() time.Duration { return time.Duration(s.maxLease.Load()) }

// callTimeout bounds a call with its retries: less than a renewal interval, so that the next one is not late.
func (s *Store) callTimeout() time.Duration { return 2 * s.opt.Timeout }

// waitTimeout leaves the connection time to tell how many replicas answered.
func (s *Store) waitTimeout() time.Duration { return s.opt.Timeout * 3 / 4 }
