package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
)

// Limits where the mesh file names none.
const (
	defaultHoldFor       = 5 * time.Second
	defaultHeldPerObject = 256
	defaultHeldBytes     = 64 << 20
)

// probePatience is how long a request waits behind the one that probes before it tries by itself.
const probePatience = 250 * time.Millisecond

func withDefaultLimits(l routing.Limits) routing.Limits {
	if l.HoldFor == 0 {
		l.HoldFor = defaultHoldFor
	}
	if l.HeldPerObject == 0 {
		l.HeldPerObject = defaultHeldPerObject
	}
	if l.HeldBytes == 0 {
		l.HeldBytes = defaultHeldBytes
	}
	return l
}

// heldBytes counts the bytes that are kept to be sent again, by class.
type heldBytes struct{ byClass sync.Map }

func (b *heldBytes) of(class string) *atomic.Int64 {
	if v, ok := b.byClass.Load(class); ok {
		return v.(*atomic.Int64)
	}
	v, _ := b.byClass.LoadOrStore(class, new(atomic.Int64))
	return v.(*atomic.Int64)
}

// total counts over all classes.
func (b *heldBytes) total() int64 {
	sum := int64(0)
	b.byClass.Range(func(_, n any) bool {
		sum += n.(*atomic.Int64).Load()
		return true
	})
	return sum
}

// hold is the bounded waiting of one request: for a pin, a host, the store.
type hold struct {
	g        *Gateway
	e        *pinEntry
	limits   routing.Limits
	deadline time.Time // zero until the first wait
	client   time.Time // the client's own, zero is none
	refusals int
	waits    int
	waited   time.Duration
	last     *waitError // why it waited last: what a wait for the store's answer goes on from
	probe    *probe     // while this request is the one that probes
	orphan   bool       // it has found out that its object's host is gone, and did not wait to take the object
}

// refused counts a refusal of the gate (or a host that could not be reached)
// and waits as long as that asks for:
//
//	first          not at all: the store is read again at once
//	from second    5–50 ms with jitter, up to 250 ms after the eighth; one request
//	               of the object probes, the others wait behind it
func (h *hold) refused(ctx context.Context, why *waitError) error {
	h.refusals++
	if h.refusals == 1 {
		return h.check(ctx, why)
	}
	return h.wait(ctx, why)
}

// wait passes the time until the next try: behind the request that probes, or as that one.
func (h *hold) wait(ctx context.Context, why *waitError) error {
	if err := h.check(ctx, why); err != nil {
		return err
	}
	h.waits++
	h.e.mu.Lock()
	if h.e.probe == nil && h.probe == nil {
		h.probe = &probe{done: make(chan struct{})}
		h.e.probe = h.probe
	}
	other := h.e.probe
	h.e.mu.Unlock()
	if other != nil && other != h.probe {
		return h.sleep(ctx, probePatience, other.done, why)
	}
	return h.sleep(ctx, jitter(h.waits), nil, why)
}

// queue lets a request that is about to try wait behind the one that probes.
func (h *hold) queue(ctx context.Context) error {
	h.e.mu.Lock()
	p := h.e.probe
	h.e.mu.Unlock()
	if p == nil || h.probe != nil {
		return nil
	}
	why := &waitError{code: wire.OwnerMoving, why: "the object is moving"}
	if err := h.check(ctx, why); err != nil {
		return err
	}
	return h.sleep(ctx, probePatience, p.done, why)
}

// behind waits until a resolve of the object is done.
func (h *hold) behind(ctx context.Context, done <-chan struct{}) error {
	why := h.last
	if why == nil {
		why = &waitError{code: wire.StoreUnavailable, why: "the ownership store has not said yet who owns the object"}
	}
	for {
		if err := h.check(ctx, why); err != nil {
			return err
		}
		if err := h.sleep(ctx, h.limits.HoldFor, done, why); err != nil {
			return err
		}
		select {
		case <-done:
			return nil
		default: // the timer ran out a moment before the hold time
		}
	}
}

// sleep waits for d or done, counted against what the class lets wait.
func (h *hold) sleep(ctx context.Context, d time.Duration, done <-chan struct{}, why *waitError) error {
	if !h.e.hold(h.limits.HeldPerObject) {
		return &wire.Problem{Code: wire.Overloaded, Detail: "too many requests wait for this object: " + why.why, Err: why}
	}
	h.g.metrics.held.Inc()
	start := time.Now()
	defer func() {
		h.waited += time.Since(start)
		h.g.metrics.held.Dec()
		h.e.unhold()
	}()
	timer := time.NewTimer(min(d, max(time.Until(h.until()), 0)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return h.check(ctx, why)
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until is when this request must have been sent.
func (h *hold) until() time.Time {
	if !h.client.IsZero() && h.client.Before(h.deadline) {
		return h.client
	}
	return h.deadline
}

// check ends the wait when its time is up.
func (h *hold) check(ctx context.Context, why *waitError) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.last = why
	now := time.Now()
	if h.deadline.IsZero() {
		h.deadline = now.Add(h.limits.HoldFor)
	}
	if now.Before(h.until()) {
		return nil
	}
	return &wire.Problem{Code: why.code, Detail: why.Error(), Err: why}
}

// settled lets those who wait behind this request go on: it was admitted, or has ended.
func (h *hold) settled() {
	if h.probe == nil {
		return
	}
	h.e.mu.Lock()
	if h.e.probe == h.probe {
		h.e.probe = nil
	}
	h.e.mu.Unlock()
	close(h.probe.done)
	h.probe = nil
}

// jitter is 5–50 ms, and up to 250 ms after eight waits.
func jitter(waits int) time.Duration {
	top := 50 * time.Millisecond
	if waits > 8 {
		top = 250 * time.Millisecond
	}
	return 5*time.Millisecond + rand.N(top-5*time.Millisecond) //nolint:gosec // spreads load, protects nothing
}
