package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// placeTries bounds how many hosts one resolve asks to take an object.
const placeTries = 4

// flight is one resolve of one object, shared by whoever asks meanwhile. What
// is below done may be read when that is closed.
type flight struct {
	done chan struct{}
	t    *Target
	err  error
	d    decision // of the request that began it, with what the resolve found
}

// storeTimeout bounds one call to the store, whoever waits for it.
const storeTimeout = 5 * time.Second

// waitError says that an object has an owner, or may get one, but not yet.
type waitError struct {
	code wire.Code // what to answer when the wait becomes too long
	why  string
	err  error
}

func (e *waitError) Error() string {
	if e.err != nil {
		return e.why + ": " + e.err.Error()
	}
	return e.why
}
func (e *waitError) Unwrap() error { return e.err }

// resolve finds the owner of an object, or makes one; requests that wait for
// that are held requests of the object, within its class's limits. A
// *waitError means: try again, within the class's hold time.
func (g *Gateway) resolve(ctx context.Context, d *decision, h *hold) (*Target, error) {
	e := h.e
	if t := e.target.Load(); t != nil {
		return t, nil
	}
	e.mu.Lock()
	f, leads := e.flight, false
	if f == nil {
		f, leads = &flight{done: make(chan struct{}), d: *d}, true
		e.flight = f
		go g.fly(ctx, f, e, e.floor)
	}
	e.mu.Unlock()
	if err := h.behind(ctx, f.done); err != nil {
		return nil, err
	}
	if leads {
		*d = f.d
	}
	return f.t, f.err
}

// fly makes one resolve. It goes on when the request that began it is
// cancelled: others may wait for its answer. Drain waits for it.
func (g *Gateway) fly(ctx context.Context, f *flight, e *pinEntry, floor int64) {
	ctx, _, leave := g.drain.enter(context.WithoutCancel(ctx))
	defer leave()
	f.t, f.err = g.lookUp(ctx, &f.d, e, floor)
	e.mu.Lock()
	e.flight = nil
	e.mu.Unlock()
	close(f.done)
}

// lookUp reads the pin and, when nobody owns the object, acquires it for a host.
func (g *Gateway) lookUp(ctx context.Context, d *decision, e *pinEntry, floor int64) (*Target, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if g.opt.Store == nil {
		return nil, &wire.Problem{Code: wire.StoreUnavailable, Detail: "this gateway has no store"}
	}
	select {
	case g.storeSlots <- struct{}{}:
		defer func() { <-g.storeSlots }()
	case <-ctx.Done():
		return nil, &waitError{code: wire.Overloaded, why: "too many store calls wait", err: ctx.Err()}
	}
	if t := e.orphaned(); t != nil {
		last := owners.Pin{State: owners.Owned, SID: t.SID, Token: t.Token, Version: t.Version}
		if t, err := g.acquire(ctx, d, last, max(floor, last.Token)); err == nil {
			return e.learn(t, owners.Pin{Token: t.Token}), nil
		} // else: the record says more than we knew
	}
	pin, sess, found, err := g.readPin(ctx, d.key)
	if err != nil {
		return nil, storeWait(err)
	}
	if t, err, done := g.owned(pin, sess, found); done {
		return e.learn(t, pin), err
	}
	t, err := g.acquire(ctx, d, pin, max(floor, pin.Token))
	if err != nil {
		return nil, err
	}
	return e.learn(t, owners.Pin{Token: t.Token}), nil
}

// learn remembers what the store said.
func (e *pinEntry) learn(t *Target, pin owners.Pin) *Target {
	e.mu.Lock()
	e.floor, e.read = max(e.floor, pin.Token), time.Now()
	e.mu.Unlock()
	if t != nil {
		e.target.Store(t)
	}
	return t
}

func (g *Gateway) readPin(ctx context.Context, k owners.Key) (owners.Pin, owners.Session, bool, error) {
	start := time.Now()
	pin, sess, found, err := g.opt.Store.Pin(ctx, k)
	g.metrics.storeCall("pin", start, err)
	return pin, sess, found, err
}

// owned says what a pin record means:
//
//	pin        its session      answer
//	none       -                acquire
//	released   -                acquire
//	owned      final            acquire
//	owned      live, draining   use it
//	owned      no record        the watcher finds out whether it is dead; wait
func (g *Gateway) owned(pin owners.Pin, sess owners.Session, found bool) (t *Target, err error, done bool) {
	switch {
	case pin.State != owners.Owned:
		return nil, nil, false
	case !found:
		if g.opt.Watcher != nil {
			g.opt.Watcher.Suspect(pin.SID)
		}
		return nil, &waitError{code: wire.OwnerMoving, why: "the owner's session has no record; it must be declared dead first"}, true
	case sess.State.Final():
		return nil, nil, false
	}
	t, err = targetOf(pin, sess.Addr, sess.Name)
	return t, err, true
}

// targetOf checks an address that came from the store before anybody dials it.
func targetOf(pin owners.Pin, addr, host string) (*Target, error) {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" || port == "0" {
		return nil, &wire.Problem{Code: wire.NoHost, Detail: fmt.Sprintf("host %s advertises the address %q, which cannot be dialled", host, addr)}
	}
	return &Target{Addr: addr, SID: pin.SID, Token: pin.Token, Version: pin.Version, Host: host}, nil
}

// acquire makes a host of the right version the owner.
func (g *Gateway) acquire(ctx context.Context, d *decision, pin owners.Pin, floor int64) (*Target, error) {
	var skip []string
	for range placeTries {
		version, err := g.version(ctx, d, pin.Version)
		if err != nil {
			if !g.refreshHosts(ctx, d) {
				return nil, &waitError{code: wire.NoHost, why: "no host is ready", err: err}
			}
			continue
		}
		h, ok := d.place(version, skip)
		if !ok {
			if !g.refreshHosts(ctx, d) {
				return nil, &waitError{code: wire.NoHost, why: fmt.Sprintf("no host of %s@%s takes new objects", d.class.App, version)}
			}
			continue
		}
		start := time.Now()
		now, won, err := g.opt.Store.Acquire(ctx, owners.Acquire{Key: d.key, Expect: pin, SID: h.Session, Floor: floor})
		g.metrics.storeCall("acquire", start, err)
		switch {
		case err != nil:
			return nil, storeWait(err)
		case won, now.State == owners.Owned && now.SID == h.Session && now.Token > pin.Token: // the latter after a lost reply
			d.moved = moveOf(pin, now, h.Name)
			return targetOf(now, h.Addr, h.Name)
		case now.State == pin.State && now.Token == pin.Token && now.SID == pin.SID:
			skip = append(skip, h.Session) // the record stands as expected: it was the host that was not accepted
			g.refreshHosts(ctx, d)
		default: // somebody else was faster: their record stands
			return g.reread(ctx, d.key)
		}
	}
	return nil, &waitError{code: wire.NoHost, why: "the hosts that were tried take no new objects"}
}

func (g *Gateway) reread(ctx context.Context, k owners.Key) (*Target, error) {
	pin, sess, found, err := g.readPin(ctx, k)
	if err != nil {
		return nil, storeWait(err)
	}
	t, err, done := g.owned(pin, sess, found)
	if !done {
		return nil, &waitError{code: wire.OwnerMoving, why: "the object's owner changes"}
	}
	return t, err
}

// version picks the version for a new owner. A planned change of version takes
// a move of the class's budget; with none left the object runs its last
// version again, if that has a host.
func (g *Gateway) version(ctx context.Context, d *decision, last string) (string, error) {
	vs, err := d.versions(last)
	if err != nil {
		return "", err
	}
	v := vs[0]
	if last == "" || v == last || g.opt.Budget == nil || d.paid || !d.deployed() || !d.ready(last) {
		return v, nil
	}
	if d.deferred { // the budget said no to this request; it is not asked at each of its tries
		return last, nil
	}
	ok, err := g.opt.Budget.Take(ctx, d.class.Name)
	if err != nil {
		g.log.Warn("move budget cannot be asked; the object keeps its version", "object", d.key.String(), "error", err)
	}
	if !ok {
		d.deferred = true
		return last, nil
	}
	d.paid = true
	return v, nil
}

// storeWait turns a store's error into a wait, for a store may come back.
func storeWait(err error) error {
	why := "the ownership store cannot be reached"
	if errors.Is(err, owners.ErrEpochHold) {
		why = "the store lost its data and waits until no old lease can stand"
	}
	if errors.Is(err, owners.ErrBadRecord) || errors.Is(err, owners.ErrNewer) {
		return &wire.Problem{Code: wire.StoreUnavailable, Detail: err.Error(), Err: err} // waiting does not help
	}
	return &waitError{code: wire.StoreUnavailable, why: why, err: err}
}
