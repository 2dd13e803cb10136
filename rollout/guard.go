package rollout

import (
	"context"
	"fmt"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
)

// maxNamed is how many objects a person is shown by name.
const maxNamed = 20

// oneWay says in which classes the old versions cannot read what the new one
// stores; empty when going back is safe as far as anybody knows.
func oneWay(ro *Rollout, w World) []skew.StateCell {
	base := Record{Deployment: ro.Base}
	var cells []skew.StateCell
	for _, class := range w.classesOf(ro.Spec.App) {
		for _, v := range others(base.Versions(), ro.Spec.To) {
			if c := w.Matrices[class].Reads(ro.Spec.To, v); c.Verdict == skew.Fail {
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// ranOn gives objects of an app that ran version last, up to max, and whether there are more.
func (r *Rollouts) ranOn(ctx context.Context, app, version string, max int) (keys []owners.Key, more bool, err error) {
	classes := map[string]bool{}
	for _, c := range r.opt.Classes() {
		classes[c.Name] = c.App == app
	}
	for pin, err := range r.pins(ctx) {
		if err != nil {
			return nil, false, fmt.Errorf("look for objects on %s: %w", version, err)
		}
		if !classes[pin.Key.Class] || pin.Version != version {
			continue
		}
		if len(keys) == max {
			return keys, true, nil
		}
		keys = append(keys, pin.Key)
	}
	return keys, false, nil
}
