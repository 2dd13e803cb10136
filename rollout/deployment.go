package rollout

import (
	"fmt"
	"slices"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
)

// baseOf gives the deployment that a rollout to spec.To begins with, To
// included with weight 0 if it was not there. Where none is recorded it is
// what runs now.
//
// A version that enters gets a salt that no earlier rollout of the app used, so
// that not the same objects are first each time; and one that can be told
// beforehand, so that a preview says which objects those will be.
func baseOf(rec *Record, spec Spec, sessions []owners.Session) ([]assign.Version, *Refusal) {
	base := slices.DeleteFunc(rec.Versions(), func(v assign.Version) bool { return v.Weight == 0 && v.Name != spec.To })
	if len(base) == 0 {
		from, refusal := runningVersion(spec, sessions)
		if refusal != nil {
			return nil, refusal
		}
		if from != "" {
			base = append(base, assign.Version{Name: from, Salt: from, Weight: 100})
		}
	}
	if !slices.ContainsFunc(base, func(v assign.Version) bool { return v.Name == spec.To }) {
		base = append(base, assign.Version{Name: spec.To, Salt: fmt.Sprintf("%s.%d", spec.To, rec.Generation), Weight: 0})
	}
	return base, nil
}

// runningVersion is the one version that runs where nothing is recorded; "" when
// none but the new one does.
func runningVersion(spec Spec, sessions []owners.Session) (string, *Refusal) {
	if spec.From != "" {
		return spec.From, nil
	}
	var running []string
	for _, s := range sessions {
		if s.App == spec.App && s.Version != spec.To && usable(s) && !slices.Contains(running, s.Version) {
			running = append(running, s.Version)
		}
	}
	slices.Sort(running)
	switch len(running) {
	case 0:
		return "", nil
	case 1:
		return running[0], nil
	}
	return "", refuse(CodeNoBase, fmt.Sprintf("skewgate rollout start %s --to %s --from %s", spec.App, spec.To, running[len(running)-1]),
		"no deployment of %s is recorded and %d versions run (%v): say which one the objects shall come from", spec.App, len(running), running)
}

// scaled gives the weights of a step. With nobody else to share with, To has everything.
func scaled(base []assign.Version, to string, percent float64) ([]assign.Version, error) {
	if len(base) == 1 {
		percent = 100
	}
	vs, err := assign.Scale(base, to, percent)
	if err != nil {
		return nil, fmt.Errorf("set weight of %s: %w", to, err)
	}
	return vs, nil
}

// usable says that a host can take objects now.
func usable(s owners.Session) bool {
	return s.State == owners.Live && s.Ready && s.Wanted == owners.WantedNone && s.Preview == ""
}

// hostsByVersion counts the usable hosts of an app that serve class ("" = any), by version.
func hostsByVersion(sessions []owners.Session, app, class string) map[string]int {
	n := map[string]int{}
	for _, s := range sessions {
		if s.App == app && usable(s) && (class == "" || slices.Contains(s.Classes, class)) {
			n[s.Version]++
		}
	}
	return n
}

// Placement is what the version of a class's objects depends on.
type Placement struct {
	Deployment []assign.Version
	Class      routing.Class
	Hosts      map[string]int // usable hosts of the class, by version
	Matrix     *skew.Matrix   // of the class; nil: nothing is known
}

// Desired is the version that the object should run now, whose last version
// was last ("" when not known): the first that gateways would choose. "" when
// nothing is deployed (follow) or none that may run it has hosts.
func (p Placement) Desired(id, last string) string {
	choice := assign.Choice{
		Versions: p.Deployment, Class: p.Class.Name, ID: id, Last: last, Strict: p.Class.StrictVersion,
		Ready: func(v string) bool { return p.Hosts[v] > 0 },
		Reads: func(w, r string) bool { return p.Matrix.Reads(w, r).Verdict != skew.Fail },
	}
	if now := choice.Now(); len(now) > 0 {
		return now[0]
	}
	return ""
}

// shares gives each version's share in percent, 0 for those without a weight.
func shares(vs []Version) map[string]float64 {
	r := Record{Deployment: vs}
	return assign.Normalize(r.Versions())
}
