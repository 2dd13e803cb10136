package report

import (
	"fmt"
	"strings"
)

// ClassOrder is the order of rollout that is safe for one class alone.
type ClassOrder struct {
	Class string `json:"class"`
	Order string `json:"order"`
}

// OwnOrders gives the order of each class where no order is safe for all of
// them but some have one of their own; else nothing.
func (r *Report) OwnOrders() []ClassOrder {
	if r.Order != ExpandContract || len(r.Versions) > 0 {
		return nil
	}
	var orders []ClassOrder
	own := false
	for _, c := range r.Classes {
		orders = append(orders, ClassOrder{c.Class, c.Order})
		own = own || c.Order != ExpandContract
	}
	if !own || len(orders) < 2 {
		return nil
	}
	return orders
}

// classesOf are the names of the classes that have an order.
func classesOf(orders []ClassOrder, order string) []string {
	var names []string
	for _, c := range orders {
		if c.Order == order {
			names = append(names, c.Class)
		}
	}
	return names
}

// fewClasses is how many classes a line names.
const fewClasses = 6

// ClassNames is a list of classes that fits on a line.
func ClassNames(names []string) string {
	if len(names) <= fewClasses {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:fewClasses], ", "), len(names)-fewClasses)
}

// orderedApart says that every class has a safe order of its own.
func orderedApart(orders []ClassOrder) bool {
	return len(orders) > 0 && len(classesOf(orders, ExpandContract)) == 0
}

// ownOrders lists which classes go in which order, where that is not one.
func (t *textWriter) ownOrders(orders []ClassOrder) {
	for _, line := range []struct{ order, text string }{
		{ObjectsFirst, "objects first, then workers:"}, {WorkersFirst, "workers first, then objects:"},
		{AnyOrder, "any order:"}, {ExpandContract, "two releases:"},
	} {
		if names := classesOf(orders, line.order); len(names) > 0 {
			t.printf("  %-29s %s\n", line.text, ClassNames(names))
		}
	}
	switch {
	case orderedApart(orders):
		t.printf("  Each class has a safe order of its own if their objects are rolled out apart (skewgate compat plan has the steps).\n")
	case len(orders) > 0:
		t.printf("  Only what is under \"two releases\" needs them, if the other classes' objects are rolled out apart (--class NAME plans one).\n")
	}
}
