// Command newpin measures how fast objects that nobody owns get an owner, beside scripts run by hand, redsync and redislock.
//
// Of the scripts by hand (go-redis, nothing around it) one is the script that
// the store of owners runs, which shows what the library costs, the other the
// least that a lock needs. Each contender has a Redis server of its own; they take turns.
//
//	bench/run.sh newpin -rounds 5 -for 1s -c 1,16,256
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
		{"EVALSHA, acquire script", bareAcquire}, {"skewgate", pins}, {"EVALSHA, lock script", bareLock}, {"redsync", redsyncLock}, {"redislock", redislockLock},
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

// bareLock is the least that a lock on Redis costs: one script, one key, no token, no epoch, no session.
func bareLock(ctx context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	sha, err := r.Client.ScriptLoad(ctx, `if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end return 0`).Result()
	return func(ctx context.Context, id string) error {
		n, err := r.Client.EvalSha(ctx, sha, []string{"lock:Cart/" + id}, "b5f4c1f8e3a0427b9a3d7c6e5f4d3c2b", 60000).Int()
		if err == nil && n != 1 {
			err = fmt.Errorf("%s was taken", id)
		}
		return err
	}, err
}

// bareAcquire is the script of owners without the library around it: nothing is checked before, nothing is decoded after.
func bareAcquire(ctx context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	_, sid, err := openStore(ctx, r)
	if err != nil {
		return nil, err
	}
	src, err := os.ReadFile(filepath.Join("owners", "scripts", "acquire.lua"))
	if err != nil {
		return nil, fmt.Errorf("run it at the top of the repository: %w", err)
	}
	sha, err := r.Client.ScriptLoad(ctx, string(src)).Result()
	return func(ctx context.Context, id string) error {
		keys := []string{"{p0}:epoch", "{p0}:sess:" + sid, "{p0}:pin:Cart/" + id}
		v, err := r.Client.EvalSha(ctx, sha, keys, sid, "0", "0").Slice()
		if err == nil && v[0].([]any)[0] != "won" {
			err = fmt.Errorf("%s: %v", id, v)
		}
		return err
	}, err
}

// openStore opens the store on r, with one host.
func openStore(ctx context.Context, r *rig.Redis) (*owners.Store, string, error) {
	store, err := owners.Open(ctx, owners.Options{URL: r.URL()})
	if err != nil {
		return nil, "", err
	}
	context.AfterFunc(ctx, func() { _ = store.Close() })
	if err := store.Init(ctx); err != nil {
		return nil, "", err
	}
	sid := owners.NewSID()
	_, err = store.Register(ctx, owners.Registration{
		SID: sid, Addr: "10.0.0.1:9001", Name: "host-1", App: "shop", Version: "v42", Classes: []string{"Cart"}, Lease: 30 * time.Second, Ready: true,
	})
	return store, sid, err
}

func pins(ctx context.Context, r *rig.Redis) (func(context.Context, string) error, error) {
	store, sid, err := openStore(ctx, r)
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
