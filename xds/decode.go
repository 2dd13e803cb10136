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
	var spec routing.Spec
	var errs []error
	for _, name := range []string{RouteName, MatrixName} {
		rc, ok := r.Routes[name]
		if !ok {
			errs = append(errs, fmt.Errorf("RDS %s: is missing", name))
			continue
		}
		readRoutes(rc, &spec, &errs)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Clusters)) {
		if cla, ok := r.Endpoints[name]; ok {
			spec.Hosts = append(spec.Hosts, readEndpoints(cla, &errs)...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return routing.Spec{}, err
	}
	sortHosts(spec.Hosts)
	return spec, nil
}

// NewTable decodes and builds in one step: a Spec that reads well may still
// contradict itself.
func NewTable(r Resources) (*routing.Table, error) {
	spec, err := Decode(r)
	if err != nil {
		return nil, err
	}
	t, err := routing.NewTable(spec)
	if err != nil {
		return nil, fmt.Errorf("build table: %w", err)
	}
	return t, nil
}
