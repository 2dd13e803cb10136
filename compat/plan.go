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
// code cannot load.
func markNoReturn(p *report.Plan, r *report.Report) {
	if r.Rollback != report.RollbackUnsafe {
		return
	}
	var rules []string
	for _, f := range r.Findings {
		if f.Leg == string(LegState) && f.Writer == newSide && severityOf(Effect(f.Effect), LegState) == Error {
			rules = append(rules, f.Rule+" "+f.Path)
		}
	}
	slices.Sort(rules)
	rules = slices.Compact(rules)
	for i := range p.Steps {
		if slices.Contains(p.Steps[i].Objects, r.New) {
			p.Steps[i].NoReturn, p.Steps[i].NoReturnRules = true, rules
			return
		}
	}
}

// releases says what goes into expand and into contract: each change that some
// order cannot take, once.
func releases(r *report.Report) []report.Release {
	expand := report.Release{Name: "expand", Order: report.AnyOrder, Changes: []report.Change{}}
	contract := report.Release{Name: "contract", Order: "as a check against release 1 says", Changes: []report.Change{}}
	seen := make(map[string]bool)
	for _, f := range r.Findings {
		key := f.Rule + " " + f.Path
		rollbackOnly := f.Leg == string(LegState) && f.Writer == newSide
		if seen[key] || rollbackOnly || severityOf(Effect(f.Effect), Leg(f.Leg)) != Error {
			continue
		}
		seen[key] = true
		change := report.Change{Path: f.Path, Rule: f.Rule, Do: f.Expand}
		if at := placeOf(f); at != nil {
			change.File, change.Line = at.File, at.Line
		}
		if change.Do == "" {
			change.Do = f.Fix
		}
		expand.Changes = append(expand.Changes, change)
		if f.Contract != "" {
			change.Do = f.Contract
			contract.Changes = append(contract.Changes, change)
		}
	}
	byPath := func(a, b report.Change) int { return strings.Compare(a.Path+a.Rule, b.Path+b.Rule) }
	slices.SortStableFunc(expand.Changes, byPath)
	slices.SortStableFunc(contract.Changes, byPath)
	return []report.Release{expand, contract}
}

// placeOf is where to make a change: on the new side where it is there.
func placeOf(f report.Finding) *report.Place {
	if f.New != nil {
		return f.New
	}
	return f.Old
}
