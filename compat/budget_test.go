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
