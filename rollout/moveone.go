package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

// Codes of reasons why one object cannot be moved.
const (
	CodeNoObject  = "no_object"
	CodeNotActive = "not_active"
	CodeBusy      = "busy"
)

// MoveAsk says where one object shall go.
type MoveAsk struct {
	Ask
	Host string // name or session of the target; "" = a host of the assigned version, else the emptiest other one
	Mode routing.MoveMode
	Wait time.Duration // how long running events may take
	Dry  bool          // only say where it would go
}

// MovedObject is where one object went.
type MovedObject struct {
	Object string `json:"object"`
	From   string `json:"from"`             // host
	To     string `json:"to"`               // host
	Token  int64  `json:"token"`            // with dryRun the one that it has
	DryRun bool   `json:"dryRun,omitempty"` // nothing was touched
}

// MoveObject moves one object now, outside of any rollout and budget: its host
// releases it, then the target's session gets the pin. The object is served
// throughout; requests in between wait at the gateways.
//
// A host that has just begun a new session does not know the one that the pin
// names. The pin is read anew then, until it says who owns the object now, at
// most for as long as the old session may stand (its lease). A *Refusal says
// that nothing was moved, and why.
func (r *Rollouts) MoveObject(ctx context.Context, k owners.Key, a MoveAsk) (*MovedObject, error) {
	var p patience
	for {
		moved, err := r.tryMove(ctx, k, a)
		if err == nil || !p.wait(ctx, err) {
			return moved, err
		}
	}
}

// tryMove makes one attempt on the pin as it stands now.
func (r *Rollouts) tryMove(ctx context.Context, k owners.Key, a MoveAsk) (*MovedObject, error) {
	pin, from, found, err := r.opt.Store.Pin(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("move %s: %w", k, err)
	}
	if pin.State != owners.Owned || !found || from.State.Final() {
		return nil, refuse(CodeNotActive, "skewgate objects get "+k.String(), "%s has no live owner; its next call decides where it runs", k)
	}
	to, err := r.targetFor(ctx, k, from, a.Host)
	if err != nil {
		return nil, err
	}
	if a.Dry {
		return &MovedObject{Object: k.String(), From: from.Name, To: to.Name, Token: pin.Token, DryRun: true}, nil
	}
	if err := r.askRelease(ctx, pin, from, to, a); err != nil {
		return nil, err
	}
	return r.place(ctx, k, from, to, a)
}

// askRelease has the object's host let go of it.
func (r *Rollouts) askRelease(ctx context.Context, pin owners.Pin, from, to owners.Session, a MoveAsk) error {
	mode, wait := wire.ReleaseDrain, a.Wait
	if a.Mode == routing.MoveNow {
		mode = wire.ReleaseNow
	}
	if wait == 0 {
		wait = 30 * time.Second
	}
	k := pin.Key.String()
	client := wire.ReleaseClient{Signer: r.opt.Signer, HTTP: r.opt.HTTP, Scheme: r.opt.Scheme}
	reply, err := client.Release(ctx, from.Addr, wire.ReleaseRequest{
		Object: k, Session: pin.SID, Token: pin.Token, Mode: mode, Deadline: wire.Seconds(wait), Reason: ReasonOperator, To: to.ID,
	})
	var refused *wire.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Refusal.Reason == wire.ReasonSession:
		return outdated(pin, from, wire.ReasonSession)
	case err != nil:
		return fmt.Errorf("move %s: %w", k, err)
	case reply.Released:
		return nil
	case reply.Reason == wire.ReasonLease || reply.Reason == wire.ReasonNotOwner:
		return outdated(pin, from, reply.Reason)
	}
	return refuse(CodeBusy, fmt.Sprintf("skewgate objects move %s --wait 2m, or --now", k), "%s did not release %s: %s", from.Name, k, reply.Reason)
}

// place gives the released object to its new host, unless the old one has done so, or a gateway was faster.
func (r *Rollouts) place(ctx context.Context, k owners.Key, from, to owners.Session, a MoveAsk) (*MovedObject, error) {
	pin, to, err := r.give(ctx, k, from, to)
	if errors.Is(err, errTarget) { // it ended, or began a new session, while the object was being released
		var next owners.Session
		if next, err = r.targetFor(ctx, k, from, a.Host); err == nil {
			pin, to, err = r.give(ctx, k, from, next)
		}
	}
	var no *Refusal
	switch {
	case errors.As(err, &no):
		return nil, refuse(CodeNoHost, no.Reasons[0].Next, "%s released it, but %s; its next call decides where it runs", from.Name, no.Reasons[0].Message)
	case errors.Is(err, errTarget):
		return nil, refuse(CodeNoHost, "skewgate hosts list --app "+from.App,
			"%s released %s, but %s takes no objects any more; its next call decides where it runs", from.Name, k, to.Name)
	case err != nil:
		return nil, fmt.Errorf("move %s: released by %s, but not given to %s: %w", k, from.Name, to.Name, err)
	}
	moved := Moved{
		At: time.Now().UTC(), Reason: ReasonOperator, FromVersion: from.Version, ToVersion: to.Version,
		FromHost: from.Name, ToHost: to.Name, Token: pin.Token, Detail: a.By + " " + a.Reason,
	}
	if err := r.Moves.Add(ctx, k, moved); err != nil {
		r.opt.Logger.Debug("move not noted", "object", k, "err", err)
	}
	return &MovedObject{Object: k.String(), From: from.Name, To: to.Name, Token: pin.Token}, nil
}

// errTarget says that a session takes no objects any more.
var errTarget = errors.New("the target takes no objects")

// give makes to the owner of a released object, and gives who owns it then: a call may have been faster.
func (r *Rollouts) give(ctx context.Context, k owners.Key, from, to owners.Session) (owners.Pin, owners.Session, error) {
	pin, owner, found, err := r.opt.Store.Pin(ctx, k)
	if err != nil {
		return pin, to, err
	}
	if pin.State != owners.Owned || pin.SID == from.ID {
		got, won, err := r.opt.Store.Acquire(ctx, owners.Acquire{Key: k, Expect: pin, SID: to.ID, Floor: pin.Token})
		switch {
		case err != nil:
			return got, to, err
		case won:
			return got, to, nil
		case got.State != owners.Owned:
			return got, to, errTarget
		}
		if pin, owner, found, err = r.opt.Store.Pin(ctx, k); err != nil {
			return pin, to, err
		}
	}
	if !found {
		return pin, to, fmt.Errorf("a call was faster, and nothing is known of its host's session %s", pin.SID)
	}
	return pin, owner, nil
}

// placement is what the version of class's objects depends on now.
func (r *Rollouts) placement(ctx context.Context, rec *Record, sessions []owners.Session, class string) (Placement, error) {
	matrices, err := r.skew.Matrices(ctx)
	if err != nil {
		return Placement{}, err
	}
	p := Placement{Deployment: rec.Versions(), Class: routing.Class{Name: class}, Hosts: hostsByVersion(sessions, rec.App, class), Matrix: matrices[class]}
	for _, c := range r.opt.Classes() {
		if c.Name == class {
			p.Class = c
		}
	}
	return p, nil
}

// targetFor chooses the host that shall run k next.
func (r *Rollouts) targetFor(ctx context.Context, k owners.Key, from owners.Session, host string) (owners.Session, error) {
	sessions, err := r.sessions(ctx)
	if err != nil {
		return owners.Session{}, fmt.Errorf("move %s: %w", k, err)
	}
	rec, err := r.Records.Get(ctx, from.App)
	if err != nil {
		return owners.Session{}, err
	}
	place, err := r.placement(ctx, rec, sessions, k.Class)
	if err != nil {
		return owners.Session{}, err
	}
	if host != "" {
		return namedTarget(sessions, k, from, host, place)
	}
	candidates := slices.DeleteFunc(sessions, func(s owners.Session) bool {
		return whyNot(s, k, from, place) != ""
	})
	if len(candidates) == 0 {
		return owners.Session{}, refuse(CodeNoHost, "skewgate hosts list --app "+from.App, "no other host can take objects of class %s now", k.Class)
	}
	want := cmp.Or(place.Desired(k.ID, from.Version), from.Version)
	slices.SortStableFunc(candidates, func(a, b owners.Session) int {
		if (a.Version == want) != (b.Version == want) {
			if a.Version == want {
				return -1
			}
			return 1
		}
		return a.Objects - b.Objects
	})
	return candidates[0], nil
}

// namedTarget finds the host that an operator named, or says why it cannot be that one.
func namedTarget(sessions []owners.Session, k owners.Key, from owners.Session, host string, place Placement) (owners.Session, error) {
	why := "no host is called " + host
	for _, s := range sessions {
		if s.Name != host && s.ID != host {
			continue
		}
		no := whyNot(s, k, from, place)
		if no == "" {
			return s, nil
		}
		if why = host + " " + no; !s.State.Final() { // its sessions of before are of no interest
			break
		}
	}
	return owners.Session{}, refuse(CodeNoHost, "skewgate hosts list --app "+from.App, "%s cannot move: %s", k, why)
}

// whyNot says why a session cannot take k from another; "" when it can.
func whyNot(s owners.Session, k owners.Key, from owners.Session, place Placement) string {
	switch reads := place.Matrix.Reads(from.Version, s.Version); {
	case s.ID == from.ID:
		return "has it already"
	case s.App != from.App:
		return fmt.Sprintf("runs app %s; the object is of %s", s.App, from.App)
	case !slices.Contains(s.Classes, k.Class):
		return fmt.Sprintf("serves %s, not %s", strings.Join(s.Classes, ", "), k.Class)
	case s.State != owners.Live:
		return "is " + string(s.State)
	case s.Wanted == owners.WantedDrain:
		return "is draining"
	case s.Wanted == owners.WantedCordon:
		return "is cordoned: skewgate hosts uncordon " + s.Name
	case !s.Ready:
		return "is not ready"
	case s.Preview != "":
		return "belongs to preview " + s.Preview
	case reads.Verdict == skew.Fail:
		return fmt.Sprintf("runs %s, which cannot read the state that %s stored: %s", s.Version, from.Version, reads.Message)
	}
	return ""
}
