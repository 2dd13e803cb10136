package compat

import (
	"maps"
	"slices"

	"github.com/skewgate/skewgate/compat/report"
)

// grid is which versions may meet, for one class or for all: who calls, who is
// called, and which meetings go wrong.
type grid struct {
	workers, objects []int // by age
	worker, object   map[int]age
	oneApp           bool
	bad              map[[2]int]bool
	badState         map[[2]int]bool
	hasState, opaque bool
}

// age is what a rollout does to a version of one side: versions of an app are
// ordered, those of two apps are not.
type age int

const (
	replaced age = iota // by a newer version of its app
	newest              // of its app
	resting             // the only one of its app, where another app is rolled out
)

func newGrid(versions []*version, classes ...*class) *grid {
	workers, objects := make(map[int]bool), make(map[int]bool)
	g := &grid{bad: make(map[[2]int]bool), badState: make(map[[2]int]bool)}
	for _, c := range classes {
		for i := range c.workers {
			workers[i] = true
		}
		for i := range c.objects {
			objects[i] = true
		}
		g.hasState = g.hasState || len(c.state) > 0
		g.opaque = g.opaque || c.opaque
	}
	g.workers, g.objects = slices.Sorted(maps.Keys(workers)), slices.Sorted(maps.Keys(objects))
	g.worker, g.object = agesOf(versions, g.workers), agesOf(versions, g.objects)
	g.oneApp = len(byApp(versions, g.workers)) <= 1
	return g
}

// byApp sorts versions by their app. A version whose app nobody knows is of
// the only one that is known.
func byApp(versions []*version, side []int) map[string][]int {
	apps := make(map[string][]int)
	for _, i := range side {
		app := versions[i].rolledOutAs
		apps[app] = append(apps[app], i)
	}
	if _, unknown := apps[""]; unknown && len(apps) == 2 {
		return map[string][]int{"": side}
	}
	return apps
}

func agesOf(versions []*version, side []int) map[int]age {
	apps := byApp(versions, side)
	ages := make(map[int]age)
	for _, of := range apps {
		last := of[len(of)-1]
		ages[last] = newest
		if len(of) == 1 && len(apps) > 1 {
			ages[last] = resting
		}
	}
	return ages
}

// note takes one hit into account. Only what is an error by default counts:
// waivers and failOn change no order.
func (g *grid) note(h *hit) {
	if h.severity() != Error {
		return
	}
	if h.leg == LegState {
		g.badState[[2]int{h.writer, h.reader}] = true
		return
	}
	g.bad[h.meeting()] = true
}

// meeting is the worker and the object of a hit.
func (h *hit) meeting() [2]int {
	if h.leg == LegRequest {
		return [2]int{h.writer, h.reader}
	}
	return [2]int{h.reader, h.writer}
}

// linear says that workers and objects are versions of one thing, so that
// "newer" compares them; else each side has an age of its own.
func (g *grid) linear() bool { return g.oneApp && slices.Equal(g.workers, g.objects) }

// meets says whether a worker and an object may meet in a window.
func (g *grid) meets(w Window, worker, object int) bool {
	switch {
	case w == ObjectsFirst && g.linear():
		return worker <= object
	case w == WorkersFirst && g.linear():
		return worker >= object
	case g.worker[worker] == resting || g.object[object] == resting:
		return true
	case w == ObjectsFirst: // objects move while the newest worker waits
		return g.worker[worker] != newest || g.object[object] == newest
	case w == WorkersFirst:
		return g.worker[worker] == newest || g.object[object] != newest
	default:
		return true
	}
}

// safe says that nothing that may happen in a window goes wrong.
func (g *grid) safe(w Window) bool {
	for at := range g.bad {
		if g.meets(w, at[0], at[1]) {
			return false
		}
	}
	return g.forward()
}

// forward says that code may load what older code wrote.
func (g *grid) forward() bool {
	for at := range g.badState {
		if at[0] < at[1] {
			return false
		}
	}
	return true
}

// order is the order of a rollout that is safe.
func (g *grid) order() string { return orderOf(g) }

// orderOf is the order that is safe for all of these classes. Who may meet is
// asked of each class by itself: objects of another class have their own age.
func orderOf(grids ...*grid) string {
	safe := func(w Window) bool {
		return !slices.ContainsFunc(grids, func(g *grid) bool { return !g.safe(w) })
	}
	objects, workers := safe(ObjectsFirst), safe(WorkersFirst)
	switch {
	case objects && workers:
		return report.AnyOrder
	case objects:
		return report.ObjectsFirst
	case workers:
		return report.WorkersFirst
	default:
		return report.ExpandContract
	}
}

func (g *grid) rollback() string {
	for at := range g.badState {
		if at[0] > at[1] {
			return report.RollbackUnsafe
		}
	}
	if g.opaque || !g.hasState {
		return report.RollbackNotChecked
	}
	return report.RollbackSafe
}

// contains says whether a hit is about a meeting that a window allows.
func (g *grid) contains(w Window, h *hit) bool {
	if h.leg == LegState {
		return w == Mixed || h.writer < h.reader
	}
	at := h.meeting()
	return g.meets(w, at[0], at[1])
}

// inWindow says whether a change is about a meeting that the window allows, in
// any class that it is reached from. In window auto the order that is safe is
// the window; where none is, all is.
func (k *check) inWindow(m *merged) bool {
	w := k.window
	if w == Auto {
		w = Window(k.order)
	}
	return slices.ContainsFunc(m.of, func(c *class) bool { return k.grids[c].contains(w, m.hit) })
}

// inWindow is the severity of a hit in a window. Where worker and object ship
// together, new code decides whether to use what is new yet: a new method, a
// new request field, a new enum value is a warning, unless it counts as used.
func (h *hit) inWindow(w Window, strict bool) Severity {
	s := h.severity()
	if w != Mixed || !h.rule.adds || !h.usedByChoice() {
		return s
	}
	if strict {
		return Error
	}
	return Warning
}

func (h *hit) usedByChoice() bool {
	switch h.fact.kind {
	case enumUnknown, payloadMissing:
		return true
	case stateMissing:
		return false
	default:
		return h.leg == LegRequest
	}
}
