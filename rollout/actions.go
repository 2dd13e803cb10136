package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// Ask says who wants a change, and why.
type Ask struct {
	By       string `json:"by"`
	Reason   string `json:"reason,omitempty"`
	Override string `json:"override,omitempty"` // why refusals are overruled
	Full     bool   `json:"full,omitempty"`     // promote: to the last step
	To       string `json:"to,omitempty"`       // undo: the version to go back to
}

// active gives the rollout that is under way, or a refusal.
func active(rec *Record, action string) (*Rollout, error) {
	ro := rec.Rollout
	if ro == nil {
		return nil, refuse(CodeNoRollout, fmt.Sprintf("skewgate rollout start %s --to VERSION", rec.App), "%s has no rollout", rec.App)
	}
	if ro.Phase.Ended() {
		return nil, refuse(CodeWrongPhase, fmt.Sprintf("skewgate rollout start %s --to VERSION, or undo, or retry", rec.App),
			"the rollout of %s to %s is %s; there is nothing to %s", rec.App, ro.Spec.To, ro.Phase, action)
	}
	return ro, nil
}

// Pause keeps a rollout at its step. Objects already assigned go on moving.
func (r *Rollouts) Pause(ctx context.Context, app string, a Ask) (*Record, error) {
	return r.change(ctx, app, func(rec *Record, now time.Time) (Change, error) {
		ro, err := active(rec, "pause")
		if err != nil {
			return Change{}, err
		}
		if ro.Phase == Paused {
			return Change{}, refuse(CodeWrongPhase, "skewgate rollout resume "+app, "the rollout is paused already: %s", ro.Reason)
		}
		ro.Phase, ro.Reason = Paused, strings.TrimSpace("paused by "+a.By+" "+a.Reason)
		return Change{By: a.By, Action: "pause", Reason: a.Reason}, nil
	})
}

// Resume goes on; the step's bake begins anew.
func (r *Rollouts) Resume(ctx context.Context, app string, a Ask) (*Record, error) {
	return r.change(ctx, app, func(rec *Record, now time.Time) (Change, error) {
		ro, err := active(rec, "resume")
		if err != nil {
			return Change{}, err
		}
		if ro.Phase != Paused {
			return Change{}, refuse(CodeWrongPhase, "skewgate rollout status "+app, "the rollout is not paused")
		}
		ro.Phase, ro.Reason = Progressing, ""
		ro.BakeAt, ro.BakeBefore = time.Time{}, nil
		return Change{By: a.By, Action: "resume", Reason: a.Reason}, nil
	})
}

// Promote goes to the next step at once, or with a.Full to the last, without
// waiting for the bake; at the last step it completes the rollout.
func (r *Rollouts) Promote(ctx context.Context, app string, a Ask) (*Record, error) {
	w, err := r.world(ctx, app)
	if err != nil {
		return nil, err
	}
	return r.change(ctx, app, func(rec *Record, now time.Time) (Change, error) {
		ro, err := active(rec, "promote")
		if err != nil {
			return Change{}, err
		}
		next := ro.Step + 1
		if a.Full {
			next = max(next, len(ro.Spec.Steps)-1)
		}
		if next >= len(ro.Spec.Steps) {
			rec.complete(now, "promoted by "+a.By)
			return Change{By: a.By, Action: "complete", Reason: a.Reason}, nil
		}
		base := Record{Deployment: ro.Base}
		if reasons := preflight(w, ro.Spec, base.Versions(), ro.Spec.Steps[next]); len(reasons) > 0 && a.Override == "" && ro.Spec.Override == "" {
			return Change{}, &Refusal{reasons}
		}
		ro.Phase, ro.Reason = Progressing, ""
		return Change{By: a.By, Action: "promote", Reason: a.Reason, Override: a.Override}, rec.setStep(next, now)
	})
}

// complete ends a rollout where it arrived. At 100 % only the new version stays deployed.
func (rec *Record) complete(now time.Time, why string) {
	ro := rec.Rollout
	ro.Phase, ro.Reason, ro.EndedAt = Completed, why, now
	left := slices.DeleteFunc(slices.Clone(rec.Deployment), func(v Version) bool { return v.Weight == 0 })
	if len(left) != len(rec.Deployment) {
		rec.Deployment = left // weight 0 never wins: nothing moves by this, so no new generation
	}
}

// Abort goes back to what was before the rollout. Where the old version cannot
// read the state of objects that ran the new one, it freezes instead: no object
// goes back, no step follows, and the objects are named.
func (r *Rollouts) Abort(ctx context.Context, app string, a Ask) (*Record, error) {
	w, err := r.world(ctx, app)
	if err != nil {
		return nil, err
	}
	before, err := r.Records.Get(ctx, app)
	if err != nil {
		return nil, err
	}
	ro, err := active(before, "abort")
	if err != nil {
		return nil, err
	}
	frozen := ""
	if cells := oneWay(ro, w); len(cells) > 0 {
		keys, more, err := r.ranOn(ctx, app, ro.Spec.To, maxNamed)
		if err != nil {
			return nil, err
		}
		if len(keys) > 0 {
			frozen = fmt.Sprintf("%s cannot read state that %s stored (%s %s); these objects ran it: %s",
				cells[0].Reader, cells[0].Writer, cells[0].Rule, cells[0].Message, names(keys, more))
		}
	}
	return r.change(ctx, app, func(rec *Record, now time.Time) (Change, error) {
		if _, err := active(rec, "abort"); err != nil {
			return Change{}, err
		}
		if rec.Rollout.ID != ro.ID {
			return Change{}, refuse(CodeUnderWay, "skewgate rollout status "+app, "another rollout began in the meantime")
		}
		if frozen != "" && a.Override == "" {
			rec.Rollout.Phase, rec.Rollout.Reason, rec.Rollout.EndedAt = Frozen, frozen, now
			return Change{By: a.By, Action: "freeze", Reason: strings.TrimSpace(a.Reason + " " + frozen)}, nil
		}
		rec.abort(now, strings.TrimSpace("aborted by "+a.By+" "+a.Reason))
		return Change{By: a.By, Action: "abort", Reason: a.Reason, Override: a.Override}, nil
	})
}

// abort puts the deployment back to what the rollout began with, at once: who
// moved a moment ago moves back without a pause.
func (rec *Record) abort(now time.Time, why string) {
	ro := rec.Rollout
	ro.Phase, ro.Reason, ro.EndedAt = Aborted, why, now
	rec.Move.MinPause = 0
	rec.deploy(slices.DeleteFunc(slices.Clone(ro.Base), func(v Version) bool { return v.Weight == 0 }))
}

// Retry begins the newest rollout anew, with the same salt: the objects that
// were first are first again.
func (r *Rollouts) Retry(ctx context.Context, app string, a Ask) (*Record, error) {
	w, err := r.world(ctx, app)
	if err != nil {
		return nil, err
	}
	return r.change(ctx, app, func(rec *Record, now time.Time) (Change, error) {
		ro := rec.Rollout
		if ro == nil {
			return Change{}, refuse(CodeNoRollout, fmt.Sprintf("skewgate rollout start %s --to VERSION", app), "%s has no rollout to retry", app)
		}
		if ro.Phase == Progressing || ro.Phase == Completed {
			return Change{}, refuse(CodeWrongPhase, "skewgate rollout status "+app, "the rollout to %s is %s; there is nothing to retry", ro.Spec.To, ro.Phase)
		}
		base := Record{Deployment: ro.Base}
		if reasons := preflight(w, ro.Spec, base.Versions(), ro.Spec.Steps[len(ro.Spec.Steps)-1]); len(reasons) > 0 && a.Override == "" {
			return Change{}, &Refusal{reasons}
		}
		rec.Move = ro.Spec.Move
		ro.Phase, ro.Reason, ro.StartedAt, ro.EndedAt = Progressing, "", now, time.Time{}
		return Change{By: a.By, Action: "retry", Reason: a.Reason, Override: a.Override, limits: r.limits(ro.Spec)}, rec.setStep(0, now)
	})
}

// Undo starts a rollout back to an earlier version, a.To or the heaviest of
// what was before. It is a rollout like any other: preflight asks whether the
// older code can read the newer state.
func (r *Rollouts) Undo(ctx context.Context, app string, a Ask) (*Record, error) {
	rec, err := r.Records.Get(ctx, app)
	if err != nil {
		return nil, err
	}
	ro := rec.Rollout
	if ro == nil {
		return nil, refuse(CodeNoRollout, fmt.Sprintf("skewgate rollout start %s --to VERSION", app), "%s has no rollout to undo", app)
	}
	to := a.To
	if to == "" {
		heaviest := 0.0
		for _, v := range ro.Base {
			if v.Name != ro.Spec.To && v.Weight > heaviest {
				to, heaviest = v.Name, v.Weight
			}
		}
	}
	if to == "" {
		return nil, refuse(CodeNoBase, fmt.Sprintf("skewgate rollout undo %s --to VERSION", app), "nothing was deployed before %s", ro.Spec.To)
	}
	return r.Start(ctx, Spec{
		App: app, To: to, Steps: []float64{100}, Move: ro.Spec.Move, Bake: wire.Seconds(0),
		By: a.By, Override: a.Override, Replace: true,
	})
}

func names[T fmt.Stringer](keys []T, more bool) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = k.String()
	}
	s := strings.Join(parts, ", ")
	if more {
		s += " and more"
	}
	return s
}
