package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/skewgate/skewgate/gateway/routing"
)

// Place is what makes a cluster: a version of an app, or a preview of it.
type Place struct{ App, Version, Preview string }

// Cluster names the place's cluster.
func (p Place) Cluster() string { return ClusterName(p.App, p.Version, p.Preview) }

// Places sorts hosts by cluster. Every deployed version is there, with or
// without hosts, so that no route names a cluster that does not exist.
func Places(s routing.Spec) map[Place][]routing.Host {
	hosts := map[Place][]routing.Host{}
	for _, a := range s.Apps {
		for _, w := range a.Deployment {
			hosts[Place{a.Name, w.Version, ""}] = nil
		}
	}
	for _, h := range s.Hosts {
		p := Place{h.App, h.Version, h.Preview}
		hosts[p] = append(hosts[p], h)
	}
	return hosts
}

// Encode turns a Spec into resources; Decode gives it back. It is pure and
// deterministic: two controls that know the same encode the same.
func Encode(s routing.Spec) Resources {
	r := Resources{
		Clusters:  map[string]*clusterv3.Cluster{},
		Endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
		Routes: map[string]*routev3.RouteConfiguration{
			RouteName:  StandardRoutes(s),
			MatrixName: MatrixRoutes(routing.Matrix{Calls: s.Matrix, State: s.State}),
		},
	}
	for p, list := range Places(s) {
		name := p.Cluster()
		r.Clusters[name] = Cluster(p.App, p.Version, p.Preview)
		r.Endpoints[name] = Endpoints(name, list)
	}
	for _, c := range s.Classes {
		if cluster, ok := ObserveCluster(c); ok {
			r.Clusters[cluster.GetName()] = cluster
		}
	}
	return r
}
