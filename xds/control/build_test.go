package control

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/xds"
)

// intents draws small meshes over few names, so that steps repeat, change and
// take back.
func intents(t *rapid.T) Intent {
	i := Intent{Deployments: map[string][]routing.Weighted{}}
	for n := range rapid.IntRange(1, 3).Draw(t, "classes") {
		c := routing.Class{Name: fmt.Sprint("C", n), App: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app"), Mode: routing.ModeOwn,
			Routes: []string{fmt.Sprintf("/c%d/{id}", n)}, Services: []string{fmt.Sprint("s.S", n)}}
		if rapid.Bool().Draw(t, "observe") {
			c.Mode, c.Upstream = routing.ModeObserve, rapid.SampledFrom([]string{"x:1", "y:2"}).Draw(t, "upstream")
		}
		i.Classes = append(i.Classes, c)
	}
	for n := range rapid.IntRange(0, 5).Draw(t, "sessions") {
		i.Sessions = append(i.Sessions, owners.Session{
			ID: fmt.Sprint("s", n), Addr: rapid.SampledFrom([]string{"10.0.0.1:1", "10.0.0.2:1", "h:1"}).Draw(t, "addr"),
			App: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app"), Version: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version"),
			Preview: rapid.SampledFrom([]string{"", "", "p"}).Draw(t, "preview"), Classes: []string{"C0"},
			State: rapid.SampledFrom([]owners.SessionState{owners.Live, owners.Draining, owners.Dead}).Draw(t, "state"), Ready: rapid.Bool().Draw(t, "ready"),
		})
	}
	if rapid.Bool().Draw(t, "deployed") {
		i.Deployments["a"] = []routing.Weighted{{Version: "1", Weight: rapid.Float64Range(0, 10).Draw(t, "w1")}, {Version: "2", Weight: 1, Salt: "x"}}
	}
	if rapid.Bool().Draw(t, "matrix") {
		i.Matrix.Calls = []routing.Incompatible{{Class: "C0", Caller: "w@1", Object: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "object")}}
	}
	return i
}

func sets(b *built) map[string]resources {
	return map[string]resources{"eds": b.endpoints, "cds": b.standard.clusters, "rds": b.standard.routes, "lds": b.standard.listeners,
		"picker cds": b.picker.clusters, "picker rds": b.picker.routes}
}

// What a state is built to does not depend on the states before it, and
// gateways get what xds.Encode says.
func TestBuildDoesNotDependOnTheStateBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var last *built
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			spec, left := intents(t).Spec()
			if len(left) > 0 {
				t.Fatal(left)
			}
			fresh, err := build(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			next, err := build(spec, last)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range sets(fresh) {
				if !want.equal(sets(next)[name]) {
					t.Fatalf("%s differs after another state", name)
				}
			}
			last = next

			r := xds.Encode(spec)
			agree(t, r.Clusters, next.standard.clusters)
			agree(t, r.Routes, next.standard.routes)
			for name, m := range r.Endpoints {
				if !proto.Equal(m, next.endpoints[name].message) {
					t.Fatalf("EDS %s is not what Encode says", name)
				}
			}
		}
	})
}

func agree[M proto.Message](t *rapid.T, want map[string]M, got resources) {
	if len(want) != len(got) {
		t.Fatalf("%d resources, want %d", len(got), len(want))
	}
	for name, m := range want {
		if !proto.Equal(m, got[name].message) {
			t.Fatalf("%s is not what Encode says", name)
		}
	}
}
