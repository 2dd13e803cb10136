package assign

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The truth table of Choice.Assigned. Weights make v1 rank first, or v2.
func TestChoice(t *testing.T) {
	v1First := []Version{{Name: "v1", Salt: "a", Weight: 1e9}, {Name: "v2", Salt: "b", Weight: 1e-9}}
	v2First := []Version{{Name: "v1", Salt: "a", Weight: 1e-9}, {Name: "v2", Salt: "b", Weight: 1e9}}
	v1Only := []Version{{Name: "v1", Salt: "a", Weight: 1}}
	oneWay := func(w, r string) bool { return !(w == "v2" && r == "v1") } // v1 cannot read what v2 stored
	never := func(w, r string) bool { return w == r }
	for name, tc := range map[string]struct {
		deployed []Version
		last     string
		reads    func(w, r string) bool
		strict   bool
		want     []string
	}{
		"nothing known":   {v2First, "v1", nil, false, []string{"v2", "v1"}},
		"forward is safe": {v2First, "v1", oneWay, false, []string{"v2", "v1"}},
		"the assigned one reads, the other may not": {v2First, "v2", oneWay, false, []string{"v2"}},
		"assigned back while both are deployed":     {v1First, "v2", oneWay, false, []string{"v2"}},
		"back is what somebody decided":             {v1Only, "v2", oneWay, false, []string{"v1"}},
		"nobody knows who stored it: no way back":   {v2First, "", oneWay, false, []string{"v2"}},
		"nobody knows: forward is safe":             {v1First, "", oneWay, false, []string{"v1", "v2"}},
		"strict":                                    {v2First, "v1", nil, true, []string{"v2"}},
		"strict, assigned back":                     {v1First, "v2", oneWay, true, []string{"v2"}},
		"nobody reads anybody":                      {v2First, "v9", never, false, []string{"v2"}},
		"nothing deployed":                          {nil, "v1", oneWay, true, nil},
	} {
		c := Choice{Versions: tc.deployed, Class: "Cart", ID: "1", Last: tc.last, Reads: tc.reads, Strict: tc.strict}
		if got := c.Assigned(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// Whatever the matrix says: what is chosen may run the object, and moves come to an end.
func TestChoiceNeverCrossesAKnownBorder(t *testing.T) {
	names := []string{"v1", "v2", "v3"}
	rapid.Check(t, func(t *rapid.T) {
		bad := map[[2]string]bool{}
		for _, w := range names {
			for _, r := range names {
				if w != r && rapid.Bool().Draw(t, w+r) {
					bad[[2]string{w, r}] = true
				}
			}
		}
		var vs []Version
		for _, n := range names {
			vs = append(vs, Version{Name: n, Salt: n, Weight: float64(rapid.IntRange(1, 5).Draw(t, n))})
		}
		up := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "up")
		c := Choice{
			Versions: vs, Class: "Cart", ID: rapid.String().Draw(t, "id"), Last: rapid.SampledFrom(names).Draw(t, "last"),
			Ready: func(v string) bool { return slices.Contains(up, v) },
			Reads: func(w, r string) bool { return !bad[[2]string{w, r}] },
		}
		now := c.Now()
		for _, v := range now {
			if bad[[2]string{c.Last, v}] || !slices.Contains(up, v) {
				t.Fatalf("%v of %+v", now, c)
			}
		}
		for range names { // each move is to one that ranks higher, so it ends
			if now = c.Now(); len(now) == 0 || now[0] == c.Last {
				return
			}
			c.Last = now[0]
		}
		if now = c.Now(); now[0] != c.Last {
			t.Fatalf("does not come to rest: %s, then %v", c.Last, now)
		}
	})
}
