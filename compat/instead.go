package compat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/problem"
	"github.com/skewgate/skewgate/schema"
)

// shown is how many names a hint gives.
const shown = 3

// names are those that any version has.
func names(versions []*version, of func(*schema.Set) []string) []string {
	var all []string
	for _, v := range versions {
		all = append(all, of(v.Set)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// instead says what there is in place of a name that is not there: what was
// probably meant, else the first of what is known.
func instead(kind, name string, known []string) string {
	if near := meant(name, known); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	switch n := len(known); {
	case n == 0:
		return "no version has any " + kind
	case n <= shown:
		return fmt.Sprintf("%ss there are: %s", kind, strings.Join(known, ", "))
	default:
		return fmt.Sprintf("%ss there are: %s and %d more", kind, strings.Join(known[:shown], ", "), n-shown)
	}
}

// meant are at most a few names that a name was probably meant to be: the same
// one of another package, then the nearest spelling, then those that contain it, the shortest first.
func meant(name string, known []string) []string {
	bare := func(n string) string { return strings.ToLower(n[strings.LastIndex(n, ".")+1:]) }
	var near []string
	add := func(n string) {
		if n != "" && len(near) < shown && !slices.Contains(near, n) {
			near = append(near, n)
		}
	}
	last := bare(name)
	for _, k := range known {
		if bare(k) == last {
			add(k)
		}
	}
	add(problem.Nearest(name, known))
	for _, k := range slices.SortedStableFunc(slices.Values(known), func(a, b string) int { return len(a) - len(b) }) {
		if len(last) > 2 && strings.Contains(bare(k), last) {
			add(k)
		}
	}
	return near
}
