package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/skewgate/skewgate/gateway/routing"
)

// place is what makes a cluster.
type place struct{ app, version, preview string }

// Encode turns a Spec into resources; Decode gives it back. It is pure and
// deterministic: two controls that know the same encode the same.
// Every deployed version has a cluster, with or without hosts, so that no
// route names one that does not exist.
func Encode(s routing.Spec) Resources {
	hosts := map[place][]routing.Host{}
	for _, a := range s.Apps {
		for _, w := range a.Deployment {
			hosts[place{a.Name, w.Version, ""}] = nil
		}
	}
	for _, h := range s.Hosts {
		p := place{h.App, h.Version, h.Preview}
		hosts[p] = append(hosts[p], h)
	}
	r := Resources{
		Clusters:  map[string]*clusterv3.Cluster{},
		Endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
		Routes: map[string]*routev3.RouteConfiguration{
			RouteName:  Routes(s, standardRoute(s)),
			MatrixName: matrixRoutes(s.Matrix),
		},
	}
	for p, list := range hosts {
		name := ClusterName(p.app, p.version, p.preview)
		r.Clusters[name] = Cluster(p.app, p.version, p.preview)
		r.Endpoints[name] = Endpoints(name, list)
	}
	for _, c := range s.Classes {
		if cluster, ok := observeCluster(c); ok && c.Mode == routing.ModeObserve {
			r.Clusters[cluster.GetName()] = cluster
		}
	}
	return r
}
