package rollout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
)

// leadFor is how long a leader that is gone blocks the next.
const leadFor = 5 * time.Second

// Controller takes the steps of all rollouts and moves objects. Any number of
// replicas may run; the one that holds the lead works. The lead only saves
// double work: records change by compare-and-set and moves take from one budget.
type Controller struct {
	*Rollouts
	me    string
	mover *mover

	crossingLooked time.Time // Run's goroutine only
}

// NewController makes a Controller.
func NewController(o Options) *Controller {
	if o.Replica == "" {
		o.Replica = "control-" + strings.ToLower(rand.Text()[:6])
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	r := New(o)
	return &Controller{Rollouts: r, me: o.Replica + "." + rand.Text()[:8], mover: newMover(r)}
}

// Run works until ctx ends and all moves begun are over.
func (c *Controller) Run(ctx context.Context) error {
	var passes sync.WaitGroup
	defer passes.Wait()
	defer c.yieldLead(ctx)
	tick := time.NewTicker(c.opt.Every)
	defer tick.Stop()
	failing := false
	for {
		err := c.tick(ctx, &passes)
		if err != nil && !failing && ctx.Err() == nil {
			c.opt.Logger.Warn("rollouts stand still", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tick looks at every app once.
func (c *Controller) tick(ctx context.Context, passes *sync.WaitGroup) error {
	leading, err := c.lead(ctx)
	if err != nil || !leading {
		c.mover.stopAll()
		return err
	}
	records, err := c.Records.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, rec := range records {
		c.mover.keepMoving(ctx, rec, passes)
		if ro := rec.Rollout; ro != nil && ro.Phase == Progressing {
			if err := c.advance(ctx, rec); err != nil && !errors.Is(err, ErrConflict) {
				errs = append(errs, fmt.Errorf("rollout of %s: %w", rec.App, err))
			}
		}
	}
	return errors.Join(errs...)
}

// leadScript takes or keeps the lead. KEYS[1] the lead; ARGV[1] who, ARGV[2] ms.
var leadScript = redis.NewScript(`
local who = redis.call('GET', KEYS[1])
if who and who ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// yieldScript gives it up. KEYS[1] the lead; ARGV[1] who.
var yieldScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

func (c *Controller) leadKey() string { return c.opt.Store.Prefix() + "rollouts:lead" }

func (c *Controller) lead(ctx context.Context) (bool, error) {
	n, err := leadScript.Run(ctx, c.opt.Store.Redis(), []string{c.leadKey()}, c.me, leadFor.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("take the lead: %w", err)
	}
	return n == 1, nil
}

func (c *Controller) yieldLead(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := yieldScript.Run(last, c.opt.Store.Redis(), []string{c.leadKey()}, c.me).Err(); err != nil {
		c.opt.Logger.Debug("lead not given up; it expires", "err", err)
	}
}

// advance takes the next step of one rollout when it is due.
func (c *Controller) advance(ctx context.Context, rec *Record) error {
	ro := rec.Rollout
	now, err := c.Records.Now(ctx)
	if err != nil {
		return err
	}
	if err := c.noteCrossing(ctx, rec); err != nil {
		return err
	}
	if ro.BakeAt.IsZero() {
		return c.beginBake(ctx, rec)
	}
	if now.Before(ro.BakeAt.Add(time.Duration(ro.Spec.Bake))) {
		return nil
	}
	if ro.Spec.Bake > 0 {
		analysis, err := c.analysis(ctx, ro, now)
		if err != nil {
			return err
		}
		if analysis.Verdict != BakePassed {
			return c.halt(ctx, rec, analysis)
		}
	}
	return c.nextStep(ctx, rec)
}

// beginBake starts a step's bake when its moves are done; in lazy mode at
// once, for nobody can say when the last active object becomes idle.
func (c *Controller) beginBake(ctx context.Context, rec *Record) error {
	ro := rec.Rollout
	reason := "all moves of this step are done"
	if ro.Spec.Move.Mode == routing.MoveLazy {
		reason = "active objects move when they are idle"
	} else if !c.mover.converged(rec) {
		return nil
	}
	running, err := c.skew.Query(ctx, skew.Query{App: ro.Spec.App, Since: time.Nanosecond}, nil) // the running minute
	if err != nil {
		return fmt.Errorf("begin bake: %w", err)
	}
	return c.step(ctx, rec, "bake", reason, func(rec *Record, _ time.Time) error {
		rec.Rollout.BakeAt, rec.Rollout.BakeBefore = running.Evidence.At.UTC(), running.Totals()
		return nil
	})
}

// analysed is how far back an analysis looks at most: minutes are kept so long.
const analysed = time.Hour

// analysis compares the versions since the bake began.
func (r *Rollouts) analysis(ctx context.Context, ro *Rollout, now time.Time) (Analysis, error) {
	since, before := max(now.Sub(ro.BakeAt), time.Nanosecond), ro.BakeBefore
	if since > analysed {
		since, before = analysed, nil
	}
	answer, err := r.skew.Query(ctx, skew.Query{App: ro.Spec.App, Since: since}, nil)
	if err != nil {
		return Analysis{}, fmt.Errorf("analyse bake: %w", err)
	}
	return analyse(answer, before, ro.Spec.To, ro.Spec.Limits), nil
}

// step changes the record of the rollout as it was read, and only that.
func (c *Controller) step(ctx context.Context, seen *Record, action, reason string, edit func(*Record, time.Time) error) error {
	_, err := c.change(ctx, seen.App, func(rec *Record, now time.Time) (Change, error) {
		if rec.Revision != seen.Revision {
			return Change{}, ErrConflict // a person was faster: look again next time
		}
		return Change{By: c.opt.Replica, Action: action, Reason: reason}, edit(rec, now)
	})
	if err == nil {
		c.opt.Logger.Info("rollout", "app", seen.App, "to", seen.Rollout.Spec.To, "action", action, "reason", reason)
	}
	return err
}

// halt stops a rollout whose bake did not pass. Only a failure may abort.
func (c *Controller) halt(ctx context.Context, rec *Record, a Analysis) error {
	if a.Verdict == BakeFailed && rec.Rollout.Spec.AutoAbort {
		_, err := c.Abort(ctx, rec.App, Ask{By: c.opt.Replica, Reason: "bake failed: " + a.Reason})
		return err
	}
	reason := "bake failed: " + a.Reason
	if a.Verdict == BakeNoData {
		reason = a.Reason
	}
	return c.step(ctx, rec, "pause", reason, func(rec *Record, _ time.Time) error {
		rec.Rollout.Phase, rec.Rollout.Reason = Paused, reason
		return nil
	})
}

// nextStep goes one step further, or ends the rollout after the last.
func (c *Controller) nextStep(ctx context.Context, rec *Record) error {
	ro := rec.Rollout
	next := ro.Step + 1
	if next == len(ro.Spec.Steps) {
		return c.step(ctx, rec, "complete", "the last step's bake is over", func(rec *Record, now time.Time) error {
			rec.complete(now, "")
			return nil
		})
	}
	w, err := c.world(ctx, rec.App)
	if err != nil {
		return err
	}
	base := Record{Deployment: ro.Base}
	if reasons := preflight(w, ro.Spec, base.Versions(), ro.Spec.Steps[next]); len(reasons) > 0 && ro.Spec.Override == "" {
		reason := fmt.Sprintf("step to %g %%: %v", ro.Spec.Steps[next], &Refusal{reasons})
		return c.step(ctx, rec, "pause", reason, func(rec *Record, _ time.Time) error {
			rec.Rollout.Phase, rec.Rollout.Reason = Paused, reason
			return nil
		})
	}
	return c.step(ctx, rec, "step", fmt.Sprintf("%g %%", ro.Spec.Steps[next]), func(rec *Record, now time.Time) error {
		return rec.setStep(next, now)
	})
}

// crossingEvery is how often a rollout without a way back is looked at for its first object.
const crossingEvery = 3 * time.Second

// noteCrossing records the moment from which there is no way back: the first
// object ran a version whose state the old ones cannot read.
func (c *Controller) noteCrossing(ctx context.Context, rec *Record) error {
	if !rec.Rollout.Crossed.IsZero() || time.Since(c.crossingLooked) < crossingEvery {
		return nil
	}
	c.crossingLooked = time.Now()
	matrices, err := c.skew.Matrices(ctx)
	if err != nil {
		return err
	}
	if len(oneWay(rec.Rollout, World{Classes: c.opt.Classes(), Matrices: matrices})) == 0 {
		return nil
	}
	if active, err := c.activeOn(ctx, rec.App, rec.Rollout.Spec.To); err != nil || !active {
		return err
	}
	keys, _, err := c.ranOn(ctx, rec.App, rec.Rollout.Spec.To, 1)
	if err != nil || len(keys) == 0 {
		return err
	}
	reason := keys[0].String() + " ran " + rec.Rollout.Spec.To
	if err := c.step(ctx, rec, "point-of-no-return", reason, func(rec *Record, now time.Time) error {
		rec.Rollout.Crossed = now
		return nil
	}); err != nil {
		return err
	}
	return ErrConflict // the record is a new one: go on with it next time
}

// activeOn says whether any host of version has an active object, as hosts said at their last renewal.
func (c *Controller) activeOn(ctx context.Context, app, version string) (bool, error) {
	sessions, err := c.sessions(ctx)
	return slices.ContainsFunc(sessions, func(s owners.Session) bool {
		return s.App == app && s.Version == version && s.Objects > 0
	}), err
}

// moves says whether active objects of this app are asked to move.
func (rec *Record) moves() bool {
	return len(rec.Deployment) > 0 && (rec.Move.Mode == routing.MoveDrain || rec.Move.Mode == routing.MoveNow) &&
		(rec.Rollout == nil || rec.Rollout.Phase != Frozen)
}
