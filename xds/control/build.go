package control

import (
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/xds"
)

// resources of one type by name.
type resources map[string]types.Resource

// built is one state of the mesh for every role.
type built struct {
	spec      routing.Spec
	endpoints resources // of all roles
	standard  role      // gateways, grpc clients, Envoys that balance for themselves
	picker    role      // Envoys whose hosts are picked for them
}

// role is what differs between kinds of clients.
type role struct {
	clusters, routes, listeners resources
}

// build makes the resources of a state; it is pure.
func build(s routing.Spec) built {
	r := xds.Encode(s)
	b := built{
		spec:      s,
		endpoints: toResources(r.Endpoints),
		standard:  role{clusters: toResources(r.Clusters), routes: toResources(r.Routes), listeners: grpcListeners(s)},
		picker:    role{clusters: resources{}, routes: resources{}, listeners: resources{}},
	}
	for _, app := range objectApps(s) {
		name := xds.AppClusterName(app)
		b.picker.clusters[name] = lockedCluster(name)
		b.endpoints[name] = xds.Endpoints(name, hostsOf(s, app))
	}
	for name, c := range r.Clusters {
		if c.GetEdsClusterConfig() == nil {
			b.picker.clusters[name] = c // observed classes need no pick
		}
	}
	b.picker.routes[xds.RouteName] = pickerRoutes(s)
	return b
}

func toResources[M types.Resource](in map[string]M) resources {
	out := resources{}
	for name, m := range in {
		out[name] = m
	}
	return out
}

// objectApps lists the apps whose objects are pinned.
func objectApps(s routing.Spec) []string {
	seen := map[string]bool{}
	for _, c := range s.Classes {
		if c.Mode != routing.ModeObserve {
			seen[c.App] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func hostsOf(s routing.Spec, app string) []routing.Host {
	var out []routing.Host
	for _, h := range s.Hosts {
		if h.App == app {
			out = append(out, h)
		}
	}
	return out
}
