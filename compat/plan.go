package compat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/compat/report"
)

// The names of the two sides in the findings of a check.
const (
	oldSide = "old"
	newSide = "new"
)

// Plan says how to roll out, as data: the steps in their order, the point of
// no return, and where no order is safe what goes into each of two releases.
func Plan(r *report.Report) *report.Plan {
	p := &report.Plan{
		APIVersion: report.APIVersion, Kind: report.KindPlan,
		Old: r.Old, New: r.New, Order: r.Order, Rollback: r.Rollback, Notices: r.Notices,
	}
	old, new := []string{r.Old}, []string{r.New}
	both := []string{r.Old, r.New}
	move := fmt.Sprintf("%s → %s", r.Old, r.New)
	objects := report.Step{Do: "roll objects " + move, Workers: old, Objects: both, Compatible: true}
	workers := report.Step{Do: "roll workers " + move, Workers: both, Objects: new, Compatible: true}
	gone := r.Old
	switch r.Order {
	case report.ObjectsFirst:
		p.Steps = []report.Step{objects, bake(old, new), workers}
	case report.WorkersFirst:
		workers.Objects = old
		objects.Workers = new
		p.Steps = []report.Step{workers, bake(new, old), objects}
	case report.AnyOrder:
		p.Steps = []report.Step{{Do: "roll objects and workers " + move + ", in any order", Workers: both, Objects: both, Compatible: true}}
	default:
		p.Releases, p.Classes = releases(r), r.OwnOrders()
		if steps := stepsApart(p.Classes, r); steps != nil {
			p.Steps = steps
			break
		}
		gone = "release 1" // the old version is gone before release 2 begins
		p.Steps = []report.Step{
			{Do: "release 1 (expand): check it against " + r.Old + ", then roll it out everywhere", Workers: []string{r.Old, "release 1"}, Objects: []string{r.Old, "release 1"}, Compatible: true},
			{Do: "wait until nothing runs " + r.Old, Workers: []string{"release 1"}, Objects: []string{"release 1"}, Compatible: true},
			{Do: "release 2 (contract): check it against release 1, then roll it out in the order that this gives", Workers: []string{"release 1", r.New}, Objects: []string{"release 1", r.New}, Compatible: true},
		}
	}
	p.Steps = append(p.Steps, report.Step{Do: "remove " + gone + " when nothing runs or calls it", Workers: new, Objects: new, Compatible: true})
	markNoReturn(p, r)
	return p
}

func bake(workers, objects []string) report.Step {
	return report.Step{Do: "bake: watch errors before going on", Workers: workers, Objects: objects, Compatible: true}
}

// markNoReturn finds the step in which new code first writes state that old
// code cannot load, and says what it writes.
func markNoReturn(p *report.Plan, r *report.Report) {
	if r.Rollback != report.RollbackUnsafe {
		return
	}
	var rules, classes []string
	back := report.NoReturn{To: r.Old, Changes: []report.Change{}}
	for _, f := range r.Findings {
		if !breaksRollback(f) {
			continue
		}
		classes = append(append(classes, f.Class), f.Classes...)
		rule := f.Rule + " " + f.Path
		if slices.Contains(rules, rule) {
			continue // in another encoding
		}
		rules = append(rules, rule)
		back.Changes = append(back.Changes, keepsBack(f))
	}
	slices.Sort(rules)
	slices.SortStableFunc(back.Changes, byPath)
	for i := range p.Steps {
		if slices.Contains(p.Steps[i].Objects, r.New) && rolls(p, i, classes) {
			back.Step = i + 1
			p.Steps[i].NoReturn, p.Steps[i].NoReturnRules, p.NoReturn = true, rules, &back
			return
		}
	}
}

// rolls says that a step rolls out objects of any of these classes, as far as
// steps are for some classes only.
func rolls(p *report.Plan, step int, classes []string) bool {
	of := p.Steps[step].Classes
	return len(of) == 0 || slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(of, c) })
}

// breaksRollback says that a finding is about state that new code writes and
// old code cannot load.
func breaksRollback(f report.Finding) bool {
	return f.Leg == string(LegState) && f.Writer == newSide && severityOf(Effect(f.Effect), LegState) == Error
}

// keepsBack says what keeps a way back from a change: the same two releases
// that an order is helped by, of which the first is the one to go back to.
func keepsBack(f report.Finding) report.Change {
	c := changeOf(f, f.Fix)
	c.Why = f.Message
	if f.Expand != "" {
		c.Do = "to keep a way back, in two releases: first " + f.Expand + "; then " + f.Contract
	}
	return c
}

// releases says what goes into expand and into contract: each change that some
// order cannot take, once, and each that would leave no way back.
func releases(r *report.Report) []report.Release {
	expand := report.Release{Name: "expand", Order: report.AnyOrder, Changes: []report.Change{}}
	contract := report.Release{Name: "contract", Order: "as a check against release 1 says", Changes: []report.Change{}}
	seen := make(map[string]bool)
	add := func(f report.Finding, why string) {
		key := f.Rule + " " + f.Path
		if seen[key] {
			return
		}
		seen[key] = true
		first := changeOf(f, f.Expand)
		first.Why = why
		if first.Do == "" {
			first.Do = f.Fix
		}
		expand.Changes = append(expand.Changes, first)
		if f.Contract != "" {
			then := changeOf(f, f.Contract)
			then.Why = why
			contract.Changes = append(contract.Changes, then)
		}
	}
	for _, f := range r.Findings {
		if !breaksRollback(f) && severityOf(Effect(f.Effect), Leg(f.Leg)) == Error {
			add(f, "")
		}
	}
	for _, f := range r.Findings { // what an order needs has been said
		if breaksRollback(f) {
			add(f, "no order needs it; it keeps a way back to release 1")
		}
	}
	slices.SortStableFunc(expand.Changes, byPath)
	slices.SortStableFunc(contract.Changes, byPath)
	return []report.Release{expand, contract}
}

func byPath(a, b report.Change) int { return strings.Compare(a.Path+a.Rule, b.Path+b.Rule) }

func changeOf(f report.Finding, do string) report.Change {
	c := report.Change{Path: f.Path, Rule: f.Rule, Do: do}
	if at := placeOf(f); at != nil {
		c.File, c.Line = at.File, at.Line
	}
	return c
}

// placeOf is where to make a change: on the new side where it is there.
func placeOf(f report.Finding) *report.Place {
	if f.New != nil {
		return f.New
	}
	return f.Old
}
