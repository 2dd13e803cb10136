package sim

import (
	"strconv"
	"time"
)

// openAtOnce lets everybody acquire although old leases may stand.
func (g *proxy) openAtOnce() {
	switch e, err := g.store.Epoch(g.ctx); {
	case err != nil:
	case e.ID == "":
		_, _ = g.store.BeginEpoch(g.ctx)
	case !e.Open:
		_, _ = g.store.OpenEpoch(g.ctx, e.ID)
	}
}

// weakWatch is what a watcher must not do.
func (g *proxy) weakWatch() {
	for !g.w.over.Load() {
		time.Sleep(50 * time.Millisecond)
		if g.w.c.Weak.NoHold {
			g.openAtOnce()
		}
		if !g.w.c.Weak.TTL {
			continue
		}
		all, _ := g.watcher.Snapshot()
		for _, s := range byName(all) {
			seen, _ := strconv.ParseInt(g.w.store.mini.HGet("{p0}:sess:"+s.ID, "seen"), 10, 64)
			if !s.State.Final() && g.w.store.now().Sub(time.UnixMicro(seen)) > s.Lease {
				_, _ = g.store.Dead(g.ctx, s.ID, s.Nonce)
			}
		}
	}
}
