// Package owners_test measures the ownership store beside what one would use
// instead: the bare script, redsync and redislock, on one real Redis.
//
//	go test -bench . -benchtime 2s
package owners_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// A rig is a store on a fresh Redis with one live host.
type rig struct {
	b     *testing.B
	ctx   context.Context
	store *owners.Store
	sid   string
}

func newRig(b *testing.B) *rig {
	b.Helper()
	r := &rig{b: b, ctx: context.Background()}
	var err error
	r.store, err = owners.Open(r.ctx, owners.Options{URL: "redis://" + testenv.Redis(b)})
	r.must(err)
	b.Cleanup(func() { _ = r.store.Close() })
	r.must(r.store.Init(r.ctx))
	r.sid = r.host()
	return r
}

func (r *rig) must(err error) {
	if err != nil {
		r.b.Helper()
		r.b.Fatal(err)
	}
}

func (r *rig) host() string {
	r.b.Helper()
	sid := owners.NewSID()
	_, err := r.store.Register(r.ctx, owners.Registration{
		SID: sid, Addr: "10.0.0.1:9001", Name: "host-1", App: "shop", Version: "v42",
		Classes: []string{"Cart"}, Lease: 30 * time.Second, Ready: true,
	})
	r.must(err)
	return sid
}

func (r *rig) cpu() time.Duration {
	var self syscall.Rusage
	r.must(syscall.Getrusage(syscall.RUSAGE_SELF, &self))
	total := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	for line := range strings.Lines(r.store.Redis().Info(r.ctx, "cpu").Val()) {
		var sec float64
		for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			if v, ok := strings.CutPrefix(line, name); ok {
				_, _ = fmt.Sscan(v, &sec)
				total += time.Duration(sec * float64(time.Second))
			}
		}
	}
	return total
}

func cart(i int64) owners.Key { return owners.Key{Class: "Cart", ID: fmt.Sprintf("user-%07d", i)} }

// each runs do for 0 … b.N-1 by c goroutines and reports operations per
// second, and the processor time of client and server together: the first
// depends on what else the machine does, the second hardly.
func (r *rig) each(c int, do func(i int64) error) {
	b := r.b
	before := r.cpu()
	defer func() { b.ReportMetric(float64((r.cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op") }()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range c {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkNewPin(b *testing.B) {
	for _, c := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("EVALSHA/c=%d", c), func(b *testing.B) { bareScript(b, c) })
		b.Run(fmt.Sprintf("skewgate/c=%d", c), func(b *testing.B) {
			r := newRig(b)
			r.each(c, func(i int64) error {
				_, won, err := r.store.Acquire(r.ctx, owners.Acquire{Key: cart(i), SID: r.sid})
				if err == nil && !won {
					err = fmt.Errorf("%d was lost", i)
				}
				return err
			})
		})
		b.Run(fmt.Sprintf("redsync/c=%d", c), func(b *testing.B) {
			r := newRig(b)
			rs := redsync.New(redsyncredis.NewPool(r.store.Redis()))
			r.each(c, func(i int64) error {
				return rs.NewMutex("lock:"+cart(i).String(), redsync.WithTries(1), redsync.WithExpiry(time.Minute)).LockContext(r.ctx)
			})
		})
		b.Run(fmt.Sprintf("redislock/c=%d", c), func(b *testing.B) {
			r := newRig(b)
			l := redislock.New(r.store.Redis())
			r.each(c, func(i int64) error {
				_, err := l.Obtain(r.ctx, "lock:"+cart(i).String(), time.Minute, nil)
				return err
			})
		})
	}
}

// bareScript runs the same script with nothing around it.
func bareScript(b *testing.B, c int) {
	r := newRig(b)
	text, err := os.ReadFile("../../owners/scripts/acquire.lua")
	r.must(err)
	var kept []string
	for line := range strings.Lines(string(text)) {
		if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "--") {
			kept = append(kept, line)
		}
	}
	src := strings.Join(kept, "")
	sum := sha1.Sum([]byte(src))
	sha := hex.EncodeToString(sum[:])
	rdb := r.store.Redis()
	r.must(rdb.ScriptLoad(r.ctx, src).Err())
	session := "{p0}:sess:" + r.sid
	r.each(c, func(i int64) error {
		keys := []string{"{p0}:pin:" + cart(i).String(), "{p0}:epoch", session, session}
		return rdb.EvalSha(r.ctx, sha, keys, "0", "", r.sid, "0").Err()
	})
}

// Cold read: a pin that the gateway does not know yet.
func BenchmarkReadPin(b *testing.B) {
	for _, c := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("c=%d", c), func(b *testing.B) {
			r := newRig(b)
			for i := range int64(1000) {
				_, _, err := r.store.Acquire(r.ctx, owners.Acquire{Key: cart(i), SID: r.sid})
				r.must(err)
			}
			r.each(c, func(i int64) error {
				_, _, found, err := r.store.Pin(r.ctx, cart(i%1000))
				if err == nil && !found {
					err = fmt.Errorf("%d was not found", i)
				}
				return err
			})
		})
	}
}

// A million pins, owned and confirmed: what they take in the store.
func BenchmarkMemoryOfAMillionPins(b *testing.B) {
	const pins = 1_000_000
	r := newRig(b)
	rdb := r.store.Redis()
	info := func() int64 {
		var n int64
		for line := range strings.Lines(rdb.Info(r.ctx, "memory").Val()) {
			_, _ = fmt.Sscanf(line, "used_memory:%d", &n)
		}
		return n
	}
	before := info()
	for from := 0; from < pins; from += 5000 {
		_, err := rdb.Pipelined(r.ctx, func(p redis.Pipeliner) error {
			for i := from; i < from+5000; i++ {
				t := fmt.Sprint(1795458727472558 + int64(i))
				p.HSet(r.ctx, "{p0}:pin:"+cart(int64(i)).String(), "f", "1", "s", "o", "i", r.sid, "t", t, "v", "v42", "c", t)
			}
			return nil
		})
		r.must(err)
	}
	b.ReportMetric(float64(info()-before)/1e6, "MB")
	b.ReportMetric(float64(info()-before)/pins, "B/pin")
	for i := range int64(pins) { // the records are those that the store reads
		if i%100_000 == 0 {
			p, _, found, err := r.store.Pin(r.ctx, cart(i))
			r.must(err)
			if !found || p.State != owners.Owned {
				b.Fatalf("pin %d is %+v", i, p)
			}
		}
	}
	start, n := time.Now(), 0
	for _, err := range r.store.Pins(r.ctx) {
		r.must(err)
		n++
	}
	b.ReportMetric(time.Since(start).Seconds(), "s/walk")
	if n < pins {
		b.Fatalf("%d pins were walked", n)
	}
}

// All 10,000 objects of a dead host are acquired by another one: the time it
// takes, and the time the server is busy with it.
func BenchmarkTakeoverOf10000(b *testing.B) {
	const pins = 10_000
	r := newRig(b)
	rdb := r.store.Redis()
	for range b.N {
		b.StopTimer()
		r.must(rdb.FlushDB(r.ctx).Err())
		r.must(r.store.Init(r.ctx))
		dead, next := r.host(), r.host()
		expect := make([]owners.Pin, pins)
		for i := range expect {
			var err error
			expect[i], _, err = r.store.Acquire(r.ctx, owners.Acquire{Key: cart(int64(i)), SID: dead})
			r.must(err)
		}
		r.must(r.store.CloseSession(r.ctx, dead))
		r.must(rdb.ConfigResetStat(r.ctx).Err())
		b.StartTimer()
		var at atomic.Int64
		var wg sync.WaitGroup
		for range 256 {
			wg.Go(func() {
				for i := at.Add(1) - 1; i < pins; i = at.Add(1) - 1 {
					pin, _, _, err := r.store.Pin(r.ctx, cart(i))
					if err == nil {
						_, _, err = r.store.Acquire(r.ctx, owners.Acquire{Key: cart(i), Expect: pin, SID: next})
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		var usec float64
		for line := range strings.Lines(rdb.Info(r.ctx, "commandstats").Val()) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:"); ok {
				var calls int
				_, _ = fmt.Sscanf(rest, "calls=%d,usec=%f", &calls, &usec)
			}
		}
		b.ReportMetric(usec/1000, "server-ms/op")
	}
}

// What one poll of a watcher costs with many hosts.
func BenchmarkSessions(b *testing.B) {
	for _, hosts := range []int{100, 3000} {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			r := newRig(b)
			for range hosts {
				r.host()
			}
			for b.Loop() {
				if all, err := r.store.Sessions(r.ctx); err != nil || len(all) != hosts+1 {
					b.Fatal(len(all), err)
				}
			}
		})
	}
}

func BenchmarkRenew(b *testing.B) {
	for _, replicas := range []int{0, 1} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			master, _ := testenv.RedisReplicas(b, replicas)
			r := &rig{b: b, ctx: context.Background()}
			var err error
			r.store, err = owners.Open(r.ctx, owners.Options{URL: "redis://" + master.Addr, Replicas: replicas})
			r.must(err)
			defer r.store.Close()
			sid := r.host()
			for b.Loop() {
				if _, err := r.store.Renew(r.ctx, sid, owners.Health{Ready: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
