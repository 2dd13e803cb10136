package compat

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/schema"
)

// TestBudgetEndsACheck: where the work that a check may do is used up it ends
// with an error that names what was compared, not with fewer findings.
func TestBudgetEndsACheck(t *testing.T) {
	load := func(kind string) *version {
		text := "syntax = \"proto3\"; package a; service S { rpc A(M) returns (M); } message M {"
		for i := range 100 {
			text += fmt.Sprintf("%s f%d = %d;", kind, i, i+1)
		}
		set, err := schema.Load(context.Background(), schema.Sources(map[string]string{"a.proto": text + "}"}), schema.Options{Name: kind})
		if err != nil {
			t.Fatal(err)
		}
		return &version{Version: Version{Name: kind, Set: set, Worker: true, Object: true}, universe: universeOf(set)}
	}
	versions := []*version{load("int32"), load("int64")}
	for _, x := range []struct {
		limit int
		over  bool
	}{{maxWork, false}, {50, true}, {500, true}} { // in finding what differs; in proving it
		k := &check{versions: versions, grids: make(map[*class]*grid), judge: newJudge(versions, nil)}
		k.judge.budget.limit = x.limit
		c := newClass("a.S")
		c.services = append(c.services, "a.S")
		c.everyone(versions, Options{})
		journeys := k.judge.journeys(c, []Encoding{Binary})
		k.judge.markDirty()
		hits := 0
		for _, way := range journeys {
			hits += len(k.judge.hits(way))
		}
		err := k.judge.budget.err()
		if (err != nil) != x.over || x.over && (!strings.Contains(err.Error(), "a.M") || !strings.Contains(err.Error(), "--class")) {
			t.Errorf("limit %d: %v", x.limit, err)
		}
		if !x.over && hits == 0 {
			t.Error("no hits within the limit")
		}
	}
}

// TestWorkGrowsWithTheSchema: on schemas made to be slow, twice the size takes
// about twice the steps where work is per enum or oneof, and a lowered limit
// refuses them with the name of what was compared.
func TestWorkGrowsWithTheSchema(t *testing.T) {
	const head = "syntax = \"proto3\"; package a; service S { rpc A(M) returns (M); } "
	enum := func(n int, name string, at func(i int) int, alias string) string {
		text := head + "message M { E f = 1; repeated E g = 2; } enum E { " + alias
		for i := range n {
			text += fmt.Sprintf("%s%d = %d;", name, i, at(i))
		}
		return text + "}"
	}
	oneof := func(n, from int) string {
		text := head + "message M { oneof o { "
		for i := from; i < n; i++ {
			text += fmt.Sprintf("int32 f%d = %d;", i, i+1)
		}
		return text + "} }"
	}
	for name, x := range map[string]struct {
		sides  func(n int) (string, string)
		growth float64
	}{
		"renumbered": {func(n int) (string, string) {
			return enum(n, "V", func(i int) int { return i }, ""), enum(n, "V", func(i int) int { return (n - i) % n }, "")
		}, 2.3},
		"aliases": {func(n int) (string, string) {
			alias := "option allow_alias = true;"
			return enum(n, "V", func(i int) int { return i % 2 }, alias), enum(n, "W", func(i int) int { return i % 2 }, alias)
		}, 2.3},
		"members gone": {func(n int) (string, string) { return oneof(n, 0), oneof(n, n-2) }, 4.6}, // each proof sends the whole message
	} {
		spent := func(n, limit int) (int, error) {
			older, newer := x.sides(n)
			return work(t, limit, older, newer)
		}
		small, err := spent(200, maxWork)
		if err != nil {
			t.Fatal(name, err)
		}
		large, err := spent(400, maxWork)
		if err != nil {
			t.Fatal(name, err)
		}
		if growth := float64(large) / float64(small); growth > x.growth || small == 0 {
			t.Errorf("%s: %d steps, twice the size %d", name, small, large)
		}
		if _, err := spent(200, small/2); err == nil || !strings.Contains(err.Error(), "a.") {
			t.Errorf("%s: half of its steps are enough: %v", name, err)
		}
	}
}

// work checks one service in binary and gives the steps that it took.
func work(t *testing.T, limit int, sources ...string) (int, error) {
	t.Helper()
	var versions []*version
	for i, text := range sources {
		set, err := schema.Load(context.Background(), schema.Sources(map[string]string{"a.proto": text}), schema.Options{Name: fmt.Sprint("v", i)})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, &version{Version: Version{Name: set.Name, Set: set, Worker: true, Object: true}, universe: universeOf(set)})
	}
	j := newJudge(versions, nil)
	j.budget.limit = limit
	c := newClass("a.S")
	c.services = append(c.services, "a.S")
	c.everyone(versions, Options{})
	journeys := j.journeys(c, []Encoding{Binary})
	j.markDirty()
	for _, way := range journeys {
		j.hits(way)
	}
	return j.budget.spent, j.budget.err()
}
