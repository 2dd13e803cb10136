package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
)

// World is what preflight judges by: read once, judged without I/O.
type World struct {
	Sessions []owners.Session
	Classes  []routing.Class
	Matrices skew.Matrices
	Skew     *skew.Answer // calls on the app's objects lately; nil when not read
}

// capacityFactor is how many times today's load per host the target's hosts may get.
const (
	capacityFactor  = 2.5
	capacityMinimum = 200 // objects; below that a mean says nothing
)

// preflight gives every reason why the share of spec.To must not become percent.
func preflight(w World, spec Spec, base []assign.Version, percent float64) []Reason {
	var out []Reason
	out = append(out, preflightHosts(w, spec)...)
	out = append(out, preflightCapacity(w, spec, percent)...)
	out = append(out, preflightVersions(w, spec, base)...)
	out = append(out, preflightState(w, spec, base)...)
	out = append(out, preflightCallers(w, spec, base)...)
	return out
}

// classesOf gives the app's classes that are owned or have affinity, by name.
func (w World) classesOf(app string) []string {
	var names []string
	for _, c := range w.Classes {
		if c.App == app && c.Mode != routing.ModeObserve {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

func preflightHosts(w World, spec Spec) []Reason {
	classes := w.classesOf(spec.App)
	if len(classes) == 0 {
		return []Reason{{Code: CodeNoHost, Message: fmt.Sprintf("no class in the mesh file belongs to app %q", spec.App), Next: "skewgate versions list"}}
	}
	var out []Reason
	for _, class := range classes {
		if hostsByVersion(w.Sessions, spec.App, class)[spec.To] == 0 {
			out = append(out, Reason{
				Code:    CodeNoHost,
				Message: fmt.Sprintf("no live, ready host of %s@%s serves %s", spec.App, spec.To, class),
				Next:    "skewgate hosts list --app " + spec.App,
			})
		}
	}
	return out
}

func preflightCapacity(w World, spec Spec, percent float64) []Reason {
	total, hosts, target := 0, 0, 0
	for _, s := range w.Sessions {
		if s.App != spec.App || s.State.Final() || s.Preview != "" {
			continue
		}
		total += s.Objects
		if s.Version != spec.To && s.Objects > 0 {
			hosts++
		}
		if s.Version == spec.To && usable(s) {
			target++
		}
	}
	if total < capacityMinimum || hosts == 0 || target == 0 {
		return nil
	}
	today := float64(total) / float64(hosts)
	then := float64(total) * percent / 100 / float64(target)
	if then <= capacityFactor*today {
		return nil
	}
	return []Reason{{
		Code: CodeCapacity,
		Message: fmt.Sprintf("at %g %% each of the %d hosts of %s would have about %.0f objects; a host of this app has %.0f today",
			percent, target, spec.To, then, today),
		Next: fmt.Sprintf("start more hosts of %s, or --override REASON", spec.To),
	}}
}

// preflightVersions refuses a version that the registry does not know, once
// the app's schemas are registered at all.
func preflightVersions(w World, spec Spec, base []assign.Version) []Reason {
	var out []Reason
	for _, class := range w.classesOf(spec.App) {
		m := w.Matrices[class]
		if m == nil || len(m.Objects) == 0 {
			continue
		}
		for _, v := range append([]string{spec.To}, others(base, spec.To)...) {
			if !slices.Contains(m.Objects, v) {
				out = append(out, Reason{
					Code: CodeUnknownVersion, Unknown: true,
					Message: fmt.Sprintf("the registry has no schema of %s@%s, so nobody can say whether it may meet the others in class %s", spec.App, v, class),
					Next:    fmt.Sprintf("skewgate schema push INPUT --app %s --version %s", spec.App, v),
				})
			}
		}
	}
	return out
}

// preflightState refuses a version that cannot read what the present ones stored.
func preflightState(w World, spec Spec, base []assign.Version) []Reason {
	var out []Reason
	for _, class := range w.classesOf(spec.App) {
		for _, v := range others(base, spec.To) {
			if c := w.Matrices[class].Reads(v, spec.To); c.Verdict == skew.Fail {
				out = append(out, Reason{
					Code:    CodeStateUnreadable,
					Message: fmt.Sprintf("%s cannot read the state of %s objects that %s stored: %s %s", spec.To, class, v, c.Rule, c.Message),
					Next:    fmt.Sprintf("skewgate compat plan --old %s@%s --new %s@%s", spec.App, v, spec.App, spec.To),
				})
			}
		}
	}
	return out
}

// preflightCallers judges the callers that were seen lately: one that is
// incompatible with the target is a pair that this step opens; one that is
// incompatible with what runs now came too early.
func preflightCallers(w World, spec Spec, base []assign.Version) []Reason {
	if w.Skew == nil {
		return nil
	}
	var out []Reason
	seen := map[string]bool{}
	for _, l := range w.Skew.Lines {
		if l.App != spec.App || seen[l.Class+l.Caller] {
			continue
		}
		seen[l.Class+l.Caller] = true
		m := w.Matrices[l.Class]
		if bad, _ := m.Pair(l.Caller, spec.To); len(bad) > 0 {
			out = append(out, Reason{
				Code:    CodeIncompatible,
				Message: fmt.Sprintf("%s calls %s and is incompatible with %s: %s", l.Caller, l.Class, spec.To, describe(bad)),
				Next:    fmt.Sprintf("skewgate skew --caller %s", l.Caller),
			})
			continue // not twice for one caller
		}
		for _, v := range others(base, spec.To) {
			if bad, _ := m.Pair(l.Caller, v); len(bad) > 0 && spec.Order != OrderAny {
				out = append(out, Reason{
					Code: CodeWrongOrder,
					Message: fmt.Sprintf("the plan says objects first, but %s is live already and incompatible with %s, which objects still run: %s",
						l.Caller, v, describe(bad)),
					Next: fmt.Sprintf("roll %s back first, or --order any to let the objects catch up", l.Caller),
				})
				break
			}
		}
	}
	return out
}

func others(vs []assign.Version, except string) []string {
	var out []string
	for _, v := range vs {
		if v.Name != except && v.Weight > 0 {
			out = append(out, v.Name)
		}
	}
	return out
}

// describe names the first incompatible methods and counts the rest.
func describe(bad []skew.Incompatible) string {
	var parts []string
	for _, b := range bad[:min(len(bad), 3)] {
		method := b.Method
		if method == "" {
			method = "all methods"
		}
		parts = append(parts, b.Rule+" "+method)
	}
	if n := len(bad) - 3; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, ", ")
}
