package gateway

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
)

// The mover releases an object whose host runs another version than it wants;
// the gateway that acquires it next must want the same, whatever the client
// sends along, or the two would move it to and fro.
func TestGatewayAndMoverWantTheSameVersion(t *testing.T) {
	names := []string{"v1", "v2", "v3"}
	rapid.Check(t, func(t *rapid.T) {
		class := cartClass
		class.StrictVersion = rapid.Bool().Draw(t, "strict")
		spec := routing.Spec{Classes: []routing.Class{class}, Apps: []routing.App{{Name: "shop"}}}
		place := rollout.Placement{Class: class, Hosts: map[string]int{}, Matrix: &skew.Matrix{Class: "Cart"}}
		for _, v := range names {
			if w := rapid.IntRange(0, 4).Draw(t, "weight of "+v); w > 0 {
				spec.Apps[0].Deployment = append(spec.Apps[0].Deployment, routing.Weighted{Version: v, Weight: float64(w), Salt: v})
				place.Deployment = append(place.Deployment, assign.Version{Name: v, Weight: float64(w), Salt: v})
			}
			if rapid.Bool().Draw(t, v+" has a host") {
				spec.Hosts = append(spec.Hosts, ready(v, "h"))
				place.Hosts[v] = 1
			}
			for _, r := range names {
				if r != v && rapid.Bool().Draw(t, r+" cannot read "+v) {
					place.Matrix.State = append(place.Matrix.State, skew.StateCell{Writer: v, Reader: r, Verdict: skew.Fail, Rule: "R"})
				}
			}
		}
		if len(place.Deployment) == 0 {
			t.Skip("follow: the mover has nothing to do")
		}
		spec.State = skew.Matrices{"Cart": place.Matrix}.Routing().State
		table, err := routing.NewTable(spec)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint(rapid.IntRange(0, 1000).Draw(t, "id"))
		last := rapid.SampledFrom(append(names, "")).Draw(t, "last")
		d, err := decide(newSnapshot(table, table), Request{Class: &class, VersionKey: "of a client"}, owners.Key{Class: "Cart", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		want := place.Desired(id, last)
		got := ""
		if vs, err := d.versions(last); err == nil {
			got = vs[0]
		}
		if got != want {
			t.Fatalf("the gateway wants %q, the mover %q", got, want)
		}
	})
}

// While the only host of v2 is away, an object that v2 stored waits for it: v1
// cannot read it. With nothing known against v1, v1 stands in.
func TestNoStandInThatCannotReadTheState(t *testing.T) {
	for name, state := range map[string][]routing.Unreadable{
		"v1": nil,
		"":   {{Class: "Cart", Writer: "v2", Reader: "v1", Rule: "FIELD_INT_RANGE_CHANGED"}},
	} {
		spec := fleet(t, map[string]float64{"v1": 1e-9, "v2": 1e9}, ready("v1", "a")).table.Spec()
		spec.State = state
		table, err := routing.NewTable(spec)
		if err != nil {
			t.Fatal(err)
		}
		d := decision{snap: newSnapshot(table, table), class: &cartClass, key: owners.Key{Class: "Cart", ID: "1"}, by: "1"}
		vs, err := d.versions("v2")
		if name != "" && (err != nil || vs[0] != name) {
			t.Errorf("nothing known: %v, %v", vs, err)
		}
		if name == "" {
			if err == nil {
				t.Fatalf("%v took an object whose state it cannot read", vs)
			}
			const want = "no version has a ready host: the object waits for a host of [v2], and v1 cannot stand in: it cannot read the state that v2 stored (FIELD_INT_RANGE_CHANGED)"
			if err.Error() != want {
				t.Errorf("says %q", err)
			}
		}
	}
}
