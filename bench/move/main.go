// Command move measures how long requests wait while their object is moved to another host as planned.
//
//	bench/run.sh move -moves 300 -clients 4 -event 0ms
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/bench/internal/fleet"
	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/owners"
)

type options struct {
	moves, clients, rounds int
	event                  time.Duration
}

func main() {
	fleet.Child()
	var o options
	flag.IntVar(&o.moves, "moves", 200, "moves in a round, each of an object of its own")
	flag.IntVar(&o.clients, "clients", 4, "requests to the object at a time")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.DurationVar(&o.event, "event", 0, "how long one event runs")
	flag.Parse()
	rig.Main("move", func(ctx context.Context) error { return run(ctx, o) })
}

func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rig.Header(os.Stdout)
	m, err := fleet.StartMesh(ctx, 15*time.Second)
	if err != nil {
		return err
	}
	defer m.Close()
	for _, name := range []string{"left", "right"} {
		if _, err := m.Host(ctx, name); err != nil {
			return err
		}
	}
	fmt.Printf("%d moves a round, %d requests at a time to the object, events of %v\n", o.moves, o.clients, o.event)
	var p50, p99 []float64
	for i := range o.rounds {
		r, err := round(ctx, m, o, i)
		if err != nil {
			return err
		}
		q := func(v []time.Duration, q float64) float64 { return rig.Quantile(v, q).Seconds() * 1000 }
		fmt.Printf("  round %d: the longest request of a move, ms: p50 %.1f p99 %.1f max %.1f; of the same time without a move: p50 %.1f p99 %.1f; %d requests, 0 failed; load %s\n",
			i+1, q(r.moved, .5), q(r.moved, .99), q(r.moved, 1), q(r.still, .5), q(r.still, .99), r.requests, rig.Load())
		p50, p99 = append(p50, q(r.moved, .5)), append(p99, q(r.moved, .99))
	}
	fmt.Printf("  p50, ms: %s  p99, ms: %s; the goal is a p99 below 20 beyond the running event\n", rig.SpreadOf(p50).Format("%.1f"), rig.SpreadOf(p99).Format("%.1f"))
	return nil
}

type result struct {
	moved, still []time.Duration // the longest request of each window
	requests     int64
}

func round(ctx context.Context, m *fleet.Mesh, o options, round int) (r result, err error) {
	api := &admin.Client{URL: "http://" + m.Admin, By: "bench"}
	for i := range o.moves {
		k := owners.Key{Class: "Cart", ID: fmt.Sprintf("user-%d-%d", round, i)}
		var took time.Duration
		moved, n, err := longest(ctx, m, o, k, func() error {
			start := time.Now()
			pin, err := api.Object(ctx, k)
			if err != nil {
				return err
			}
			to := map[string]string{"left": "right", "right": "left"}[pin.Host]
			went, err := api.MoveObject(ctx, k, admin.ObjectMove{Host: to})
			took = time.Since(start)
			if err == nil && went.To != to {
				err = fmt.Errorf("%s went to %s, not to %s", k, went.To, to)
			}
			return err
		})
		if err != nil {
			return r, err
		}
		still, n2, err := longest(ctx, m, o, k, func() error { time.Sleep(took); return nil })
		if err != nil {
			return r, err
		}
		r.moved, r.still, r.requests = append(r.moved, moved), append(r.still, still), r.requests+n+n2
	}
	return r, nil
}

// longest sends requests to an object while what runs, and gives the time of
// the slowest. One that fails is an error: a planned move fails none.
func longest(ctx context.Context, m *fleet.Mesh, o options, k owners.Key, what func() error) (time.Duration, int64, error) {
	c := fleet.Client()
	defer c.CloseIdleConnections()
	url := fmt.Sprintf("http://%s/carts/%s?ms=%d", m.Gateway, k.ID, o.event.Milliseconds())
	for range 5 { // connections and the object are warm
		if err := fleet.Get(ctx, c, url, nil); err != nil {
			return 0, 0, err
		}
	}
	var over atomic.Bool
	var n, slowest atomic.Int64
	errs := make(chan error, o.clients)
	var wg sync.WaitGroup
	for range o.clients {
		wg.Go(func() {
			for !over.Load() {
				start := time.Now()
				if err := fleet.Get(ctx, c, url, nil); err != nil {
					errs <- err
					return
				}
				n.Add(1)
				for d := int64(time.Since(start)); ; {
					if old := slowest.Load(); old >= d || slowest.CompareAndSwap(old, d) {
						break
					}
				}
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	err := what()
	time.Sleep(5 * time.Millisecond)
	over.Store(true)
	wg.Wait()
	select {
	case failed := <-errs:
		return 0, 0, failed
	default:
		return time.Duration(slowest.Load()), n.Load(), err
	}
}
