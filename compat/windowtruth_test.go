package compat_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// world is who understands whom, drawn at random: of every two versions, on
// every leg, in every direction. Everything else is defined by it.
type world struct {
	n                        int
	request, response, state map[[2]int]bool // writer, reader: goes wrong
}

func randomWorld(r *rand.Rand, n int) *world {
	w := &world{n: n, request: make(map[[2]int]bool), response: make(map[[2]int]bool), state: make(map[[2]int]bool)}
	rare := 2 + r.IntN(6*n) // worlds in which nearly nothing goes wrong have the interesting answers
	for a := range n {
		for b := range n {
			if a != b {
				w.request[[2]int{a, b}], w.response[[2]int{a, b}], w.state[[2]int{a, b}] = r.IntN(rare) == 0, r.IntN(rare) == 0, r.IntN(2*rare) == 0
			}
		}
	}
	return w
}

// fields has a field for every pair that goes wrong: int64 to the writer,
// int32 to the reader, unknown to everybody else. What the writer sends the
// reader truncates; the reverse is widening.
func fields(v int, wrong map[[2]int]bool, n int) string {
	var b strings.Builder
	for a := range n {
		for c := range n {
			switch number := 1 + a*n + c; {
			case !wrong[[2]int{a, c}]:
			case v == a:
				fmt.Fprintf(&b, " int64 f%d = %d;", number, number)
			case v == c:
				fmt.Fprintf(&b, " int32 f%d = %d;", number, number)
			}
		}
	}
	return b.String()
}

// version is one version's schema.
func (w *world) version(t *testing.T, v int) *schema.Set {
	t.Helper()
	text := fmt.Sprintf("syntax = \"proto3\";\npackage a;\nservice S { rpc A(Q) returns (P); }\nmessage Q {%s }\nmessage P {%s }\nmessage St {%s }\n",
		fields(v, w.request, w.n), fields(v, w.response, w.n), fields(v, w.state, w.n))
	manifest := "apiVersion: skewgate/v1\nkind: App\napp: a\nexports:\n  S: {services: [a.S], state: [a.St]}\n"
	set, err := schema.Load(t.Context(), schema.Sources(map[string]string{"a.proto": text, schema.ManifestName: manifest}), schema.Options{Name: fmt.Sprintf("v%d", v+1)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// pair says that a worker of one version may call an object of another.
func (w *world) pair(worker, object int) bool {
	return !w.request[[2]int{worker, object}] && !w.response[[2]int{object, worker}]
}

// all says that every pair of versions for which in is true gets on.
func (w *world) all(in func(worker, object int) bool) bool {
	for a := range w.n {
		for b := range w.n {
			if in(a, b) && !w.pair(a, b) {
				return false
			}
		}
	}
	return true
}

// loads says that state of every two versions for which in is true is loaded.
func (w *world) loads(in func(writer, reader int) bool) bool {
	for at, wrong := range w.state {
		if wrong && in(at[0], at[1]) {
			return false
		}
	}
	return true
}

// truth is what the definitions come to: compatible in each window, the order,
// going back.
func (w *world) truth() (compatible map[compat.Window]bool, order, rollback string) {
	forward := w.loads(func(a, b int) bool { return a < b })
	objects := forward && w.all(func(worker, object int) bool { return worker <= object })
	workers := forward && w.all(func(worker, object int) bool { return worker >= object })
	mixed := w.all(func(int, int) bool { return true }) && w.loads(func(int, int) bool { return true })
	order = report.ExpandContract
	switch {
	case objects && workers:
		order = report.AnyOrder
	case objects:
		order = report.ObjectsFirst
	case workers:
		order = report.WorkersFirst
	}
	rollback = report.RollbackSafe
	if !w.loads(func(a, b int) bool { return a > b }) {
		rollback = report.RollbackUnsafe
	}
	return map[compat.Window]bool{compat.Auto: objects || workers, compat.ObjectsFirst: objects, compat.WorkersFirst: workers, compat.Mixed: mixed}, order, rollback
}

// TestWindowsAreTheirDefinition: of random versions, two to five of them, who
// may meet, the order, going back and the verdict in every window are what the
// definitions say when they are evaluated pair by pair.
func TestWindowsAreTheirDefinition(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 11))
	answers := make(map[string]int)
	for i := range 150 {
		w := randomWorld(r, 2+i%4)
		var versions []compat.Version
		for v := range w.n {
			versions = append(versions, compat.Version{Name: fmt.Sprintf("v%d", v+1), Set: w.version(t, v), Worker: true, Object: true})
		}
		compatible, order, rollback := w.truth()
		answers[order]++
		answers[rollback]++
		for _, window := range []compat.Window{compat.Auto, compat.ObjectsFirst, compat.WorkersFirst, compat.Mixed} {
			m, err := compat.Matrix(t.Context(), compat.MatrixRequest{Versions: versions, Options: compat.Options{Window: window}})
			if err != nil {
				t.Fatal(err)
			}
			w.hold(t, m.Report, compatible[window], order, rollback)
			w.holdCells(t, m.Cells)
			if w.n > 2 {
				continue
			}
			c, err := compat.Check(t.Context(), compat.Request{Old: versions[0].Set, New: versions[1].Set, Options: compat.Options{Window: window}})
			if err != nil {
				t.Fatal(err)
			}
			w.hold(t, c, compatible[window], order, rollback)
			w.holdPlan(t, c)
		}
		if t.Failed() {
			t.Fatalf("world %d: %+v", i, w)
		}
	}
	for _, answer := range []string{report.AnyOrder, report.ObjectsFirst, report.WorkersFirst, report.ExpandContract, report.RollbackSafe, report.RollbackUnsafe} {
		if answers[answer] < 3 {
			t.Errorf("%s came %d times: the worlds do not reach it", answer, answers[answer])
		}
	}
}

// index is the version that a report calls so.
func index(name string) int {
	switch name {
	case "old":
		return 0
	case "new":
		return 1
	default:
		return int(name[1] - '1')
	}
}

func (w *world) hold(t *testing.T, r *report.Report, compatible bool, order, rollback string) {
	t.Helper()
	if (r.Verdict == report.Compatible) != compatible || r.Order != order || r.Rollback != rollback {
		t.Errorf("window %s: %s, order %s, rollback %s; want compatible %t, %s, %s", r.Window, r.Verdict, r.Order, r.Rollback, compatible, order, rollback)
	}
	if r.Fails("error") == compatible {
		t.Errorf("window %s: exit status is not that of compatible %t", r.Window, compatible)
	}
	if len(r.Pairs) != w.n*w.n || len(r.State) != w.n*(w.n-1) {
		t.Errorf("%d pairs, %d of state", len(r.Pairs), len(r.State))
	}
	for _, p := range r.Pairs {
		if p.OK != w.pair(index(p.Worker), index(p.Object)) {
			t.Errorf("worker %s, object %s: %t", p.Worker, p.Object, p.OK)
		}
	}
	for _, s := range r.State {
		if s.OK == w.state[[2]int{index(s.Writer), index(s.Reader)}] {
			t.Errorf("state %s → %s: %t", s.Writer, s.Reader, s.OK)
		}
	}
}

// wrong lists all that goes wrong, each a change of its own.
func (w *world) wrong() []string {
	var out []string
	for leg, wrong := range map[string]map[[2]int]bool{"request": w.request, "response": w.response, "state": w.state} {
		for at, is := range wrong {
			if is {
				out = append(out, fmt.Sprint(leg, at))
			}
		}
	}
	return out
}

// holdCells: what a guard refuses is what goes wrong, and nothing else.
func (w *world) holdCells(t *testing.T, cells []compat.Cell) {
	t.Helper()
	refused := make(map[[2]int]bool)
	for _, c := range cells {
		refused[[2]int{index(c.Version), index(c.Object)}] = true
	}
	for a := range w.n {
		for b := range w.n {
			if refused[[2]int{a, b}] == w.pair(a, b) {
				t.Errorf("cells: worker %d, object %d refused %t", a, b, refused[[2]int{a, b}])
			}
		}
	}
}

// holdPlan: in no step of a plan do versions live that must not meet, and the
// point of no return is where new code first runs.
func (w *world) holdPlan(t *testing.T, r *report.Report) {
	t.Helper()
	p := compat.Plan(r)
	names := []string{r.Old, r.New}
	marked := false
	for i, step := range p.Steps {
		for _, worker := range step.Workers {
			for _, object := range step.Objects {
				a, b := slices.Index(names, worker), slices.Index(names, object)
				if a >= 0 && b >= 0 && !w.pair(a, b) {
					t.Errorf("step %d, %s: worker %s meets object %s", i+1, step.Do, worker, object)
				}
			}
		}
		first := slices.Contains(step.Objects, r.New) && !slices.ContainsFunc(p.Steps[:i], func(s report.Step) bool { return slices.Contains(s.Objects, r.New) })
		if step.NoReturn != (first && w.state[[2]int{1, 0}]) {
			t.Errorf("step %d, %s: point of no return %t", i+1, step.Do, step.NoReturn)
		}
		marked = marked || step.NoReturn
	}
	if marked != w.state[[2]int{1, 0}] || marked != (p.NoReturn != nil) {
		t.Errorf("a point of no return: %t", marked)
	}
	if p.NoReturn != nil && (!p.Steps[p.NoReturn.Step-1].NoReturn || len(p.NoReturn.Changes) != 1 || p.NoReturn.Changes[0].Why == "" || p.NoReturn.Changes[0].Do == "") {
		t.Errorf("why there is no way back: %+v", p.NoReturn)
	}
	listed := 0
	for _, release := range p.Releases {
		if release.Name == "expand" {
			listed = len(release.Changes)
		}
	}
	if want := len(w.wrong()); r.Order == report.ExpandContract && listed != want {
		t.Errorf("%d changes go into release 1, want %d", listed, want)
	}
}

// TestWrongWindowsAreSeen is the negative control: a report that lets one pair
// more meet, or one less, is told from what the definitions say.
func TestWrongWindowsAreSeen(t *testing.T) {
	t.Parallel()
	w := &world{n: 2, request: map[[2]int]bool{{1, 0}: true}, response: map[[2]int]bool{}, state: map[[2]int]bool{{1, 0}: true}}
	compatible, order, rollback := w.truth()
	if !compatible[compat.Auto] || !compatible[compat.ObjectsFirst] || compatible[compat.WorkersFirst] || compatible[compat.Mixed] ||
		order != report.ObjectsFirst || rollback != report.RollbackUnsafe {
		t.Errorf("%v, %s, %s", compatible, order, rollback)
	}
	delete(w.request, [2]int{1, 0})
	if _, other, _ := w.truth(); other != report.AnyOrder {
		t.Errorf("without what goes wrong: %s", other)
	}
	w.state[[2]int{0, 1}] = true
	if compatible, other, _ := w.truth(); compatible[compat.Auto] || other != report.ExpandContract {
		t.Errorf("state that new code does not load: %s", other)
	}
}
