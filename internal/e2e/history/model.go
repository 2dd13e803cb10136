package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// summary stands for a list: its length and a hash over its values in order.
type summary struct {
	n    int
	hash uint64
}

func (s summary) append(v int) summary {
	const prime = 1099511628211 // FNV-1a's
	h := s.hash ^ uint64(v)     //nolint:gosec // values are small and positive
	h *= prime
	return summary{s.n + 1, h ^ h>>29}
}

func summarize(list []int) summary {
	var s summary
	for _, v := range list {
		s = s.append(v)
	}
	return s
}

// step is an operation as the model sees it.
type step struct {
	value int
	known bool
	after summary
}

// model is a list that is appended to and read, by one operation at a time.
var model = porcupine.Model{
	Init: func() any { return summary{} },
	Step: func(state, input, _ any) (bool, any) {
		s, in := state.(summary), input.(step)
		if in.value != 0 {
			s = s.append(in.value)
		}
		return !in.known || s == in.after, s
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// linearizable searches for an order of the operations that one list could
// have gone through. Two facts make the search short, and both are exact:
//
//   - an append of unknown outcome that nobody ever saw can be put last, where
//     it contradicts nothing, so it is left out;
//   - one that was seen happened before whoever saw it was answered.
func linearizable(ops []Op, patience time.Duration) porcupine.CheckResult {
	seen := map[int]time.Duration{} // when a value had been seen at the latest
	for _, op := range ops {
		if op.Outcome != OK {
			continue
		}
		for _, v := range op.List {
			if at, ok := seen[v]; !ok || op.Return < at {
				seen[v] = op.Return
			}
		}
	}
	var history []porcupine.Operation
	for _, op := range ops {
		in, end := step{value: op.Value}, int64(math.MaxInt64)
		switch op.Outcome {
		case Failed:
			continue
		case Unknown:
			at, ok := seen[op.Value]
			if op.Value == 0 || !ok {
				continue
			}
			end = int64(max(at, op.Call))
		case OK:
			in.known, in.after, end = true, summarize(op.List), int64(op.Return)
		}
		history = append(history, porcupine.Operation{ClientId: op.Client, Input: in, Call: int64(op.Call), Return: end})
	}
	return porcupine.CheckOperationsTimeout(model, history, patience)
}

// contradiction gives two answers that cannot both be true, for people.
func contradiction(ops []Op) string {
	var told []Op
	for _, op := range ops {
		if op.Outcome == OK {
			told = append(told, op)
		}
	}
	slices.SortFunc(told, func(a, b Op) int {
		return cmp.Or(cmp.Compare(len(a.List), len(b.List)), cmp.Compare(a.Return, b.Return))
	})
	for i, a := range told {
		for _, b := range told[i+1:] {
			switch {
			case !slices.Equal(a.List, b.List[:len(a.List)]):
				return fmt.Sprintf("%s and %s: the lists part", a.word(), b.word())
			case b.Return < a.Call && len(b.List) > len(a.List):
				return fmt.Sprintf("%s after %s: a stale answer", a.word(), b.word())
			case len(a.List) == len(b.List) && a.Value != 0 && b.Value != 0:
				return fmt.Sprintf("%s and %s: two appends with one place", a.word(), b.word())
			}
		}
	}
	return fmt.Sprintf("no two of %d answers contradict each other; no order fits them all", len(told))
}

// word is an answer as people read it: what, when, from whom, and the end of the list.
func (o Op) word() string {
	what := "read"
	if o.Value != 0 {
		what = fmt.Sprintf("append %d", o.Value)
	}
	end := o.List
	if len(end) > 6 {
		end = end[len(end)-6:]
	}
	return fmt.Sprintf("%s [%v–%v via %s] = %d values …%v", what, o.Call.Round(time.Millisecond), o.Return.Round(time.Millisecond), o.Via, len(o.List), end)
}
