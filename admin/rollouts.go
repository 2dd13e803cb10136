package admin

import (
	"net/http"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
)

// RolloutStart is the body of a start and of a preview.
type RolloutStart struct {
	rollout.Spec
	Objects []string `json:"objects,omitempty"` // preview: say when these move
	DryRun  bool     `json:"dryRun,omitempty"`  // start: only preview
}

// Rollout is how an app's rollout stands.
type Rollout struct{ *rollout.Status }

// RolloutPreview is what a rollout would do.
type RolloutPreview struct{ *rollout.Preview }

func (a *api) listRollouts(r *http.Request) (any, error) {
	records, err := a.opt.Rollouts.Records.List(r.Context())
	if err != nil {
		return nil, err
	}
	out := List[Rollout]{Items: []Rollout{}}
	for _, rec := range records {
		s, err := a.opt.Rollouts.Status(r.Context(), rec.App)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, Rollout{s})
	}
	return out, nil
}

func (a *api) getRollout(r *http.Request) (any, error) {
	return a.rolloutStatus(r, r.PathValue("app"))
}

func (a *api) rolloutStatus(r *http.Request, app string) (any, error) {
	s, err := a.opt.Rollouts.Status(r.Context(), app)
	if err != nil {
		return nil, err
	}
	return Rollout{s}, nil
}

func readStart(r *http.Request) (RolloutStart, []owners.Key, error) {
	var s RolloutStart
	if err := readBody(r, &s); err != nil {
		return s, nil, err
	}
	if app := r.PathValue("app"); s.App == "" {
		s.App = app
	} else if s.App != app {
		return s, nil, badRequest("the path says app %q, the body %q", app, s.App)
	}
	s.By = actor(r)
	var keys []owners.Key
	for _, o := range s.Objects {
		k, err := owners.ParseKey(o)
		if err != nil {
			return s, nil, badRequest("objects: %v", err)
		}
		keys = append(keys, k)
	}
	return s, keys, nil
}

func (a *api) startRollout(r *http.Request) (any, error) {
	s, keys, err := readStart(r)
	if err != nil {
		return nil, err
	}
	if s.DryRun {
		p, err := a.opt.Rollouts.Preview(r.Context(), s.Spec, keys)
		if err != nil {
			return nil, err
		}
		return RolloutPreview{p}, nil
	}
	if _, err := a.opt.Rollouts.Start(r.Context(), s.Spec); err != nil {
		return nil, err
	}
	return a.rolloutStatus(r, s.App)
}

func (a *api) previewRollout(r *http.Request) (any, error) {
	s, keys, err := readStart(r)
	if err != nil {
		return nil, err
	}
	p, err := a.opt.Rollouts.Preview(r.Context(), s.Spec, keys)
	if err != nil {
		return nil, err
	}
	return RolloutPreview{p}, nil
}

func (a *api) actOnRollout(r *http.Request) (any, error) {
	var ask rollout.Ask
	if r.ContentLength != 0 {
		if err := readBody(r, &ask); err != nil {
			return nil, err
		}
	}
	ask.By = actor(r)
	app, ro, ctx := r.PathValue("app"), a.opt.Rollouts, r.Context()
	var err error
	switch action := r.PathValue("action"); action {
	case "pause":
		_, err = ro.Pause(ctx, app, ask)
	case "resume":
		_, err = ro.Resume(ctx, app, ask)
	case "promote":
		_, err = ro.Promote(ctx, app, ask)
	case "abort":
		_, err = ro.Abort(ctx, app, ask)
	case "undo":
		_, err = ro.Undo(ctx, app, ask)
	case "retry":
		_, err = ro.Retry(ctx, app, ask)
	default:
		return nil, badRequest("%q: a rollout can be paused, resumed, promoted, aborted, undone (undo) or retried", action)
	}
	if err != nil {
		return nil, err
	}
	return a.rolloutStatus(r, app)
}

// RolloutChange is one entry of a rollout's history.
type RolloutChange struct{ rollout.Change }

func (a *api) getRolloutHistory(r *http.Request) (any, error) {
	limit, err := limitOf(r, 50)
	if err != nil {
		return nil, err
	}
	changes, err := a.opt.Rollouts.Records.History(r.Context(), r.PathValue("app"), limit)
	if err != nil {
		return nil, err
	}
	out := List[RolloutChange]{Items: []RolloutChange{}}
	for _, c := range changes {
		out.Items = append(out.Items, RolloutChange{c})
	}
	return out, nil
}
