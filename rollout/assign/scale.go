package assign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors of Scale.
var (
	ErrNotDeployed = errors.New("the version is not in the deployment")
	ErrBadPercent  = errors.New("a share must be between 0 and 100 percent")
	ErrNobodyElse  = errors.New("no other version has a weight to give the rest to")
)

// Scale gives version to a share of percent and leaves the proportions between
// the others as they are. Only the weight of to changes (but at 100, where the
// others become 0), bit by bit, so objects move only into it when its share
// grows and only out of it when it falls. The result is in the order of
// versions, which is not changed.
//
// From 100 there is no way back by Scale: what the others had is gone. Keep
// the deployment that a rollout began with and scale that.
func Scale(versions []Version, to string, percent float64) ([]Version, error) {
	if !(percent >= 0 && percent <= 100) {
		return nil, fmt.Errorf("%w, not %v", ErrBadPercent, percent)
	}
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Name == to })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotDeployed, to)
	}
	out := slices.Clone(versions)
	if percent == 100 {
		for j := range out {
			out[j].Weight = 0
		}
		out[i].Weight = 100
		return out, nil
	}
	others := sum(versions, to)
	if others == 0 {
		return nil, fmt.Errorf("%w: %s cannot have %v %%", ErrNobodyElse, to, percent)
	}
	out[i].Weight = percent / (100 - percent) * others
	return out, nil
}

// Object names one object.
type Object struct{ Class, ID string }

// Move says how many objects go from one version to another. An empty From or
// To means that no version was, or is, to be had.
type Move struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
}

// Moves says where the objects of sample would go if old were replaced by new.
// Objects that stay are not counted. The result is ordered by From, then To.
func Moves(old, new []Version, sample []Object) []Move {
	counts := map[[2]string]int{}
	for _, o := range sample {
		from, _ := Assign(old, o.Class, o.ID) // an error is "no version": the empty name
		to, _ := Assign(new, o.Class, o.ID)
		if from != to {
			counts[[2]string{from, to}]++
		}
	}
	moves := make([]Move, 0, len(counts))
	for k, n := range counts {
		moves = append(moves, Move{From: k[0], To: k[1], Count: n})
	}
	slices.SortFunc(moves, func(a, b Move) int {
		if c := strings.Compare(a.From, b.From); c != 0 {
			return c
		}
		return strings.Compare(a.To, b.To)
	})
	return moves
}
