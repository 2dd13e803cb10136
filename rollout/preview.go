package rollout

import (
	"context"
	"fmt"
	"slices"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/assign"
)

// Preview is what a rollout would do, step by step; nothing is touched.
type Preview struct {
	App     string        `json:"app"`
	To      string        `json:"to"`
	Active  int           `json:"active"`  // objects that have a host now
	Steps   []PreviewStep `json:"steps"`   // cumulative
	Reasons []Reason      `json:"reasons"` // why start would be refused
	Objects []ObjectWhen  `json:"objects,omitempty"`
}

// PreviewStep is where active objects would have gone when a step is done.
type PreviewStep struct {
	Percent float64       `json:"percent"`
	Moves   []assign.Move `json:"moves"` // from where they run now
	Total   int           `json:"total"`
}

// ObjectWhen says when one object would move.
type ObjectWhen struct {
	Object  string  `json:"object"`
	Runs    string  `json:"runs,omitempty"` // now
	Percent float64 `json:"percent"`        // from this share of the new version on it moves
}

// Preview says what Start would do with spec, and when each of keys would move.
func (r *Rollouts) Preview(ctx context.Context, spec Spec, keys []owners.Key) (*Preview, error) {
	spec = spec.withDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	w, err := r.world(ctx, spec.App)
	if err != nil {
		return nil, err
	}
	rec, err := r.Records.Get(ctx, spec.App)
	if err != nil {
		return nil, err
	}
	base, refusal := baseOf(rec, spec, w.Sessions)
	if refusal != nil {
		return nil, refusal
	}
	running, err := r.running(ctx, w, spec.App)
	if err != nil {
		return nil, err
	}
	p := &Preview{App: spec.App, To: spec.To, Active: len(running), Reasons: preflight(w, spec, base, spec.Steps[len(spec.Steps)-1])}
	for _, percent := range spec.Steps {
		step, err := previewStep(base, spec.To, percent, running)
		if err != nil {
			return nil, err
		}
		p.Steps = append(p.Steps, step)
	}
	for _, k := range keys {
		p.Objects = append(p.Objects, ObjectWhen{Object: k.String(), Runs: running[assign.Object{Class: k.Class, ID: k.ID}], Percent: movesAt(base, spec.To, k)})
	}
	return p, nil
}

// running gives the version on which each active object of an app runs.
func (r *Rollouts) running(ctx context.Context, w World, app string) (map[assign.Object]string, error) {
	sessions := map[string]owners.Session{}
	for _, s := range w.Sessions {
		sessions[s.ID] = s
	}
	classes := w.classesOf(app)
	out := map[assign.Object]string{}
	for pin, err := range r.pins(ctx) {
		if err != nil {
			return nil, fmt.Errorf("look at objects: %w", err)
		}
		s, ok := sessions[pin.SID]
		if ok && pin.State == owners.Owned && !s.State.Final() && slices.Contains(classes, pin.Key.Class) {
			out[assign.Object{Class: pin.Key.Class, ID: pin.Key.ID}] = s.Version
		}
	}
	return out, nil
}

func previewStep(base []assign.Version, to string, percent float64, running map[assign.Object]string) (PreviewStep, error) {
	vs, err := scaled(base, to, percent)
	if err != nil {
		return PreviewStep{}, err
	}
	counts := map[[2]string]int{}
	for o, from := range running {
		want, err := assign.Assign(vs, o.Class, o.ID)
		if err != nil {
			return PreviewStep{}, fmt.Errorf("assign %s/%s: %w", o.Class, o.ID, err)
		}
		if want != from {
			counts[[2]string{from, want}]++
		}
	}
	step := PreviewStep{Percent: percent, Moves: []assign.Move{}}
	for k, n := range counts {
		step.Moves = append(step.Moves, assign.Move{From: k[0], To: k[1], Count: n})
		step.Total += n
	}
	slices.SortFunc(step.Moves, func(a, b assign.Move) int { return b.Count - a.Count })
	return step, nil
}

// movesAt finds the share from which on an object runs to, to 0.01 %. The
// assignment is monotone in the share, so bisection finds the only one.
func movesAt(base []assign.Version, to string, k owners.Key) float64 {
	lo, hi := 0, 10_000
	for lo < hi {
		mid := (lo + hi) / 2
		vs, err := scaled(base, to, float64(mid)/100)
		if err != nil {
			return 100
		}
		if v, err := assign.Assign(vs, k.Class, k.ID); err == nil && v == to {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return float64(lo) / 100
}
