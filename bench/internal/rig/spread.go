package rig

import (
	"fmt"
	"slices"
	"time"
)

// Spread is the least, the middle and the greatest of a few measurements.
type Spread struct{ Min, Median, Max float64 }

// SpreadOf sorts a copy of v; an empty v gives zeros.
func SpreadOf(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(v))
	mid := s[len(s)/2]
	if len(s)%2 == 0 {
		mid = (s[len(s)/2-1] + mid) / 2
	}
	return Spread{s[0], mid, s[len(s)-1]}
}

// Format prints median (min–max).
func (s Spread) Format(verb string) string {
	return fmt.Sprintf(verb+" ("+verb+"–"+verb+")", s.Median, s.Min, s.Max)
}

// Quantile gives the value below which the share q of all lies; v is sorted by it.
func Quantile(v []time.Duration, q float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}
