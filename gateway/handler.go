package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Gateway serves the objects of a mesh. It is an http.Handler; serve it over
// HTTP/1.1 and HTTP/2 (NewServer).
type Gateway struct {
	opt     Options
	log     *slog.Logger
	forward Forwarder // to hosts
	plain   Forwarder // to upstreams of observed classes, which have no gate and no certificate of ours
	metrics *metrics

	snap       atomic.Pointer[snapshot]
	pins       *pins
	held       heldBytes
	hosts      hostReader
	liveness   liveness
	over       sessionsOver
	storeSlots chan struct{}
	drain      drain
}

// New makes a Gateway. It serves nothing until SetTable.
func New(o Options) *Gateway {
	o = o.withDefaults()
	plain := o.Forward
	plain.TLS = nil
	g := &Gateway{
		opt:        o,
		log:        o.Logger.With("gateway", o.ID),
		forward:    o.Hosts,
		plain:      forward.New(plain),
		pins:       newPins(o.CachedPins),
		storeSlots: make(chan struct{}, o.StoreCalls),
		hosts:      hostReader{turn: make(chan struct{}, 1)},
		liveness:   liveness{turn: make(chan struct{}, 1)},
	}
	g.metrics = newMetrics(o.Registry, g.pins, &g.held)
	g.drain.init()
	return g
}

// SetTable swaps the configuration. Requests under way keep the one they began with.
func (g *Gateway) SetTable(t *routing.Table) {
	g.snap.Store(newSnapshot(t, t))
}

// Ready says why this gateway should get no traffic, or nil.
func (g *Gateway) Ready() error {
	switch {
	case g.drain.draining():
		return errors.New("draining")
	case g.snap.Load() == nil:
		return errors.New("no configuration yet")
	}
	return nil
}

// ServeHTTP is the request path.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ev := g.begin()
	defer g.end(ev)
	ctx, cancel, leave := g.drain.enter(r.Context())
	defer leave()
	if err := g.serve(ctx, cancel, w, r, ev); err != nil {
		g.fail(w, r, ev, err)
	}
}

// serve takes a request through the steps of the package's doc.
func (g *Gateway) serve(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter, r *http.Request, ev *Event) error {
	snap := g.snap.Load()
	if snap == nil {
		return errNoConfig
	}
	req, err := g.parse(snap, r)
	if err != nil {
		return err
	}
	ev.describe(req)
	key, err := objectKey(req)
	if err != nil {
		return err
	}
	ev.Object = key
	d, err := decide(snap, req, key)
	if err != nil {
		return err
	}
	c := g.newCall(w, r, ev, req, &d)
	c.cancel = cancel
	defer c.end()
	for {
		target, err := c.resolve(ctx)
		if err != nil {
			return err
		}
		again, err := c.guard(ctx, target)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		again, err = c.send(ctx, target)
		if err != nil || !again {
			return err
		}
	}
}

var errNoConfig = &wire.Problem{Code: wire.NoHost, Detail: "this gateway has no configuration yet"}

// call is one request on its way: what the steps of serve share.
type call struct {
	g      *Gateway
	w      http.ResponseWriter
	r      *http.Request
	ev     *Event
	req    Request
	d      *decision
	key    owners.Key
	find   finder
	hold   hold
	body   *replay
	cancel context.CancelCauseFunc // ends the request, and says why
	moved  bool                    // guard has moved the object for this request already
}

func (g *Gateway) newCall(w http.ResponseWriter, r *http.Request, ev *Event, req Request, d *decision) *call {
	limits := withDefaultLimits(req.Class.Limits)
	c := &call{g: g, w: w, r: r, ev: ev, req: req, d: d, key: d.key}
	c.find = g.finder(req.Class.Mode)
	c.hold = hold{g: g, limits: limits, client: req.Deadline}
	c.body = newReplay(w, r, g.held.of(req.Class.Name), limits.HeldBytes)
	return c
}

// end gives back what the call holds.
func (c *call) end() {
	c.hold.settled()
	c.ev.Waited = c.hold.waited
	if c.ev.Override == "" {
		c.ev.Override = c.d.overrideAnswer(c.ev.ObjectVersion)
	}
	if c.ev.Move = c.d.moved; c.moved && c.ev.Move != nil {
		c.ev.Move.Reason = moveUpgrade
	}
	c.body.close()
}

// resolve finds where to send the request, waiting as long as the class lets it.
func (c *call) resolve(ctx context.Context) (*Target, error) {
	for {
		t, err := c.find.find(ctx, c)
		var wait *waitError
		switch {
		case err == nil:
			return t, nil
		case !errors.As(err, &wait):
			return nil, err
		}
		if err := c.hold.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (c *call) forwarder() Forwarder {
	if c.req.Class.Mode == routing.ModeObserve {
		return c.g.plain
	}
	return c.g.forward
}

// send makes one attempt. again means that the host did not start it and it may be sent again.
func (c *call) send(ctx context.Context, t *Target) (again bool, err error) {
	body, err := c.body.attempt()
	if err != nil {
		return false, &wire.Problem{Code: wire.OwnerMoving, Detail: "the object moved, and the request's body is too large to be sent again", Err: err}
	}
	c.ev.Host, c.ev.ObjectVersion = t.Host, t.Version
	a := attempt{call: c, target: t, doubt: c.g.watch(t, c.cancel)}
	result := a.do(ctx, body)
	switch result.Stage {
	case forward.Delivered:
		return false, a.finish(result)
	case forward.Withheld:
		return true, c.find.refused(ctx, c, t, a.refusal, &waitError{code: wire.OwnerMoving, why: "the host's gate refused: " + a.refusal.String()})
	case forward.NotSent:
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		return true, c.find.refused(ctx, c, t, wire.Refusal{}, &waitError{code: wire.NoHost, why: "the host cannot be reached", err: result.Err})
	}
	return false, c.unknown(ctx, t, result)
}
