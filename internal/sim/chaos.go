package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func releaseBody(k owners.Key, r route, mode string, deadline time.Duration, to string) io.ReadCloser {
	b, err := json.Marshal(wire.ReleaseRequest{
		Object: k.String(), Session: r.sid, Token: r.token, Mode: mode, Deadline: wire.Seconds(deadline), To: to,
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	return io.NopCloser(bytes.NewReader(b))
}

// dice are one loop's random numbers.
type dice struct{ *rand.Rand }

func (w *world) dice(id uint64) dice { return dice{rand.New(rand.NewPCG(w.c.Seed, id))} }

func (d dice) span(min, max time.Duration) time.Duration {
	return min + time.Duration(d.Int64N(int64(max-min)))
}

// every calls f after random pauses until stop.
func (d dice) every(stop <-chan struct{}, min, max time.Duration, f func()) {
	for {
		t := time.NewTimer(d.span(min, max))
		select {
		case <-stop:
			t.Stop()
			return
		case <-t.C:
			f()
		}
	}
}

// later calls f after a time, unless the simulation is over by then.
func (w *world) later(after time.Duration, f func()) {
	w.wg.Go(func() {
		time.Sleep(after)
		if !w.over.Load() {
			f()
		}
	})
}

// faults makes one fault after the other, each of a class drawn from those that are on.
func (w *world) faults(stop <-chan struct{}) {
	d := w.dice(2)
	one := map[string]func(d dice){
		"cordon": w.cordon, "pauses": w.pause, "partitions": w.partition, "crashes": w.crash, "clock": w.stepClock,
		"failover": w.failover, "promotions": w.promotion, "flush": w.flush,
	}
	var classes []string
	for _, f := range w.c.Faults {
		if one[f] != nil {
			classes = append(classes, f)
		}
	}
	slices.Sort(classes)
	if len(classes) > 0 {
		busy := time.Duration(max(1, w.c.Busy))
		d.every(stop, 100*time.Millisecond/busy, 1600*time.Millisecond/busy, func() { one[classes[d.IntN(len(classes))]](d) })
	}
}

// anyNode is a host's or a gateway's.
func (w *world) anyNode(d dice) *node {
	if d.IntN(2) == 0 {
		return w.gateways[d.IntN(gateways)].node
	}
	m := w.machines[d.IntN(hosts)]
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

func (w *world) pause(d dice) {
	until := time.Now().Add(d.span(50*time.Millisecond, 4*time.Second))
	n := w.anyNode(d)
	w.check.faulted("pause", n.name)
	n.set(func(n *node) { n.pause = until })
}

func (w *world) partition(d dice) {
	until := time.Now().Add(d.span(50*time.Millisecond, 4*time.Second))
	whole := d.IntN(3) == 0
	n := w.anyNode(d)
	if whole {
		w.check.faulted("cut-off", n.name)
	} else {
		w.check.faulted("no-store", n.name)
	}
	n.set(func(n *node) {
		if whole {
			n.cut = until
		} else {
			n.part = until
		}
	})
}

// crash ends a host, or makes a gateway forget everything.
func (w *world) crash(d dice) {
	if d.IntN(2) == 0 {
		w.machines[d.IntN(hosts)].crash(d.span(50*time.Millisecond, 2*time.Second))
		return
	}
	g := w.gateways[d.IntN(gateways)]
	w.check.faulted("gateway-restart", g.name)
	w.wg.Go(g.restart)
}

// stepClock moves the store's clock.
func (w *world) stepClock(d dice) {
	w.check.faulted("clock-step", "store")
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.offset += d.span(-2*time.Second, 2*time.Second)
	if d.IntN(10) == 0 {
		w.store.offset += 90 * 24 * time.Hour
	}
}

// failover loses what the replica lacks, which may have hung for a while.
func (w *world) failover(d dice) {
	switch n := d.IntN(8); {
	case n < 4:
		w.promote(d, 800*time.Millisecond)
	case n < 7:
		w.check.faulted("replica-hangs", "store")
		w.store.hang(5 * time.Second)
		time.Sleep(d.span(200*time.Millisecond, 1700*time.Millisecond))
		w.promote(d, 800*time.Millisecond)
	default:
		w.check.faulted("replica-hangs", "store")
		w.store.hang(4 * time.Second)
	}
}

// promote loses what the replica has not got yet, and nobody answers for up to down.
func (w *world) promote(d dice, down time.Duration) {
	w.check.faulted("failover", "store")
	w.store.failover(d.span(0, down))
}

// promotion is a failover that no host loses its lease over.
func (w *world) promotion(d dice) { w.promote(d, leaseMin/5) }

// flush loses everything, at most once in a while.
func (w *world) flush(d dice) {
	if restarted := d.IntN(2) == 0; time.Since(w.flushed) > 4*leaseMax {
		w.flushed = time.Now()
		if restarted {
			w.check.faulted("restart-empty", "store")
		} else {
			w.check.faulted("flushall", "store")
		}
		if w.c.has("partitions") && d.IntN(2) == 0 { // what took the data cut off a host as well
			m := w.machines[d.IntN(hosts)]
			m.mu.Lock()
			n := m.node
			m.mu.Unlock()
			w.check.faulted("no-store", n.name)
			n.set(func(n *node) { n.part = time.Now().Add(2 * leaseMax) })
		}
		w.store.flush(restarted)
		if w.c.has("clock") && d.IntN(2) == 0 { // and the time with it
			w.check.faulted("clock-lost", "store")
			w.store.mu.Lock()
			w.store.offset -= d.span(leaseMax, time.Hour)
			w.store.mu.Unlock()
		}
	}
}

// cordon is an operator, or a health check that fails for a while.
func (w *world) cordon(d dice) {
	m := w.machines[d.IntN(hosts)]
	back := d.span(0, 3*time.Second)
	if d.IntN(2) == 0 {
		m.mu.Lock()
		m.ready = false
		m.mu.Unlock()
		w.check.faulted("unhealthy", m.name)
		w.later(back, m.settle)
		return
	}
	g := w.gateways[d.IntN(gateways)]
	all, _ := g.serving().watcher.Snapshot()
	if len(all) == 0 {
		return
	}
	all = byName(all)
	sid := all[d.IntN(len(all))].ID
	w.check.faulted("cordon", g.name)
	w.wg.Go(func() {
		_ = g.serving().store.Want(g.ctx, sid, owners.WantedCordon) // final by now, or the store is away
		for time.Sleep(back); !w.over.Load(); time.Sleep(100 * time.Millisecond) {
			if s, ok, err := g.serving().store.Session(g.ctx, sid); err == nil && (!ok || s.Wanted == owners.WantedNone || s.State.Final()) {
				return
			}
			_ = g.serving().store.Want(g.ctx, sid, owners.WantedNone)
		}
	})
}

// moves asks for releases: of what is owned, now or when idle, twice now and
// then, late now and then, half of them to a host that is named.
func (w *world) moves(stop <-chan struct{}) {
	if !w.c.has("moves") {
		return
	}
	d, busy := w.dice(3), time.Duration(max(1, w.c.Busy)*max(1, w.c.Moves))
	d.every(stop, 30*time.Millisecond/busy, 500*time.Millisecond/busy, func() {
		g, k := w.gateways[d.IntN(gateways)], object(d.Int64N(objects))
		mode, deadline := wire.ReleaseNow, d.span(50*time.Millisecond, time.Second)
		if d.IntN(4) == 0 {
			mode = wire.ReleaseWhenIdle
		}
		if w.c.has("hasty") && d.IntN(2) == 0 {
			deadline = d.span(time.Millisecond, 50*time.Millisecond)
		}
		again := time.Duration(-1)
		if d.IntN(10) == 0 {
			again = d.span(0, 2*time.Second)
			w.check.faulted("late-release", k.String())
		}
		named := d.IntN(2 * hosts)
		w.wg.Go(func() {
			r, ok := g.route(k)
			if !ok {
				return
			}
			w.check.faulted("move", k.String())
			to := ""
			if all, _ := g.serving().watcher.Snapshot(); named < len(all) {
				if to = byName(all)[named].ID; to == r.sid {
					to = ""
				}
			}
			if to != "" {
				w.check.faulted("move-to", k.String())
			}
			if again >= 0 {
				w.later(again, func() { g.release(k, r, mode, deadline, to) })
			}
			g.release(k, r, mode, deadline, to)
		})
	})
}

// rollouts drains one host after the other: SIGTERM, or an operator's wish.
func (w *world) rollouts(stop <-chan struct{}) {
	if !w.c.has("rollouts") {
		return
	}
	d := w.dice(4)
	d.every(stop, 2*time.Second, 6*time.Second, func() {
		i := w.machines[d.IntN(hosts)].running()
		g := w.gateways[d.IntN(gateways)]
		if i == nil {
			return
		}
		if d.IntN(2) == 0 {
			w.check.faulted("sigterm", i.m.name)
			i.end()
			return
		}
		w.check.faulted("drain", i.m.name)
		w.wg.Go(func() {
			all, _ := g.serving().watcher.Snapshot()
			for _, s := range all {
				if s.Addr == i.addr && s.State == owners.Live {
					_ = g.serving().store.Want(g.ctx, s.ID, owners.WantedDrain)
				}
			}
		})
	})
}

// byName puts sessions in an order that a seed repeats as far as their names go; ids are random.
func byName(all []owners.Session) []owners.Session {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b owners.Session) int { return strings.Compare(a.Name+a.Addr+a.ID, b.Name+b.Addr+b.ID) })
	return all
}
