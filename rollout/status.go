package rollout

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Status is a rollout as a person wants to see it.
type Status struct {
	App      string          `json:"app"`
	Record   *Record         `json:"record"`
	Activity string          `json:"activity"` // moving, baking, or the phase
	Assigned float64         `json:"assignedPercent"`
	Actual   float64         `json:"actualPercent"` // of the active objects
	Elapsed  wire.Seconds    `json:"elapsed"`
	Moves    MoveStatus      `json:"moves"`
	Bake     BakeStatus      `json:"bake"`
	Versions []VersionStatus `json:"versions"`

	Converged bool     `json:"converged"` // every active object runs its assigned version
	NoReturn  string   `json:"noReturn,omitempty"`
	Next      []string `json:"next,omitempty"` // what to type
}

// MoveStatus is the motion of active objects.
type MoveStatus struct {
	Mode      routing.MoveMode `json:"mode"`
	Done      int64            `json:"done"` // since the rollout began
	InFlight  int64            `json:"inFlight"`
	Failed    int64            `json:"failed"`
	Remaining int              `json:"remaining"` // -1 when not known
	Max       int              `json:"max"`       // in flight; 0 = no limit
	Rate      float64          `json:"rate"`      // per second; 0 = no limit
	ETA       wire.Seconds     `json:"eta"`       // 0 when not known
}

// BakeStatus is the bake of the running step.
type BakeStatus struct {
	For      wire.Seconds `json:"for"`
	Done     wire.Seconds `json:"done"`
	Analysis *Analysis    `json:"analysis,omitempty"`
}

// VersionStatus is one version of the app.
type VersionStatus struct {
	Version string  `json:"version"`
	State   string  `json:"state"` // current, ramping, draining, drained, standby, undeployed
	Weight  float64 `json:"weight"`
	Objects int     `json:"objects"` // active, as hosts said at their last renewal
	Hosts   int     `json:"hosts"`   // that can take objects
}

// Status tells how the app's newest rollout stands.
func (r *Rollouts) Status(ctx context.Context, app string) (*Status, error) {
	rec, err := r.Records.Get(ctx, app)
	if err != nil {
		return nil, err
	}
	if rec.Revision == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoRecord, app)
	}
	sessions, err := r.sessions(ctx)
	if err != nil {
		return nil, err
	}
	now, err := r.Records.Now(ctx)
	if err != nil {
		return nil, err
	}
	s := &Status{App: app, Record: rec, Versions: versionsOf(rec, sessions)}
	if err := r.fillMoves(ctx, s); err != nil {
		return nil, err
	}
	if rec.Rollout != nil {
		if err := r.fillRollout(ctx, s, now); err != nil {
			return nil, err
		}
	}
	s.Next = s.next()
	return s, nil
}

// versionsOf lists the versions that are deployed or have hosts.
func versionsOf(rec *Record, sessions []owners.Session) []VersionStatus {
	byName := map[string]*VersionStatus{}
	get := func(v string) *VersionStatus {
		if byName[v] == nil {
			byName[v] = &VersionStatus{Version: v}
		}
		return byName[v]
	}
	for v, share := range shares(rec.Deployment) {
		get(v).Weight = share
	}
	for _, s := range sessions {
		if s.App != rec.App || s.State.Final() || s.Preview != "" {
			continue
		}
		v := get(s.Version)
		v.Objects += s.Objects
		if usable(s) {
			v.Hosts++
		}
	}
	out := make([]VersionStatus, 0, len(byName))
	for _, v := range byName {
		v.State = stateOf(rec, v)
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b VersionStatus) int {
		if a.Version < b.Version {
			return -1
		}
		return 1
	})
	return out
}

func stateOf(rec *Record, v *VersionStatus) string {
	ro := rec.Rollout
	switch {
	case len(rec.Deployment) == 0:
		return "current" // follow: any live version will do
	case ro != nil && !ro.Phase.Ended() && v.Version == ro.Spec.To && v.Weight < 100:
		return "ramping"
	case v.Weight > 0:
		return "current"
	case v.Objects > 0:
		return "draining"
	case v.Hosts > 0 && rec.Had(v.Version):
		return "drained"
	case v.Hosts > 0:
		return "standby"
	}
	return "undeployed"
}

// Had says that a version had a share when the newest rollout began.
func (rec *Record) Had(version string) bool {
	return rec != nil && rec.Rollout != nil && slices.ContainsFunc(rec.Rollout.Base, func(v Version) bool { return v.Name == version && v.Weight > 0 })
}

func (r *Rollouts) fillMoves(ctx context.Context, s *Status) error {
	rec := s.Record
	s.Moves = MoveStatus{Mode: rec.Move.Mode, Max: rec.Move.InFlight, Rate: rec.Move.Rate, Remaining: -1}
	if s.Moves.Mode == "" {
		s.Moves.Mode = routing.MoveLazy
	}
	spent, err := r.spent(ctx, rec.App)
	if err != nil {
		return err
	}
	s.Moves.Done, s.Moves.Failed, s.Moves.InFlight = spent.Taken, spent.Failed, spent.InFlight
	if rec.Rollout != nil {
		s.Moves.Done -= rec.Rollout.Before.Taken
		s.Moves.Failed -= rec.Rollout.Before.Failed
	}
	for _, c := range r.opt.Classes() {
		if c.App == rec.App && s.Moves.Max == 0 && s.Moves.Rate == 0 {
			s.Moves.Max, s.Moves.Rate = c.Move.InFlight, c.Move.Rate
		}
	}
	rem, ok, err := r.Records.Remaining(ctx, rec.App)
	if err != nil {
		return err
	}
	if ok && rem.Generation == rec.Generation && rec.moves() {
		s.Moves.Remaining = rem.Objects
		s.Converged = rem.Objects == 0
		if s.Moves.Rate > 0 {
			s.Moves.ETA = wire.Seconds(float64(rem.Objects) / s.Moves.Rate * float64(time.Second))
		}
	}
	if !rec.moves() {
		s.Converged = lazyConverged(s.Versions)
	}
	return nil
}

// lazyConverged: nothing scans pins in lazy mode, so only the two ends are
// certain: no version without a weight has an object, and one has all the weight.
func lazyConverged(versions []VersionStatus) bool {
	for _, v := range versions {
		if v.Weight > 0 && math.Abs(v.Weight-100) > 1e-9 || v.Weight == 0 && v.Objects > 0 {
			return false
		}
	}
	return true
}

// spent adds up the budgets of an app's classes.
func (r *Rollouts) spent(ctx context.Context, app string) (Spent, error) {
	var all Spent
	for _, c := range r.opt.Classes() {
		if c.App != app {
			continue
		}
		one, err := r.Budget.Spent(ctx, c.Name)
		if err != nil {
			return Spent{}, err
		}
		all = all.add(one)
	}
	return all, nil
}

func (r *Rollouts) fillRollout(ctx context.Context, s *Status, now time.Time) error {
	ro := s.Record.Rollout
	end := now
	if !ro.EndedAt.IsZero() {
		end = ro.EndedAt
	}
	s.Elapsed = wire.Seconds(end.Sub(ro.StartedAt).Round(time.Second))
	total, on := 0, 0
	for _, v := range s.Versions {
		total += v.Objects
		if v.Version == ro.Spec.To {
			s.Assigned, on = v.Weight, v.Objects
		}
	}
	if total > 0 {
		s.Actual = 100 * float64(on) / float64(total)
	}
	if !ro.Crossed.IsZero() && !ro.Phase.Ended() {
		s.NoReturn = fmt.Sprintf("passed at %s: the old version cannot read what %s stored; abort becomes freeze", ro.Crossed.Format(time.RFC3339), ro.Spec.To)
	}
	s.Activity = string(ro.Phase)
	s.Bake.For = ro.Spec.Bake
	if ro.Phase != Progressing {
		return nil
	}
	if ro.BakeAt.IsZero() {
		s.Activity = "moving"
		return nil
	}
	s.Activity = "baking"
	s.Bake.Done = wire.Seconds(min(now.Sub(ro.BakeAt), time.Duration(ro.Spec.Bake)).Round(time.Second))
	if ro.Spec.Bake > 0 {
		a, err := r.analysis(ctx, ro, now)
		if err != nil {
			return err
		}
		s.Bake.Analysis = &a
	}
	return nil
}

// next says what a person may type now.
func (s *Status) next() []string {
	ro := s.Record.Rollout
	cmd := func(verb string) string { return "skewgate rollout " + verb + " " + s.App }
	switch {
	case ro == nil:
		return []string{cmd("start") + " --to VERSION"}
	case ro.Phase == Paused:
		return []string{cmd("resume"), cmd("promote"), cmd("abort")}
	case ro.Phase == Frozen:
		return []string{cmd("retry"), cmd("history")}
	case ro.Phase == Aborted:
		return []string{cmd("retry"), cmd("history")}
	case ro.Phase == Completed && s.Converged:
		return []string{fmt.Sprintf("skewgate can-i finish %s %s", s.App, ro.Spec.To)}
	}
	return nil
}
