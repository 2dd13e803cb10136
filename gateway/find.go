package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

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
	c.hold.e.drop(t, ref.Token)
	return c.hold.refused(ctx, why)
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
