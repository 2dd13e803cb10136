package xds

import (
	"fmt"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/skewgate/skewgate/gateway/routing"
)

// One cluster of a mesh of 1,000 hosts changes: what a gateway does until it
// has the new table.
func BenchmarkOneClusterChanges(b *testing.B) {
	var s routing.Spec
	for a := range 20 {
		app := fmt.Sprint("app-", a)
		s.Classes = append(s.Classes, routing.Class{Name: app, App: app, Mode: routing.ModeOwn, Routes: []string{"/" + app + "/{id}/**"}})
		for h := range 50 {
			s.Hosts = append(s.Hosts, routing.Host{Session: fmt.Sprintf("%s/%d", app, h), Addr: fmt.Sprintf("10.0.%d.%d:9001", a, h), App: app, Version: fmt.Sprint("v", h%5), Classes: []string{app}, Ready: true})
		}
	}
	r := Encode(s)
	h := newHeld()
	take := func(resp *discoveryv3.DeltaDiscoveryResponse) {
		next, err := h.with(resp)
		if err != nil {
			b.Fatal(err)
		}
		h = next
	}
	all := func(typeURL string) *discoveryv3.DeltaDiscoveryResponse {
		return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL}
	}
	cds, eds, rds := all(TypeCluster), all(TypeEndpoint), all(TypeRoute)
	pack := func(a *anypb.Any, err error) *anypb.Any {
		if err != nil {
			b.Fatal(err)
		}
		return a
	}
	for n, m := range r.Clusters {
		cds.Resources = append(cds.Resources, &discoveryv3.Resource{Name: n, Resource: pack(anypb.New(m))})
	}
	for n, m := range r.Endpoints {
		eds.Resources = append(eds.Resources, &discoveryv3.Resource{Name: n, Resource: pack(anypb.New(m))})
	}
	for n, m := range r.Routes {
		rds.Resources = append(rds.Resources, &discoveryv3.Resource{Name: n, Resource: pack(anypb.New(m))})
	}
	take(cds)
	take(eds)
	take(rds)
	one := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: TypeEndpoint, Resources: eds.Resources[:1]}
	for b.Loop() {
		take(one)
		if _, err := h.build(); err != nil {
			b.Fatal(err)
		}
	}
}
