// Command pins measures what a million pins take in Redis, and what they cost while nobody asks for them, beside a lock with an expiry for each.
//
//	bench/run.sh pins -pins 1000000 -idle 10s
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/bench/internal/fleet"
	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/owners"
)

type options struct {
	pins, locks int
	idle, lease time.Duration
}

func main() {
	fleet.Child()
	var o options
	flag.IntVar(&o.pins, "pins", 1_000_000, "objects that one host owns")
	flag.IntVar(&o.locks, "locks", 50_000, "locks of the way without sessions; each is extended every third of its expiry")
	flag.DurationVar(&o.idle, "idle", 10*time.Second, "how long the idle store is watched")
	flag.DurationVar(&o.lease, "lease", 15*time.Second, "lease of the host, expiry of a lock")
	flag.Parse()
	rig.Main("pins", func(ctx context.Context) error { return run(ctx, o) })
}

func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rig.Header(os.Stdout)
	if err := pins(ctx, o); err != nil {
		return err
	}
	return locks(ctx, o)
}

func pins(ctx context.Context, o options) error {
	m, err := fleet.StartMesh(ctx, o.lease)
	if err != nil {
		return err
	}
	defer m.Close()
	if _, err := m.Host(ctx, "one"); err != nil {
		return err
	}
	s, err := m.Session(ctx, "one")
	if err != nil {
		return err
	}
	before, err := m.Redis.Memory(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := acquire(ctx, m.Store, s.ID, o.pins); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := m.Redis.Memory(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d objects acquired and confirmed in %.0f s: Redis took %.0f MB more, %d bytes each; the goal is below 250 MB a million\n",
		o.pins, took.Seconds(), float64(after-before)/1e6, (after-before)/int64(o.pins))
	return idle(ctx, m.Redis, o.idle, fmt.Sprintf("  idle, %d pins of one host, one serve:", o.pins))
}

// acquire makes sid the owner of n objects, confirmed as by its host.
func acquire(ctx context.Context, store *owners.Store, sid string, n int) error {
	var next atomic.Int64
	errs := make(chan error, 64)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				k := owners.Key{Class: "Cart", ID: fmt.Sprintf("user-%07d", i)}
				pin, won, err := store.Acquire(ctx, owners.Acquire{Key: k, SID: sid})
				if err == nil && won {
					won, err = store.Confirm(ctx, k, sid, pin.Token)
				}
				if err != nil || !won {
					errs <- fmt.Errorf("%s: won %v: %w", k, won, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// idle says what the server does while nobody asks for an object.
func idle(ctx context.Context, r *rig.Redis, d time.Duration, what string) error {
	if err := r.Client.ConfigResetStat(ctx).Err(); err != nil {
		return err
	}
	before, err := r.Used(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := r.Used(ctx)
	if err != nil {
		return err
	}
	counts, err := r.Commands(ctx)
	if err != nil {
		return err
	}
	var sent int64
	for name, n := range counts {
		switch name {
		case "info", "evalsha", "eval", "smembers", "hgetall", "hmget", "get", "ping", "set", "zrange", "pexpire", "hget", "zadd":
			sent += n // of scripts' own commands some are among them: the number is an upper bound
		}
	}
	fmt.Printf("%s %.1f commands/s, %.2f %% of a core; load %s\n", what, float64(sent)/d.Seconds(), 100*(after-before).Seconds()/d.Seconds(), rig.Load())
	return nil
}

// locks is what one does without sessions: a key with an expiry for each object, extended every third of it.
func locks(ctx context.Context, o options) error {
	r, err := rig.StartRedis(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	extend := func(from, to int) error {
		_, err := r.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := from; i < to; i++ {
				p.Set(ctx, fmt.Sprintf("lock:Cart/user-%07d", i), "b5f4c1f8e3a0427b9a3d7c6e5f4d3c2b", o.lease)
			}
			return nil
		})
		return err
	}
	const batch = 500
	every := o.lease / 3 / time.Duration((o.locks+batch-1)/batch)
	failed := make(chan error, 1)
	go func() {
		for i, tick := 0, time.Tick(every); ; i += batch {
			if i >= o.locks {
				i = 0
			}
			if err := extend(i, min(i+batch, o.locks)); err != nil {
				failed <- err
				return
			}
			<-tick
		}
	}()
	err = idle(ctx, r, o.idle, fmt.Sprintf("  idle, %d locks that expire in %v and are extended in pipelines of %d:", o.locks, o.lease, batch))
	select {
	case bad := <-failed:
		return bad
	default:
		return err
	}
}
