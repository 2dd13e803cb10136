package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/wire"
)

// finder finds the target of a call, by the class's mode, and hears when the
// target did not take it.
type finder interface {
	// find gives a target; a *waitError means not yet.
	find(ctx context.Context, c *call) (*Target, error)
	// refused is told that t provably did not start the call; nil means try again.
	refused(ctx context.Context, c *call, t *Target, ref wire.Refusal, why *waitError) error
}

func (g *Gateway) finder(m routing.Mode) finder {
	switch m {
	case routing.ModeObserve:
		return observed{}
	case routing.ModeAffinity:
		return &hashed{}
	}
	return pinned{}
}

// pinned finds by pin: mode own.
type pinned struct{}

func (pinned) find(ctx context.Context, c *call) (*Target, error) {
	if c.hold.e == nil {
		c.hold.e = c.g.pins.entry(c.key)
	}
	if err := c.hold.queue(ctx); err != nil {
		return nil, err
	}
	return c.g.resolve(ctx, c.d, &c.hold)
}

func (pinned) refused(ctx context.Context, c *call, t *Target, ref wire.Refusal, why *waitError) error {
	reason := ref.Reason
	if reason == "" {
		reason = "unreachable"
	}
	c.g.metrics.refusal(reason)
	c.ev.Refusals++
	c.ev.Resends++
	if p := distrusted(t, ref, why); p != nil {
		c.g.log.Warn("a host does not accept this gateway, or the other way round", "host", t.Host, "addr", t.Addr, "why", p.Detail)
		return p
	}
	switch {
	case ref.Reason != "":
		c.hold.e.drop(t, ref.Token)
	case !c.g.mayLive(t.SID):
		c.hold.e.orphan(t)
		if c.g.over.first(t.SID) {
			c.g.pins.orphan(t.SID)
		}
		if !c.hold.orphan { // the object is free, as far as we know: once, for the store may know better
			c.hold.orphan = true
			return c.hold.check(ctx, why)
		}
	case c.hold.refusals == 0 || !c.hold.e.fresh(rereadUnreachable):
		c.hold.e.drop(t, 0)
	} // else: the store said just now, and again, that this host owns the object; the connection is tried again, not the store
	return c.hold.refused(ctx, why)
}

// rereadUnreachable is how old a pin may be that is believed although its host
// could not be reached twice. A host that is gone keeps its objects for a lease: without
// this, all who wait would read each pin many times a second until then.
const rereadUnreachable = time.Second

// watchAge is how old the watcher's word may be that a session is over.
const watchAge = 5 * time.Second

// mayLive says whether a session may run events, as far as known without asking the store.
func (g *Gateway) mayLive(sid string) bool {
	if g.opt.Watcher == nil {
		return true
	}
	sessions, age := g.opt.Watcher.Snapshot()
	if age > watchAge {
		return true
	}
	for i := range sessions {
		if sessions[i].ID == sid {
			return !sessions[i].State.Final()
		}
	}
	return false
}

// distrusted says that host and gateway do not accept each other, which no
// waiting mends; nil means something else.
func distrusted(t *Target, ref wire.Refusal, why *waitError) *wire.Problem {
	detail := ""
	var peer *mtls.PeerError
	var record tls.RecordHeaderError
	switch {
	case ref.Reason == wire.ReasonAuth:
		detail = fmt.Sprintf("does not accept this gateway's signature: their secrets differ, or their clocks by more than %v", wire.AuthWindow)
	case ref.Reason == wire.ReasonTLS:
		detail = "serves TLS, and this gateway speaks plain HTTP: auth.tls is missing in its mesh file"
	case errors.As(why.err, &peer):
		detail = "is not trusted: " + peer.Error()
	case errors.As(why.err, &record):
		detail = "speaks plain HTTP, and this gateway wants TLS: the host runs without certificates"
	case forward.RefusedCertificate(why.err):
		detail = "does not accept this gateway's certificate: " + why.err.Error()
	default:
		return nil
	}
	return &wire.Problem{Code: wire.NoHost, Detail: "host " + hostWord(t) + " " + detail, Err: why.err}
}

// hashed finds by rendezvous over the hosts: mode affinity. There is no pin and no fence.
type hashed struct {
	skip []string // hosts that could not be reached
}

func (f *hashed) find(ctx context.Context, c *call) (*Target, error) {
	if c.hold.e == nil {
		c.hold.e = &pinEntry{} // its own: waiting is counted per request only
	}
	versions, err := c.d.versions("")
	if err == nil {
		for _, v := range versions {
			if h, ok := c.d.place(v, f.skip); ok {
				return &Target{Addr: h.Addr, Version: h.Version, Host: h.Name}, nil
			}
		}
	}
	f.skip = nil
	if c.g.opt.Store != nil {
		c.g.refreshHosts(ctx, c.d)
	}
	return nil, &waitError{code: wire.NoHost, why: "no host is ready", err: err}
}

func (f *hashed) refused(ctx context.Context, c *call, t *Target, _ wire.Refusal, why *waitError) error {
	c.ev.Resends++
	for _, v := range c.d.snap.table.Versions(c.d.class.Name, c.d.class.App, c.d.preview) {
		for _, h := range c.d.snap.table.Hosts(c.d.class.Name, c.d.class.App, v, c.d.preview) {
			if h.Addr == t.Addr {
				f.skip = append(f.skip, h.Session)
			}
		}
	}
	return c.hold.refused(ctx, why)
}

// observed sends to the class's address, once: mode observe.
type observed struct{}

func (observed) find(_ context.Context, c *call) (*Target, error) {
	return &Target{Addr: c.req.Class.Upstream}, nil
}

func (observed) refused(_ context.Context, c *call, t *Target, _ wire.Refusal, why *waitError) error {
	return &wire.Problem{Code: wire.NoHost, Detail: t.Addr + ": " + why.Error(), Err: why}
}
