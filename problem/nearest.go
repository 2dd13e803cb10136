package problem

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest picks the known name that name was probably meant to be, "" when
// none is close: equal but for case and punctuation, or few edits away.
func Nearest(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	best, bestCost := "", 1+max(1, len(name)/3)
	for _, k := range known {
		cost := bestCost
		switch {
		case fold(k) == fold(name):
			cost = 0
		case len(k) <= 64:
			cost = edits(strings.ToLower(name), strings.ToLower(k))
		}
		if cost < bestCost {
			best, bestCost = k, cost
		}
	}
	return best
}

// Suggest words Nearest as a hint: the near name, or all when they are few.
func Suggest(name string, known []string) string {
	if n := Nearest(name, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(known) == 0 || len(known) > 20 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(known))
	return "known here: " + strings.Join(sorted, ", ")
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// edits counts insertions, deletions, substitutions and swaps of neighbours
// (optimal string alignment).
func edits(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
