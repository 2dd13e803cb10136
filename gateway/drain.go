package gateway

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errDraining is why requests end that outlive Drain's time.
var errDraining = errors.New("gateway is draining")

// drainGrace is how long cancelled requests may take to end.
const drainGrace = 5 * time.Second

// drain counts requests, sockets included, and can end them all.
type drain struct {
	mu      sync.Mutex
	going   bool
	n       int
	idle    chan struct{} // closed when going and n is 0
	base    context.Context
	cutBase context.CancelCauseFunc
}

func (d *drain) init() {
	d.idle = make(chan struct{})
	d.base, d.cutBase = context.WithCancelCause(context.Background())
}

// enter counts a request and gives its context, which ends with the request's own or with the gateway.
func (d *drain) enter(ctx context.Context) (context.Context, context.CancelCauseFunc, func()) {
	d.mu.Lock()
	d.n++
	d.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.base, func() { cancel(context.Cause(d.base)) })
	return ctx, cancel, func() {
		stop()
		cancel(nil)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.n--; d.n == 0 && d.going {
			d.close()
		}
	}
}

// close closes idle once; needs mu.
func (d *drain) close() {
	select {
	case <-d.idle:
	default:
		close(d.idle)
	}
}

func (d *drain) draining() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.going
}

// Drain makes the gateway not ready, waits for its requests to end, and when
// ctx ends first, ends them: WebSockets with 1012, others with an error. It
// returns when none is left, or shortly after. Requests that still come are
// served meanwhile: stop the listener when Ready has been seen to fail.
func (g *Gateway) Drain(ctx context.Context) error {
	d := &g.drain
	d.mu.Lock()
	d.going = true
	if d.n == 0 {
		d.close()
	}
	d.mu.Unlock()
	defer g.plain.Close()
	defer g.forward.Close()
	select {
	case <-d.idle:
		d.cutBase(errDraining)
		return nil
	case <-ctx.Done():
	}
	d.cutBase(errDraining)
	select {
	case <-d.idle:
		return nil
	case <-time.After(drainGrace):
		return errors.New("requests did not end when the gateway drained")
	}
}
