package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
)

// upgradeDeadline is how long an upgrade on call may take where the class names no deadline.
const upgradeDeadline = 10 * time.Second

// guard asks whether the caller's version may call the object's. again means
// that the object was moved for this call and must be resolved anew.
func (c *call) guard(ctx context.Context, t *Target) (again bool, err error) {
	if t.Version == "" {
		return false, nil
	}
	v, row := c.d.guard(c.req, t.Version)
	if row == nil {
		return false, nil
	}
	c.ev.Rule = row.Rule
	c.ev.ObjectVersion = t.Version
	c.g.metrics.incompatible(c.ev)
	switch {
	case v == allowed:
		return false, nil
	case v == upgradable && !c.moved && t.SID != "":
		moved, err := c.upgrade(ctx, t)
		if err != nil || moved {
			return moved, err
		}
	}
	return false, incompatible(c, t, row)
}

func incompatible(c *call, t *Target, row *routing.Incompatible) error {
	detail := fmt.Sprintf("%s may not call %s of %s@%s: %s", c.req.Caller, methodWord(c.req), c.d.class.App, t.Version, row.Rule)
	if row.Message != "" {
		detail += ": " + row.Message
	}
	return &wire.Problem{Code: wire.VersionIncompatible, Detail: detail}
}

func methodWord(req Request) string {
	if req.Method != "" {
		return req.Method
	}
	return req.Class.Name
}

// upgrade moves the object to the version it is assigned to, forward only. It
// is for callers who cannot talk to the version that runs; without a move in
// the budget, or with a host that is too busy to let go, they are refused.
func (c *call) upgrade(ctx context.Context, t *Target) (moved bool, err error) {
	if c.g.opt.Releaser == nil {
		return false, nil
	}
	if b := c.g.opt.Budget; b != nil && !c.d.paid {
		ok, err := b.Take(ctx, c.d.class.Name)
		if err != nil {
			c.g.log.Warn("move budget cannot be asked", "object", c.key.String(), "error", err)
		}
		if !ok {
			return false, nil
		}
		c.d.paid = true
	}
	c.moved = true
	deadline := c.d.class.Move.Deadline
	if deadline == 0 {
		deadline = upgradeDeadline
	}
	reply, err := c.g.opt.Releaser.Release(ctx, t.Addr, wire.ReleaseRequest{
		Object: c.key.String(), Session: t.SID, Token: t.Token,
		Mode: wire.ReleaseDrain, Deadline: wire.Seconds(deadline), Reason: moveUpgrade,
	})
	var refused *wire.RefusedError
	if errors.As(err, &refused) { // as it would have refused the call: the pin is older than the host's session
		c.moved = false
		return true, c.find.refused(ctx, c, t, refused.Refusal, &waitError{code: wire.OwnerMoving, why: err.Error()})
	}
	if err != nil {
		c.g.log.Warn("upgrade on call", "object", c.key.String(), "host", t.Host, "error", err)
		return false, nil
	}
	c.hold.e.drop(t, reply.Token)
	return reply.Released || reply.Reason == wire.ReasonNotOwner, nil
}
