package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
)

// CanI is the answer of GET /v1/can-i/….
type CanI struct{ skew.Decision }

func (a *api) getCanI(r *http.Request) (any, error) {
	q := skew.Question(r.PathValue("question"))
	if !slices.Contains(skew.Questions(), q) {
		return nil, badRequest("can-i %s: ask promote, finish, rollback or remove", q)
	}
	since, err := sinceOf(r, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	f, err := a.facts(r, since)
	if err != nil {
		return nil, err
	}
	return CanI{skew.CanI(q, f)}, nil
}

// facts reads what the question needs: what was seen, and what is.
func (a *api) facts(r *http.Request, since time.Duration) (skew.Facts, error) {
	ctx, app, version := r.Context(), r.PathValue("app"), r.PathValue("version")
	f := skew.Facts{App: app, Version: version, Objects: map[string]int{}, Hosts: map[string]int{}}
	var err error
	if f.Matrices, err = a.opt.Skew.Matrices(ctx); err != nil {
		return f, err
	}
	if f.Answer, err = a.opt.Skew.Query(ctx, skew.Query{App: app, Since: since}, f.Matrices); err != nil {
		return f, err
	}
	if f.Calling, err = a.opt.Skew.Query(ctx, skew.Query{Caller: app + "@" + version, Since: since}, nil); err != nil {
		return f, err
	}
	v, err := a.view(ctx)
	if err != nil {
		return f, err
	}
	a.factsOfRollout(&f, v.records[app])
	for _, c := range a.opt.Classes() {
		if c.App == app {
			f.Classes = append(f.Classes, c.Name)
		}
	}
	for _, s := range v.all {
		if s.App == app && stateOf(s) == "ready" && s.Preview == "" {
			f.Hosts[s.Version]++
		}
	}
	if len(f.Classes) == 0 && len(f.Calling.Lines) == 0 && len(f.Hosts) == 0 {
		return f, missing("skewgate versions list", "nobody knows an app %q: no class, no host, no call", app)
	}
	return f, a.countPins(r, &f, v)
}

func (a *api) factsOfRollout(f *skew.Facts, rec *rollout.Record) {
	if rec == nil {
		return
	}
	f.Weights = assign.Normalize(rec.Versions())
	ro := rec.Rollout
	if ro == nil || ro.Phase.Ended() {
		return
	}
	f.RollingTo = ro.Spec.To
	for _, b := range ro.Base {
		if b.Weight > 0 && b.Name != ro.Spec.To {
			f.RollingFrom = append(f.RollingFrom, b.Name)
		}
	}
	if ro.Phase == rollout.Paused {
		f.Halted = ro.Reason
	}
}

// countPins counts the objects that a live session owns, by its version.
func (a *api) countPins(r *http.Request, f *skew.Facts, v *view) error {
	seen := map[owners.Key]bool{}
	for pin, err := range a.opt.Store.Pins(r.Context()) {
		if errors.Is(err, owners.ErrBadRecord) {
			continue
		}
		if err != nil {
			return fmt.Errorf("count objects: %w", err)
		}
		s, ok := v.sessions[pin.SID]
		if !ok || pin.State != owners.Owned || s.State.Final() || s.App != f.App || seen[pin.Key] {
			continue
		}
		seen[pin.Key] = true
		f.Objects[s.Version]++
	}
	return nil
}
