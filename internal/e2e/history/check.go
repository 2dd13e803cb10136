package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Report is what a history shows.
type Report struct {
	Objects             int
	OK, Failed, Unknown int
	Lost                []string // acknowledged appends that the object's last reading lacks
	Twice               []string // appends that are there more than once
	Ghosts              []string // failed appends that happened, values that nobody appended
	Broken              []string // objects that are not linearizable, each with the first contradiction
	Undecided           []string // objects for which time ran out
}

// Clean says that nothing is wrong.
func (r Report) Clean() bool {
	return len(r.Lost)+len(r.Twice)+len(r.Ghosts)+len(r.Broken)+len(r.Undecided) == 0
}

// String is the report in a line, with what is wrong below it.
func (r Report) String() string {
	s := fmt.Sprintf("%d objects, %d operations acknowledged, %d refused, %d of unknown outcome; %d acknowledged writes lost, %d done twice, %d ghosts, %d objects not linearizable",
		r.Objects, r.OK, r.Failed, r.Unknown, len(r.Lost), len(r.Twice), len(r.Ghosts), len(r.Broken))
	for _, part := range []struct {
		word  string
		items []string
	}{{"lost", r.Lost}, {"twice", r.Twice}, {"ghost", r.Ghosts}, {"broken", r.Broken}, {"undecided", r.Undecided}} {
		for i, item := range part.items {
			if i == shown {
				s += fmt.Sprintf("\n  %s: and %d more", part.word, len(part.items)-shown)
				break
			}
			s += "\n  " + part.word + ": " + item
		}
	}
	return s
}

const shown = 8

// Check judges a history. patience bounds the search for each object; a
// history that is linearizable, or breaks it soon, needs none of it.
func Check(ops []Op, patience time.Duration) Report {
	byObject := map[string][]Op{}
	for _, op := range ops {
		byObject[op.Object] = append(byObject[op.Object], op)
	}
	var r Report
	for _, object := range slices.Sorted(keys(byObject)) {
		r.Objects++
		ops := byObject[object]
		for _, op := range ops {
			switch op.Outcome {
			case OK:
				r.OK++
			case Failed:
				r.Failed++
			case Unknown:
				r.Unknown++
			}
		}
		r.count(object, ops)
		switch linearizable(ops, patience) {
		case porcupine.Illegal:
			r.Broken = append(r.Broken, object+": "+contradiction(ops))
		case porcupine.Unknown:
			r.Undecided = append(r.Undecided, object)
		case porcupine.Ok:
		}
	}
	return r
}

func keys(m map[string][]Op) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// count holds the last reading against what was appended. The last reading is
// the list of the acknowledged operation that was called last.
func (r *Report) count(object string, ops []Op) {
	appended := map[int]Op{}
	var last *Op
	for i, op := range ops {
		if op.Value != 0 {
			appended[op.Value] = op
		}
		if op.Outcome == OK && (last == nil || op.Call > last.Call) {
			last = &ops[i]
		}
	}
	if last == nil {
		return
	}
	seen := map[int]int{}
	for _, v := range last.List {
		seen[v]++
	}
	for v, n := range seen {
		op, known := appended[v]
		if n > 1 {
			r.Twice = append(r.Twice, fmt.Sprintf("%s: %d", object, v))
		}
		if !known || op.Outcome == Failed {
			r.Ghosts = append(r.Ghosts, fmt.Sprintf("%s: %d (%s)", object, v, op.Via))
		}
	}
	for v, op := range appended {
		if op.Outcome == OK && op.Return <= last.Call && seen[v] == 0 {
			r.Lost = append(r.Lost, fmt.Sprintf("%s: %d, acknowledged at %v by %s", object, v, op.Return.Round(time.Millisecond), op.Via))
		}
	}
	slices.Sort(r.Lost)
	slices.Sort(r.Twice)
	slices.Sort(r.Ghosts)
}
