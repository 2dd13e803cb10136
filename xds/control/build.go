package control

import (
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/xds"
)

// built is one state of the mesh for every role. It is immutable.
type built struct {
	spec      routing.Spec
	hosts     map[string][]routing.Host // by cluster, of endpoints
	endpoints resources                 // of all roles
	standard  role                      // gateways, grpc clients, Envoys that balance for themselves
	picker    role                      // Envoys whose hosts are picked for them
}

// role is what differs between kinds of clients.
type role struct {
	clusters, routes, listeners resources
}

// build makes the resources of a state and holds that clients will accept it:
// the error has every reason. It is pure; last, an earlier state, only spares
// work: what has not changed is taken over as it is.
func build(s routing.Spec, last *built) (*built, error) {
	if last == nil {
		last = &built{}
	}
	b := &built{
		spec: s, hosts: map[string][]routing.Host{}, endpoints: resources{},
		standard: role{clusters: resources{}, routes: resources{}, listeners: resources{}},
		picker:   role{clusters: resources{}, routes: resources{}, listeners: resources{}},
	}
	var errs []error
	if _, err := routing.NewTable(s); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, b.addHosts(last), b.addRoutes(last))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b, nil
}

// addHosts makes clusters and endpoints: nearly all of them are as they were.
func (b *built) addHosts(last *built) error {
	var errs []error
	keep := func(set resources, name string, old resources, same bool, make func() message) {
		if item, had := old[name]; had && same {
			set[name] = item
			return
		}
		item, err := seal(make())
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		set[name] = item
	}
	endpoints := func(name string, hosts []routing.Host) {
		b.hosts[name] = hosts
		keep(b.endpoints, name, last.endpoints, reflect.DeepEqual(hosts, last.hosts[name]), func() message { return xds.Endpoints(name, hosts) })
	}
	for p, hosts := range xds.Places(b.spec) {
		keep(b.standard.clusters, p.Cluster(), last.standard.clusters, true, func() message { return xds.Cluster(p.App, p.Version, p.Preview) })
		endpoints(p.Cluster(), hosts)
	}
	for app, hosts := range hostsByApp(b.spec) {
		name := xds.AppClusterName(app)
		keep(b.picker.clusters, name, last.picker.clusters, true, func() message { return lockedCluster(name) })
		endpoints(name, hosts)
	}
	for _, c := range b.spec.Classes {
		if cluster, ok := xds.ObserveCluster(c); ok {
			for _, r := range []role{b.standard, b.picker} { // observed classes need no pick
				keep(r.clusters, cluster.GetName(), nil, false, func() message { return cluster })
			}
		}
	}
	return errors.Join(errs...)
}

// addRoutes makes what depends on the configuration.
func (b *built) addRoutes(last *built) error {
	var errs []error
	put := func(set resources, name string, m message) {
		item, err := seal(m)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		set[name] = item
	}
	put(b.standard.routes, xds.RouteName, xds.StandardRoutes(b.spec))
	put(b.picker.routes, xds.RouteName, pickerRoutes(b.spec))
	for name, l := range grpcListeners(b.spec) {
		put(b.standard.listeners, name, l)
	}
	if matrix, had := last.standard.routes[xds.MatrixName]; had && reflect.DeepEqual(b.spec.Matrix, last.spec.Matrix) && reflect.DeepEqual(b.spec.State, last.spec.State) {
		b.standard.routes[xds.MatrixName] = matrix
		return errors.Join(errs...)
	}
	put(b.standard.routes, xds.MatrixName, xds.MatrixRoutes(routing.Matrix{Calls: b.spec.Matrix, State: b.spec.State}))
	return errors.Join(errs...)
}

// hostsByApp lists the hosts of every app whose objects are pinned.
func hostsByApp(s routing.Spec) map[string][]routing.Host {
	out := map[string][]routing.Host{}
	for _, c := range s.Classes {
		if c.Mode != routing.ModeObserve {
			out[c.App] = nil
		}
	}
	for _, h := range s.Hosts {
		if _, pinned := out[h.App]; pinned {
			out[h.App] = append(out[h.App], h)
		}
	}
	return out
}

// sameRoutes says that only hosts differ.
func (b *built) sameRoutes(o *built) bool {
	return o != nil && b.standard.routes.equal(o.standard.routes) && b.standard.listeners.equal(o.standard.listeners) && b.picker.routes.equal(o.picker.routes)
}

func (r resources) equal(o resources) bool {
	return maps.EqualFunc(r, o, func(a, b sealed) bool { return a.sum == b.sum })
}
