package compat

import (
	"fmt"

	"github.com/skewgate/skewgate/compat/report"
)

// stepsApart are the steps of a rollout in which each class keeps to its own
// order: objects of those that go first, then the workers, which call all of
// them, then objects of the rest. Nil where a class has no safe order.
func stepsApart(orders []report.ClassOrder, r *report.Report) []report.Step {
	var before, after []string
	for _, c := range orders {
		switch c.Order {
		case report.ExpandContract:
			return nil
		case report.WorkersFirst:
			after = append(after, c.Class)
		default: // any order is safe before, too
			before = append(before, c.Class)
		}
	}
	if len(before) == 0 || len(after) == 0 {
		return nil
	}
	old, new, both := []string{r.Old}, []string{r.New}, []string{r.Old, r.New}
	objects := func(classes []string) string {
		return fmt.Sprintf("roll objects of %s %s → %s", report.ClassNames(classes), r.Old, r.New)
	}
	return []report.Step{
		{Do: objects(before) + "; of other classes not yet", Workers: old, Objects: both, Compatible: true, Classes: before},
		bakeOf(before, old, both),
		{Do: fmt.Sprintf("roll workers %s → %s", r.Old, r.New), Workers: both, Objects: both, Compatible: true, Classes: before},
		bakeOf(before, new, both),
		{Do: objects(after), Workers: new, Objects: both, Compatible: true, Classes: after},
	}
}

// bakeOf is a bake in which only objects of some classes are new.
func bakeOf(classes, workers, objects []string) report.Step {
	s := bake(workers, objects)
	s.Classes = classes
	return s
}
