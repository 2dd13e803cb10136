package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// PickOptions say how a pick differs from a request that we forward.
type PickOptions struct {
	Refuse string // status with which the host's gate shall refuse, "307" or "503"
	Fresh  bool   // read the pin from the store: the request cannot be sent again, or was refused just now
}

// Pick is the answer to a picker: where a request shall go that somebody else forwards.
type Pick struct {
	Target *Target // nil where nothing is picked: mode observe
	Key    owners.Key
	Header http.Header // what the host's gate must see; a nil value means that the field is removed
	Event  *Event      // as far as known; the picker hands it on when the request has ended
}

// Pick runs the steps of the request path up to the forwarding, on a
// request of which only the head is known. An error is a *wire.Problem, or
// ctx's; then the event has been handed on already.
func (g *Gateway) Pick(ctx context.Context, r *http.Request, o PickOptions) (Pick, error) {
	ev := g.begin()
	p, err := g.pick(ctx, r, o, ev)
	if err == nil {
		return p, nil
	}
	if ctx.Err() != nil {
		ev.Code = codeCanceled
		g.end(ev)
		return Pick{}, ctx.Err()
	}
	out := problemOf(err, ev)
	g.end(ev)
	return Pick{}, &out
}

func (g *Gateway) pick(ctx context.Context, r *http.Request, o PickOptions, ev *Event) (Pick, error) {
	snap := g.snap.Load()
	if snap == nil {
		return Pick{}, errNoConfig
	}
	req, err := g.parse(snap, r)
	if err != nil {
		return Pick{}, err
	}
	ev.describe(req)
	key, err := objectKey(req)
	if err != nil {
		return Pick{}, err
	}
	ev.Object = key
	d, err := decide(snap, req, key)
	if err != nil {
		return Pick{}, err
	}
	if req.Class.Mode == routing.ModeObserve {
		return Pick{Key: key, Event: ev}, nil
	}
	if o.Fresh {
		g.pins.entry(key).target.Store(nil)
	}
	c := g.newCall(nil, r, ev, req, &d)
	defer c.end()
	for {
		t, err := c.resolve(ctx)
		if err != nil {
			return Pick{}, err
		}
		again, err := c.guard(ctx, t)
		if err != nil {
			return Pick{}, err
		}
		if again {
			continue
		}
		ev.Host, ev.ObjectVersion, ev.Override = t.Host, t.Version, d.overrideAnswer(t.Version)
		h := http.Header{}
		g.stamp(h, key, t, o.Refuse)
		switch req.Caller {
		case "":
			h[wire.HeaderCaller] = nil
		case r.Header.Get(wire.HeaderCaller): // as it was sent
		default:
			h[wire.HeaderCaller] = []string{req.Caller}
		}
		return Pick{Target: t, Key: key, Header: h, Event: ev}, nil
	}
}

// Record hands on the event of a request that somebody else forwarded.
func (g *Gateway) Record(ev *Event) { g.deliver(ev) }

// problemOf makes of an error what a client may see, and notes it in ev.
func problemOf(err error, ev *Event) wire.Problem {
	var p *wire.Problem
	if !errors.As(err, &p) {
		p = &wire.Problem{Code: wire.UpstreamFailed, Detail: err.Error(), Err: err}
		if errors.Is(err, errDraining) {
			p = &wire.Problem{Code: wire.OwnerMoving, Detail: "this gateway is going away", Err: err}
		}
	}
	out := *p // a problem may be shared
	out.CallerVersion = ev.Caller
	if ev.Object.ID != "" {
		out.Object = ev.Object.String()
	}
	if ev.ObjectVersion != "" {
		out.ObjectVersion = ev.App + "@" + ev.ObjectVersion
	}
	out.Override = ev.Override
	ev.failed(&out)
	return out
}
