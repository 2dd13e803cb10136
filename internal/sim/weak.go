package sim

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/host/storage"
)

// openAtOnce lets everybody acquire although old leases may stand.
func (g *proxy) openAtOnce() {
	switch e, err := g.serving().store.Epoch(g.ctx); {
	case err != nil:
	case e.ID == "":
		_, _ = g.serving().store.BeginEpoch(g.ctx)
	case !e.Open:
		_, _ = g.serving().store.OpenEpoch(g.ctx, e.ID)
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
		all, _ := g.serving().watcher.Snapshot()
		for _, s := range byName(all) {
			seen, _ := strconv.ParseInt(g.w.store.mini.HGet("{p0}:sess:"+s.ID, "seen"), 10, 64)
			if !s.State.Final() && g.w.store.now().Sub(time.UnixMicro(seen)) > s.Lease {
				_, _ = g.serving().store.Dead(g.ctx, s.ID, s.Nonce)
			}
		}
	}
}

// unfenced is a driver whose activations all have the same fence.
type unfenced struct{ storage.Driver }

var anybody = storage.Fence{Token: 1, Session: "anybody", N: 1}

func (u unfenced) Claim(ctx context.Context, o string, _ storage.Fence) (storage.Snapshot, error) {
	return u.Driver.Claim(ctx, o, anybody)
}

func (u unfenced) Read(ctx context.Context, o string, _ storage.Fence, keys []string) (storage.Values, error) {
	return u.Driver.Read(ctx, o, anybody, keys)
}

func (u unfenced) Write(ctx context.Context, o string, _ storage.Fence, b storage.Batch) error {
	return u.Driver.Write(ctx, o, anybody, b)
}

// repeating is a driver that sends a write again when its answer was lost.
type repeating struct{ storage.Driver }

func (r repeating) Write(ctx context.Context, o string, f storage.Fence, b storage.Batch) error {
	err := r.Driver.Write(ctx, o, f, b)
	if errors.Is(err, storage.ErrUnknown) {
		return r.Driver.Write(ctx, o, f, b)
	}
	return err
}

// patient is a driver that goes on waiting for an answer that does not come.
type patient struct{ storage.Driver }

func (p patient) Write(ctx context.Context, o string, f storage.Fence, b storage.Batch) error {
	err := p.Driver.Write(ctx, o, f, b)
	if errors.Is(err, storage.ErrUnknown) {
		time.Sleep(9 * time.Second)
	}
	return err
}
