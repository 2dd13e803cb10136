package rollout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

// Options of Rollouts and of a Controller.
type Options struct {
	Store   *owners.Store
	Classes func() []routing.Class // of the mesh, as configured now
	Signer  *wire.Signer           // for release requests to gates
	HTTP    *http.Client           // likewise; nil means http.DefaultClient
	Scheme  string                 // likewise; "http" when empty
	Replica string                 // names this process in the history
	Every   time.Duration          // how often a controller looks; 1s
	Logger  *slog.Logger
}

// Rollouts is what operators do: start, look, stop.
type Rollouts struct {
	opt     Options
	Records *Records
	Budget  *Budget
	Moves   *MoveLog
	skew    *skew.Reader
}

// New makes Rollouts on a store.
func New(o Options) *Rollouts {
	rdb, prefix := o.Store.Redis(), o.Store.Prefix()
	return &Rollouts{
		opt: o, Records: NewRecords(rdb, prefix), Budget: NewBudget(rdb, prefix, o.Classes),
		Moves: NewMoveLog(rdb, prefix), skew: skew.NewReader(rdb, prefix),
	}
}

// seenLately is how far back preflight looks for callers.
const seenLately = 24 * time.Hour

// world reads what preflight needs.
func (r *Rollouts) world(ctx context.Context, app string) (World, error) {
	sessions, err := r.sessions(ctx)
	if err != nil {
		return World{}, err
	}
	matrices, err := r.skew.Matrices(ctx)
	if err != nil {
		return World{}, err
	}
	answer, err := r.skew.Query(ctx, skew.Query{App: app, Since: seenLately}, matrices)
	if err != nil {
		return World{}, fmt.Errorf("look at callers: %w", err)
	}
	return World{Sessions: sessions, Classes: r.opt.Classes(), Matrices: matrices, Skew: answer}, nil
}

// change applies edit to an app's record until no other change comes between.
// edit sees a fresh record each time and says what to note in the history.
func (r *Rollouts) change(ctx context.Context, app string, edit func(rec *Record, now time.Time) (Change, error)) (*Record, error) {
	for attempt := 0; ; attempt++ {
		rec, err := r.Records.Get(ctx, app)
		if err != nil {
			return nil, err
		}
		now, err := r.Records.Now(ctx)
		if err != nil {
			return nil, err
		}
		c, err := edit(rec, now)
		if err != nil {
			return nil, err
		}
		c.At = now
		if ro := rec.Rollout; ro != nil {
			c.Rollout, c.To, c.Weight, c.Phase = ro.ID, ro.Spec.To, ro.Weight(), ro.Phase
		}
		err = r.Records.Put(ctx, rec, c)
		if err == nil {
			return rec, nil
		}
		if !errors.Is(err, ErrConflict) || attempt == 5 {
			return nil, err
		}
	}
}

// Start begins a rollout, or says in a *Refusal why not.
func (r *Rollouts) Start(ctx context.Context, spec Spec) (*Record, error) {
	spec = spec.withDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	w, err := r.world(ctx, spec.App)
	if err != nil {
		return nil, err
	}
	spent, err := r.spent(ctx, spec.App)
	if err != nil {
		return nil, err
	}
	id := strings.ToLower(rand.Text()[:10])
	return r.change(ctx, spec.App, func(rec *Record, now time.Time) (Change, error) {
		c, err := begin(rec, spec, id, w, now)
		if err == nil {
			rec.Rollout.Before = spent
			c.limits = r.limits(spec)
		}
		return c, err
	})
}

// begin puts a new rollout into rec.
func begin(rec *Record, spec Spec, id string, w World, now time.Time) (Change, error) {
	if ro := rec.Rollout; ro != nil && !ro.Phase.Ended() && !spec.Replace {
		return Change{}, refuse(CodeUnderWay, fmt.Sprintf("skewgate rollout status %s, then promote or abort it; or --replace to roll over it", rec.App),
			"a rollout of %s to %s is at step %d of %d (%s)", rec.App, ro.Spec.To, ro.Step+1, len(ro.Spec.Steps), ro.Phase)
	}
	base, refusal := baseOf(rec, spec, w.Sessions)
	if refusal != nil {
		return Change{}, refusal
	}
	if len(base) == 1 {
		spec.Steps = []float64{100} // nobody to share with
		if rec.Deployment != nil {
			return Change{}, refuse(CodeSame, "skewgate versions list --app "+rec.App, "%s is the only version deployed already", spec.To)
		}
	}
	if reasons := preflight(w, spec, base, spec.Steps[len(spec.Steps)-1]); len(reasons) > 0 && spec.Override == "" {
		return Change{}, &Refusal{reasons}
	}
	rec.Move = spec.Move
	rec.Rollout = &Rollout{ID: id, Spec: spec, Base: recorded(base), Phase: Progressing, StartedAt: now}
	if err := rec.setStep(0, now); err != nil {
		return Change{}, err
	}
	return Change{By: spec.By, Action: "start", Reason: fmt.Sprintf("to %s in steps %v", spec.To, spec.Steps), Override: spec.Override}, nil
}

// setStep gives the new version the weight of step i.
func (rec *Record) setStep(i int, now time.Time) error {
	ro := rec.Rollout
	base := Record{Deployment: ro.Base}
	vs, err := scaled(base.Versions(), ro.Spec.To, ro.Spec.Steps[i])
	if err != nil {
		return err
	}
	rec.deploy(recorded(vs))
	ro.Step, ro.StepAt, ro.BakeAt, ro.BakeBefore = i, now, time.Time{}, nil
	return nil
}

// deploy replaces the deployment.
func (rec *Record) deploy(vs []Version) {
	rec.Deployment = vs
	rec.Generation++
}

// sessions reads all sessions; one that cannot be read is logged and passed over.
func (r *Rollouts) sessions(ctx context.Context) ([]owners.Session, error) {
	found, err := r.opt.Store.Sessions(ctx)
	if err != nil && found == nil {
		return nil, fmt.Errorf("look at hosts: %w", err)
	}
	if err != nil {
		r.opt.Logger.Warn("session passed over", "err", err)
	}
	return found, nil
}

// pins walks all pins of the store; a record that cannot be read is logged and passed over.
func (r *Rollouts) pins(ctx context.Context) iter.Seq2[owners.Pin, error] {
	return func(yield func(owners.Pin, error) bool) {
		for pin, err := range r.opt.Store.Pins(ctx) {
			if errors.Is(err, owners.ErrBadRecord) {
				r.opt.Logger.Warn("pin passed over", "err", err)
				continue
			}
			if !yield(pin, err) || err != nil {
				return
			}
		}
	}
}
