// Command death measures what the death of a host costs: all objects are active on one host, which is killed.
// Beside the times it gives the processor time between the first object that is served again and the last: divided
// by the machine's cores it is the least that this can take, whatever else the machine does.
//
//	bench/run.sh death -objects 10000 -lease 15s -survivors 3 -rounds 3
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/bench/internal/fleet"
	"github.com/skewgate/skewgate/bench/internal/rig"
)

type options struct {
	objects, survivors, clients, rounds int
	lease                               time.Duration
}

func main() {
	fleet.Child()
	var o options
	flag.IntVar(&o.objects, "objects", 10_000, "objects that are active on the host that dies")
	flag.IntVar(&o.survivors, "survivors", 3, "hosts that take over")
	flag.IntVar(&o.clients, "clients", 256, "requests at a time")
	flag.IntVar(&o.rounds, "rounds", 3, "meshes, one after the other")
	flag.DurationVar(&o.lease, "lease", 15*time.Second, "lease of the hosts")
	flag.Parse()
	rig.Main("death", func(ctx context.Context) error { return run(ctx, o) })
}

func run(ctx context.Context, o options) error {
	rig.Header(os.Stdout)
	fmt.Printf("%d objects on one host, lease %v, %d survivors, %d clients that ask until each object is served once\n", o.objects, o.lease, o.survivors, o.clients)
	var last, cpu []float64
	for i := range o.rounds {
		r, err := round(ctx, o)
		if err != nil {
			return err
		}
		n := len(r.served)
		first, end := r.served[0].Seconds(), r.served[n-1].Seconds()
		fmt.Printf("  round %d: served again after %.2f s (first), %.2f s (half), %.2f s (last); Redis %.0f ms of CPU for it, %.1f commands an object; other answers meanwhile %d; load %s\n", i+1,
			first, r.served[n/2].Seconds(), end, r.redis.Seconds()*1000, float64(r.commands)/float64(n), r.refused, rig.Load())
		fmt.Printf("    processor time from first to last: serve %.2f s, hosts %.2f s, Redis %.2f s, clients %.2f s\n",
			r.cpu[0].Seconds(), r.cpu[1].Seconds(), r.cpu[2].Seconds(), r.cpu[3].Seconds())
		last, cpu = append(last, end), append(cpu, r.redis.Seconds()*1000)
	}
	fmt.Printf("  last object, s: %s; the goal is below %.1f\n", rig.SpreadOf(last).Format("%.2f"), (o.lease + 2*time.Second).Seconds())
	fmt.Printf("  Redis CPU, ms: %s; the goal is below 1000\n", rig.SpreadOf(cpu).Format("%.0f"))
	return nil
}

type result struct {
	served   []time.Duration // since the kill, sorted
	redis    time.Duration
	cpu      [4]time.Duration // of serve, the survivors, Redis and this process, from the first object served to the last
	commands int64
	refused  int64
}

func round(ctx context.Context, o options) (r result, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m, err := fleet.StartMesh(ctx, o.lease)
	if err != nil {
		return r, err
	}
	defer m.Close()
	victim, err := m.Host(ctx, "victim")
	if err != nil {
		return r, err
	}
	if _, _, err := serveAll(ctx, m, o, time.Now(), nil); err != nil {
		return r, err
	}
	var survivors []*rig.Process
	for i := range o.survivors {
		h, err := m.Host(ctx, fmt.Sprintf("survivor-%d", i))
		if err != nil {
			return r, err
		}
		survivors = append(survivors, h)
	}
	idle, err := busy(ctx, m, 4*time.Second)
	if err != nil {
		return r, err
	}
	before, err := m.Redis.Used(ctx)
	if err != nil {
		return r, err
	}
	if err := m.Redis.Client.ConfigResetStat(ctx).Err(); err != nil {
		return r, err
	}
	time.Sleep(rand.N(o.lease / 4)) // at any moment between two renewals
	var atFirst [4]time.Duration
	start := time.Now()
	victim.Kill()
	if r.served, r.refused, err = serveAll(ctx, m, o, start, func() { atFirst = spent(m, survivors) }); err != nil {
		return r, err
	}
	took := time.Since(start)
	for i, t := range spent(m, survivors) {
		r.cpu[i] = t - atFirst[i]
	}
	after, err := m.Redis.Used(ctx)
	if err != nil {
		return r, err
	}
	r.redis = after - before - time.Duration(idle*float64(took))
	counts, err := m.Redis.Commands(ctx)
	for _, name := range []string{"evalsha", "eval", "info"} {
		r.commands += counts[name]
	}
	slices.Sort(r.served)
	return r, err
}

// spent is the processor time so far of serve, the survivors, Redis and this process.
func spent(m *fleet.Mesh, survivors []*rig.Process) (t [4]time.Duration) {
	for _, h := range survivors {
		t[1] += rig.CPU(h.Pid())
	}
	t[0], t[2], t[3] = rig.CPU(m.Serve.Pid()), rig.CPU(m.Redis.Pid()), rig.SelfCPU()
	return t
}

// busy is the share of a core that Redis takes while nothing happens.
func busy(ctx context.Context, m *fleet.Mesh, d time.Duration) (float64, error) {
	before, err := m.Redis.Used(ctx)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	after, err := m.Redis.Used(ctx)
	return (after - before).Seconds() / d.Seconds(), err
}

// serveAll asks for every object until it answers 200, and gives when it did. first, unless nil, is called when one does.
func serveAll(ctx context.Context, m *fleet.Mesh, o options, start time.Time, first func()) (served []time.Duration, refused int64, err error) {
	served = make([]time.Duration, o.objects)
	c := fleet.Client()
	defer c.CloseIdleConnections()
	var next, other atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	limit, cancel := context.WithTimeoutCause(ctx, 10*o.lease+time.Minute, fmt.Errorf("objects are not served"))
	defer cancel()
	for range o.clients {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(o.objects); i = next.Add(1) - 1 {
				for fleet.Get(limit, c, fmt.Sprintf("http://%s/carts/user-%07d", m.Gateway, i), nil) != nil {
					other.Add(1)
					select {
					case <-time.After(10 * time.Millisecond):
					case <-limit.Done():
						return
					}
				}
				served[i] = time.Since(start)
				if first != nil {
					once.Do(first)
				}
			}
		})
	}
	wg.Wait()
	return served, other.Load(), context.Cause(limit)
}
