package xds

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/skewgate/skewgate/gateway/routing"
)

// Decode reads resources back into a Spec, whole or not at all: the error has
// every reason. Hosts come sorted by app, version and session. EDS resources
// of clusters that r does not have are not looked at: a client may hold them a
// moment longer than their cluster.
func Decode(r Resources) (routing.Spec, error) {
	var errs []error
	var p parts
	for _, name := range []string{RouteName, MatrixName} {
		if r.Routes[name] == nil {
			errs = append(errs, fmt.Errorf("RDS %s: is missing", name))
		}
	}
	if rc := r.Routes[RouteName]; rc != nil {
		p.routes = readRoutes(rc, &errs)
	}
	if rc := r.Routes[MatrixName]; rc != nil {
		p.matrix = readMatrix(rc, &errs)
	}
	p.hosts = map[string][]routing.Host{}
	for _, name := range slices.Sorted(maps.Keys(r.Clusters)) {
		if cla, ok := r.Endpoints[name]; ok {
			p.hosts[name] = readEndpoints(cla, &errs)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return routing.Spec{}, err
	}
	return p.spec(slices.Collect(maps.Keys(r.Clusters))), nil
}

// parts are resources as read, so that a client reads each only once.
type parts struct {
	routes routesPart
	matrix routing.Matrix
	hosts  map[string][]routing.Host // by cluster
}

// spec puts together the hosts of clusters and the rest.
func (p parts) spec(clusters []string) routing.Spec {
	s := routing.Spec{Version: p.routes.version, Classes: p.routes.classes, Apps: p.routes.apps, Matrix: p.matrix.Calls, State: p.matrix.State}
	for _, name := range clusters {
		s.Hosts = append(s.Hosts, p.hosts[name]...)
	}
	sortHosts(s.Hosts)
	return s
}
