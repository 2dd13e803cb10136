package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// How the mover goes about its work.
const (
	refreshEvery = time.Second            // during a pass: is this still what is deployed, are the hosts still there
	budgetPoll   = 50 * time.Millisecond  // while there is no budget
	passPause    = 500 * time.Millisecond // between two passes, at least; and as long as the last one took
	idlePause    = 30 * time.Second       // when nothing was left to move: only hosts that come and go can change that
	maxParallel  = 256                    // releases at a time of one app where the budget sets no limit
	slotGrace    = 10 * time.Second       // beyond a release's deadline, for a mover that died
)

// mover has active objects released whose assigned version is another one. It
// makes passes over all pins of an app; a pass ends early when the deployment
// changes, so that objects go to the newest assignment once and not through each.
type mover struct {
	r      *Rollouts
	client *wire.ReleaseClient

	mu   sync.Mutex
	apps map[string]*appMoves
}

// appMoves is what the mover knows of one app.
type appMoves struct {
	cancel     context.CancelFunc // of the running loop; nil when none runs
	wake       chan struct{}      // ends the loop's pause: the deployment changed
	releases   sync.WaitGroup     // begun by the loop, over passes: a new aim need not wait for the old one's releases
	slots      chan struct{}      // bounds them
	generation int64              // of the last whole pass
	remaining  int                // active objects that were not where they should be, in that pass
	passed     bool               // there was one
}

func newMover(r *Rollouts) *mover {
	return &mover{
		r: r, apps: map[string]*appMoves{},
		client: &wire.ReleaseClient{Signer: r.opt.Signer, HTTP: r.opt.HTTP, Scheme: r.opt.Scheme},
	}
}

// keepMoving starts an app's loop when its deployment asks for one, and ends it when not.
func (m *mover) keepMoving(ctx context.Context, rec *Record, passes *sync.WaitGroup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.apps[rec.App]
	if a == nil {
		a = &appMoves{slots: make(chan struct{}, maxParallel), wake: make(chan struct{}, 1)}
		m.apps[rec.App] = a
	}
	switch {
	case rec.moves() && a.cancel == nil:
		loop, cancel := context.WithCancel(ctx)
		a.cancel = cancel
		passes.Go(func() {
			defer a.releases.Wait()
			m.loop(loop, rec.App, a)
		})
	case !rec.moves() && a.cancel != nil:
		a.stop()
	case a.passed && a.generation != rec.Generation:
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

func (a *appMoves) stop() {
	if a.cancel != nil {
		a.cancel()
		a.cancel = nil
	}
	a.passed = false
}

// stopAll ends all loops: another replica leads.
func (m *mover) stopAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.apps {
		a.stop()
	}
}

// converged says that a whole pass over this deployment found nothing left to move.
func (m *mover) converged(rec *Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.apps[rec.App]
	return a != nil && a.passed && a.generation == rec.Generation && a.remaining == 0
}

// loop makes passes until ctx ends.
func (m *mover) loop(ctx context.Context, app string, moves *appMoves) {
	for ctx.Err() == nil {
		began, pause := time.Now(), passPause
		generation, remaining, err := m.pass(ctx, app, moves)
		switch {
		case err == nil:
			m.note(ctx, app, generation, remaining)
			pause = max(pause, time.Since(began))
			if remaining == 0 {
				pause = idlePause
			}
		case errors.Is(err, errSuperseded) || ctx.Err() != nil:
		default:
			m.r.opt.Logger.Warn("moving objects", "app", app, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-moves.wake:
		case <-time.After(pause):
		}
	}
}

// note keeps the outcome of a pass, for the controller here and for status anywhere.
func (m *mover) note(ctx context.Context, app string, generation int64, remaining int) {
	m.mu.Lock()
	if a := m.apps[app]; a.cancel != nil {
		a.generation, a.remaining, a.passed = generation, remaining, true
	}
	m.mu.Unlock()
	if err := m.r.Records.noteRemaining(ctx, app, generation, remaining); err != nil && ctx.Err() == nil {
		m.r.opt.Logger.Debug("remaining moves not noted", "app", app, "err", err)
	}
}

// errSuperseded ends a pass whose deployment is not the newest any more.
var errSuperseded = errors.New("the deployment changed")

// aim is what a pass works towards; it is refreshed while the pass runs.
type aim struct {
	rec      *Record
	sessions map[string]owners.Session
	places   map[string]Placement // by class
	at       time.Time
}

func (m *mover) aim(ctx context.Context, app string) (*aim, error) {
	rec, err := m.r.Records.Get(ctx, app)
	if err != nil {
		return nil, err
	}
	sessions, err := m.r.sessions(ctx)
	if err != nil {
		return nil, err
	}
	matrices, err := m.r.skew.Matrices(ctx)
	if err != nil {
		return nil, err
	}
	a := &aim{rec: rec, sessions: map[string]owners.Session{}, places: map[string]Placement{}, at: time.Now()}
	for _, s := range sessions {
		a.sessions[s.ID] = s
	}
	for _, c := range m.r.opt.Classes() {
		if c.App == app && c.Mode != routing.ModeObserve {
			a.places[c.Name] = Placement{Deployment: rec.Versions(), Class: c, Hosts: hostsByVersion(sessions, app, c.Name), Matrix: matrices[c.Name]}
		}
	}
	return a, nil
}

// target gives the session that must release pin; false when the object is
// where it should be, or moves without us.
func (a *aim) target(pin owners.Pin) (owners.Session, bool) {
	place, ours := a.places[pin.Key.Class]
	if !ours || pin.State != owners.Owned {
		return owners.Session{}, false // idle: its next activation goes to the right version
	}
	s, ok := a.sessions[pin.SID]
	if !ok || s.State != owners.Live {
		return owners.Session{}, false // a draining host releases by itself, a dead one has nothing to release
	}
	want := place.Desired(pin.Key.ID, s.Version)
	return s, want != "" && want != s.Version
}

// pass goes over all pins once and releases what must move, as the budget allows.
func (m *mover) pass(ctx context.Context, app string, moves *appMoves) (generation int64, remaining int, err error) {
	a, err := m.aim(ctx, app)
	if err != nil {
		return 0, 0, err
	}
	generation = a.rec.Generation
	for pin, err := range m.r.pins(ctx) {
		if err != nil {
			return 0, 0, fmt.Errorf("scan pins: %w", err)
		}
		if a, err = m.refresh(ctx, a); err != nil {
			return 0, 0, err
		}
		session, move := a.target(pin)
		if !move {
			continue
		}
		remaining++
		if tooSoon, err := m.tooSoon(ctx, a, pin.Key); err != nil || tooSoon {
			continue
		}
		begun, err := m.waitForBudget(ctx, &a, pin.Key)
		if err != nil {
			return 0, 0, err
		}
		if begun != begunOK {
			continue
		}
		rec := a.rec
		moves.slots <- struct{}{}
		moves.releases.Go(func() {
			defer func() { <-moves.slots }()
			m.release(ctx, rec, pin, session)
		})
	}
	return generation, remaining, nil
}

// refresh reads the aim anew when it is old.
func (m *mover) refresh(ctx context.Context, a *aim) (*aim, error) {
	if time.Since(a.at) < refreshEvery {
		return a, nil
	}
	next, err := m.aim(ctx, a.rec.App)
	if err != nil {
		return nil, err
	}
	if next.rec.Generation != a.rec.Generation || !next.rec.moves() {
		return nil, errSuperseded
	}
	return next, nil
}

// tooSoon is the guard against thrashing: an object that moved a moment ago stays for now.
func (m *mover) tooSoon(ctx context.Context, a *aim, k owners.Key) (bool, error) {
	pause := time.Duration(a.rec.Move.MinPause)
	if pause == 0 {
		return false, nil
	}
	last, err := m.r.Moves.Of(ctx, k, 1)
	if err != nil || len(last) == 0 {
		return false, err
	}
	return time.Since(last[0].At) < pause, nil
}

// waitForBudget begins the move of k as soon as the budget allows.
func (m *mover) waitForBudget(ctx context.Context, a **aim, k owners.Key) (begun, error) {
	place := time.Duration((*a).rec.Move.Deadline) + slotGrace
	for {
		b, err := m.r.Budget.start(ctx, k.Class, k.ID, place)
		if err != nil || b != noBudget {
			return b, err
		}
		select {
		case <-ctx.Done():
			return noBudget, ctx.Err()
		case <-time.After(budgetPoll):
		}
		if *a, err = m.refresh(ctx, *a); err != nil {
			return noBudget, err
		}
	}
}

// release asks the gate to give the object up. Where it ends up is the
// gateways' decision at its next call, by the same assignment; the one that
// acquires it notes the move. When ctx ends
// the gate goes on by itself; we only do not wait for its answer.
func (m *mover) release(ctx context.Context, rec *Record, pin owners.Pin, s owners.Session) {
	mode := wire.ReleaseDrain
	if rec.Move.Mode == routing.MoveNow {
		mode = wire.ReleaseNow
	}
	deadline := time.Duration(rec.Move.Deadline)
	call, cancel := context.WithTimeout(ctx, deadline+slotGrace/2)
	defer cancel()
	reply, err := m.client.Release(call, s.Addr, wire.ReleaseRequest{
		Object: pin.Key.String(), Session: pin.SID, Token: pin.Token, Mode: mode, Deadline: wire.Seconds(deadline), Reason: ReasonRollout,
	})
	released := err == nil && reply.Released
	after, cancelAfter := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancelAfter()
	if endErr := m.r.Budget.finish(after, pin.Key.Class, pin.Key.ID, released); endErr != nil {
		m.r.opt.Logger.Warn("move not ended; its place frees itself", "object", pin.Key, "err", endErr)
	}
	if !released {
		m.r.opt.Logger.Info("object not released", "object", pin.Key, "host", s.Name, "reason", reply.Reason, "err", err)
	}
}
