package skew

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Question is what somebody would like to do with a version.
type Question string

// Questions.
const (
	Promote  Question = "promote"  // take the next step of its rollout
	Finish   Question = "finish"   // be done: everything runs it, the others may be stopped
	Rollback Question = "rollback" // run it again in place of what runs now
	Remove   Question = "remove"   // stop its last host, or its last worker
)

// Questions lists them.
func Questions() []Question { return []Question{Promote, Finish, Rollback, Remove} }

// Facts is what is known; plain data, read once. Answer covers calls on the
// app's objects, Calling those by the version itself on anybody's.
type Facts struct {
	App, Version string
	Answer       *Answer
	Calling      *Answer
	Matrices     Matrices
	Classes      []string           // of the app
	Weights      map[string]float64 // of the deployment, percent; empty where none is recorded
	Objects      map[string]int     // pinned objects with a live owner, by version
	Hosts        map[string]int     // that can take objects, by version
	RollingTo    string             // version of the rollout under way; "" for none
	RollingFrom  []string           // versions that an abort of it goes back to
	Halted       string             // why that rollout does not go on by itself; "" when it does
}

// Decision answers a question: yes, no or unknown.
type Decision struct {
	Question Question `json:"question"`
	App      string   `json:"app"`
	Version  string   `json:"version"`
	Answer   string   `json:"answer"` // yes, no or unknown
	Reasons  []Ground `json:"reasons"`
	Evidence Evidence `json:"evidence"`
}

// Ground is one reason for a no or an unknown.
type Ground struct {
	Message string `json:"message"`
	Next    string `json:"next,omitempty"` // what to type
	Unknown bool   `json:"unknown,omitempty"`
}

func no(next, format string, args ...any) Ground {
	return Ground{Message: fmt.Sprintf(format, args...), Next: next}
}

func unknown(next, format string, args ...any) Ground {
	return Ground{Message: fmt.Sprintf(format, args...), Next: next, Unknown: true}
}

// CanI answers from what was observed. One certain reason makes it no; without
// one, anything that could hide a reason makes it unknown; only the rest is yes.
func CanI(q Question, f Facts) Decision {
	d := Decision{Question: q, App: f.App, Version: f.Version, Evidence: f.Answer.Evidence}
	switch q {
	case Promote:
		d.Reasons = append(f.promote(), f.callers()...)
	case Finish:
		d.Reasons = append(f.finish(), f.callers()...)
	case Rollback:
		d.Reasons = append(f.rollback(), f.callers()...)
	case Remove:
		d.Reasons = f.remove()
	}
	d.Reasons = append(d.Reasons, f.evidence(q)...)
	slices.SortStableFunc(d.Reasons, func(a, b Ground) int { // the certain ones first
		switch {
		case a.Unknown == b.Unknown:
			return 0
		case a.Unknown:
			return 1
		}
		return -1
	})
	switch {
	case len(d.Reasons) == 0:
		d.Answer, d.Reasons = "yes", []Ground{}
	case d.Reasons[0].Unknown:
		d.Answer = "unknown"
	default:
		d.Answer = "no"
	}
	return d
}

func (f Facts) promote() []Ground {
	if f.RollingTo != f.Version {
		return []Ground{no(fmt.Sprintf("skewgate rollout start %s --to %s", f.App, f.Version), "no rollout of %s to %s is under way", f.App, f.Version)}
	}
	var out []Ground
	if f.Halted != "" {
		out = append(out, no("skewgate rollout status "+f.App, "the rollout stands: %s", f.Halted))
	}
	return append(out, f.needsHost()...)
}

func (f Facts) needsHost() []Ground {
	if f.Hosts[f.Version] > 0 {
		return nil
	}
	return []Ground{no("skewgate hosts list --app "+f.App, "%s has no ready host", f.Version)}
}

func (f Facts) finish() []Ground {
	out := f.needsHost()
	if len(f.Weights) == 0 {
		out = append(out, no(fmt.Sprintf("skewgate rollout start %s --to %s", f.App, f.Version), "no deployment of %s is recorded", f.App))
	} else if w := f.Weights[f.Version]; w < 100 {
		out = append(out, no("skewgate rollout promote "+f.App+" --full", "%s is assigned %.4g %% of the objects", f.Version, w))
	}
	for _, v := range slices.SortedFunc(maps.Keys(f.Objects), CompareVersions) {
		if n := f.Objects[v]; v != f.Version && n > 0 {
			out = append(out, no(fmt.Sprintf("skewgate objects list --version %s", v), "%d objects still run on %s", n, v))
		}
	}
	return out
}

// callers names the callers seen that do not understand the version.
func (f Facts) callers() []Ground {
	var out []Ground
	seen := map[[2]string]bool{}
	for _, l := range f.Answer.Lines {
		if l.App != f.App || l.Caller == Other || l.Caller == Unidentified || seen[[2]string{l.Caller, l.Class}] {
			continue
		}
		seen[[2]string{l.Caller, l.Class}] = true
		calls, last := f.callsOf(l.Caller, l.Class)
		bad, known := f.Matrices[l.Class].Pair(l.Caller, f.Version)
		switch {
		case !known:
			out = append(out, unknown(fmt.Sprintf("skewgate schema list --app %s", strings.Split(l.Caller, "@")[0]),
				"%s called %s %s ago, and the registry cannot say whether it understands %s", l.Caller, l.Class, f.ago(last), f.Version))
		case len(bad) > 0:
			out = append(out, no(fmt.Sprintf("skewgate skew --caller %s -w", l.Caller),
				"%s called %s %s ago (%d calls) and is incompatible with %s: %s %s", l.Caller, l.Class, f.ago(last), calls, f.Version, bad[0].Rule, bad[0].Method))
		}
	}
	return out
}

func (f Facts) callsOf(caller, class string) (calls int64, last time.Time) {
	for _, l := range f.Answer.Lines {
		if l.Caller == caller && l.Class == class {
			calls += l.Calls
			last = later(last, l.Last)
		}
	}
	return calls, last
}

func (f Facts) ago(t time.Time) string {
	return max(f.Answer.Evidence.At.Sub(t), 0).Round(time.Second).String()
}

func (f Facts) rollback() []Ground {
	out := f.needsHost()
	for _, class := range slices.Sorted(slices.Values(f.Classes)) {
		for _, v := range slices.SortedFunc(maps.Keys(f.ran()), CompareVersions) {
			c := f.Matrices[class].Reads(v, f.Version)
			switch c.Verdict {
			case OK:
			case Fail:
				out = append(out, no(fmt.Sprintf("skewgate compat plan --old %s@%s --new %s@%s", f.App, f.Version, f.App, v),
					"%s cannot read the state of %s objects that %s stored: %s %s", f.Version, class, v, c.Rule, c.Message))
			case Opaque:
				out = append(out, unknown("try it on a copy of the data",
					"the state of %s is opaque: nobody can say whether %s reads what %s stored", class, f.Version, v))
			default:
				out = append(out, unknown(fmt.Sprintf("skewgate schema push INPUT --app %s --version %s", f.App, v),
					"the registry cannot say whether %s reads what %s stored in %s", f.Version, v, class))
			}
		}
	}
	return out
}

// ran gives the other versions that ran objects or were called.
func (f Facts) ran() map[string]bool {
	out := map[string]bool{}
	for v, n := range f.Objects {
		if n > 0 && v != f.Version {
			out[v] = true
		}
	}
	for _, l := range f.Answer.Lines {
		if l.App == f.App && l.Version != "" && l.Version != f.Version {
			out[l.Version] = true
		}
	}
	return out
}

func (f Facts) remove() []Ground {
	var out []Ground
	if n := f.Objects[f.Version]; n > 0 {
		out = append(out, no("skewgate objects list --version "+f.Version, "%d objects run on it", n))
	}
	if w := f.Weights[f.Version]; w > 0 {
		out = append(out, no(fmt.Sprintf("skewgate rollout start %s --to VERSION", f.App), "%.4g %% of the objects are assigned to it", w))
	}
	if len(f.Weights) == 0 && f.Hosts[f.Version] > 0 && len(f.Hosts) == 1 {
		out = append(out, no("skewgate hosts list --app "+f.App, "it is the only version with hosts"))
	}
	if f.RollingTo != "" && slices.Contains(f.RollingFrom, f.Version) {
		out = append(out, no("skewgate rollout status "+f.App, "the rollout to %s would go back to it", f.RollingTo))
	}
	for _, l := range f.Calling.Lines {
		out = append(out, no(fmt.Sprintf("skewgate skew --caller %s@%s -w", f.App, f.Version),
			"it called %s@%s %s ago (%d calls)", l.Class, l.Version, f.ago(l.Last), l.Calls))
	}
	return out
}

// inWords is a duration in whole seconds, from ten minutes on in whole minutes,
// and never more than it is: 90s, 45m, 24h, 24h5m.
func inWords(d time.Duration) string {
	unit := time.Second
	if d >= 10*time.Minute {
		unit = time.Minute
	}
	s := d.Truncate(unit).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// evidence names what could hide a reason.
func (f Facts) evidence(q Question) []Ground {
	var out []Ground
	e := f.Answer.Evidence
	switch {
	case e.Expected == 0:
		out = append(out, unknown("skewgate doctor", "no gateway reports"))
	case !e.Complete():
		out = append(out, unknown("skewgate doctor", "%d of %d gateways report; silent: %s", e.Seen, e.Expected, strings.Join(e.Missing, ", ")))
	}
	if asked, have := e.At.Sub(e.From), e.At.Sub(e.Since); !e.Covers() {
		out = append(out, unknown(fmt.Sprintf("repeat with --since %s if that is enough for you", inWords(max(have, time.Second))),
			"tallies go back %s, %s was asked for", inWords(have), inWords(asked)))
	}
	lines := f.Answer.Lines
	if q == Remove {
		lines = slices.Concat(lines, f.Calling.Lines)
	}
	var folded, nameless int64
	for _, l := range lines {
		switch l.Caller {
		case Other:
			folded += l.Calls
		case Unidentified:
			nameless += l.Calls
		}
	}
	if folded > 0 {
		out = append(out, unknown("raise the cap on tallies, or look who invents caller versions", "%d calls were folded into %q: too many different callers", folded, Other))
	}
	if nameless > 0 {
		out = append(out, unknown("docs/rollout.md: how callers say who they are", "%d calls came from callers that did not say who they are", nameless))
	}
	return out
}
