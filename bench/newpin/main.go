// Command newpin measures how fast objects that nobody owns get an owner,
// beside what one would use instead: a lock script run by hand, redsync and
// redislock, each on a Redis server of its own, in turns.
//
//	bench/run.sh newpin -rounds 5 -for 1s -c 1,16,256
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"

	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/owners"
)

func main() {
	rounds := flag.Int("rounds", 5, "rounds in which the contenders take turns")
	span := flag.Duration("for", time.Second, "length of one turn")
	at := flag.String("c", "1,16,256", "how many at a time")
	flag.Parse()
	rig.Main("newpin", func(ctx context.Context) error { return run(ctx, *rounds, *span, strings.Split(*at, ",")) })
}

func run(ctx context.Context, rounds int, span time.Duration, at []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rig.Header(os.Stdout)
	makers := []struct {
		name string
		make func(context.Context, *rig.Redis) (func(context.Context, string) error, error)
	}{
		{"EVALSHA, lock script", bare}, {"skewgate", pins}, {"redsync", redsyncLock}, {"redislock", redislockLock},
	}
	for _, text := range at {
		c, err := strconv.Atoi(text)
		if err != nil || c < 1 {
			return fmt.Errorf("-c %q is not a number above 0", text)
		}
		var contenders []rig.Contender
		for _, m := range makers {
			r, err := rig.StartRedis(ctx)
			if err != nil {
				return err
			}
			defer r.Kill()
			do, err := m.make(ctx, r)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			var next atomic.Int64
			contenders = append(contenders, rig.Contender{Name: m.name, Round: func(ctx context.Context) (rig.Work, error) {
				return rig.For(ctx, span, c, &next, rig.CPUOf(r.Process), func(ctx context.Context, i int64) error {
					return do(ctx, fmt.Sprintf("user-%09d", i))
				})
			}})
		}
		results, err := rig.Compare(ctx, rounds, contenders...)
		if err != nil {
			return err
		}
		if err := rig.Print(os.Stdout, fmt.Sprintf("new pins, %d at a time, %d rounds of %v, load %s", c, rounds, span, rig.Load()), results); err != nil {
			return err
		}
	}
	return nil
}

// bare is the least that a lock on Redis costs: one script, one key, no token, no epoch, no session.
func bare(ctx context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	sha, err := r.Client.ScriptLoad(ctx, `if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end return 0`).Result()
	return func(ctx context.Context, id string) error {
		n, err := r.Client.EvalSha(ctx, sha, []string{"lock:Cart/" + id}, "b5f4c1f8e3a0427b9a3d7c6e5f4d3c2b", 60000).Int()
		if err == nil && n != 1 {
			err = fmt.Errorf("%s was taken", id)
		}
		return err
	}, err
}

func pins(ctx context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	store, err := owners.Open(ctx, owners.Options{URL: r.URL()})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = store.Close() })
	if err := store.Init(ctx); err != nil {
		return nil, err
	}
	sid := owners.NewSID()
	_, err = store.Register(ctx, owners.Registration{
		SID: sid, Addr: "10.0.0.1:9001", Name: "host-1", App: "shop", Version: "v42", Classes: []string{"Cart"}, Lease: 30 * time.Second, Ready: true,
	})
	return func(ctx context.Context, id string) error {
		_, won, err := store.Acquire(ctx, owners.Acquire{Key: owners.Key{Class: "Cart", ID: id}, SID: sid})
		if err == nil && !won {
			err = fmt.Errorf("%s was lost", id)
		}
		return err
	}, err
}

func redsyncLock(_ context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	rs := redsync.New(redsyncredis.NewPool(r.Client))
	return func(ctx context.Context, id string) error {
		return rs.NewMutex("lock:Cart/"+id, redsync.WithTries(1), redsync.WithExpiry(time.Minute)).LockContext(ctx)
	}, nil
}

func redislockLock(_ context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	l := redislock.New(r.Client)
	return func(ctx context.Context, id string) error {
		_, err := l.Obtain(ctx, "lock:Cart/"+id, time.Minute, nil)
		return err
	}, nil
}
