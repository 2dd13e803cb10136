package xds

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/skewgate/skewgate/gateway/routing"
)

// held is what a client has accepted: resources, as read, and their versions.
// It outlives streams. A response is tried on a copy, which replaces held only
// when all of it is right.
type held struct {
	clusters map[string]bool // by name; true where the endpoints come by EDS
	routes   map[string]bool // which of RouteName and MatrixName are here
	parts    parts
	versions map[string]map[string]string // type → name → version
	answered bool                         // CDS has answered, if only that there are none
	table    *routing.Table               // nil until every part has come once
}

func newHeld() *held {
	return &held{
		clusters: map[string]bool{},
		routes:   map[string]bool{},
		parts:    parts{hosts: map[string][]routing.Host{}},
		versions: map[string]map[string]string{TypeCluster: {}, TypeEndpoint: {}, TypeRoute: {}},
	}
}

// edsClusters names the clusters whose endpoints come by EDS, sorted.
func (h *held) edsClusters() []string {
	var out []string
	for name, eds := range h.clusters {
		if eds {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// complete says that there is enough for a Table: the routes, the matrix, and
// the endpoints of every cluster. early leaves endpoints out that control does
// not have (it never answers for those).
func (h *held) complete(early bool) bool {
	if !h.answered || !h.routes[RouteName] || !h.routes[MatrixName] {
		return false
	}
	for name, eds := range h.clusters {
		if _, here := h.versions[TypeEndpoint][name]; eds && !early && !here {
			return false
		}
	}
	return true
}

// build makes a Table: what reads well may still contradict itself.
func (h *held) build() (*routing.Table, error) {
	t, err := routing.NewTable(h.parts.spec(slices.Collect(maps.Keys(h.clusters))))
	if err != nil {
		return nil, fmt.Errorf("build table: %w", err)
	}
	return t, nil
}

// with tries a response: the held that would be, or every reason against it.
func (h *held) with(resp *discoveryv3.DeltaDiscoveryResponse) (*held, error) {
	typeURL := resp.GetTypeUrl()
	versions, ok := h.versions[typeURL]
	if !ok {
		return nil, fmt.Errorf("type %s was not asked for", typeURL)
	}
	next := *h
	next.clusters, next.routes, next.parts.hosts = maps.Clone(h.clusters), maps.Clone(h.routes), maps.Clone(h.parts.hosts)
	next.versions, versions = maps.Clone(h.versions), maps.Clone(versions)
	next.versions[typeURL] = versions
	next.answered = h.answered || typeURL == TypeCluster
	var errs []error
	for _, res := range resp.GetResources() {
		if err := next.put(typeURL, res.GetName(), res.GetResource()); err != nil {
			errs = append(errs, err)
			continue
		}
		versions[res.GetName()] = res.GetVersion()
	}
	for _, name := range resp.GetRemovedResources() {
		next.remove(typeURL, name)
		delete(versions, name)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &next, nil
}

// put reads one resource.
func (h *held) put(typeURL, name string, a *anypb.Any) error {
	var errs []error
	switch typeURL {
	case TypeCluster:
		c := &clusterv3.Cluster{}
		if err := unpack(a, c, name, c.GetName); err != nil {
			return err
		}
		h.clusters[name] = c.GetEdsClusterConfig() != nil
	case TypeEndpoint:
		e := &endpointv3.ClusterLoadAssignment{}
		if err := unpack(a, e, name, e.GetClusterName); err != nil {
			return err
		}
		h.parts.hosts[name] = readEndpoints(e, &errs)
	case TypeRoute:
		r := &routev3.RouteConfiguration{}
		if err := unpack(a, r, name, r.GetName); err != nil {
			return err
		}
		switch name {
		case RouteName:
			h.parts.routes = readRoutes(r, &errs)
		case MatrixName:
			h.parts.matrix = readMatrix(r, &errs)
		}
		h.routes[name] = true
	}
	return errors.Join(errs...)
}

// unpack reads a message, holds it against its own constraints, and against
// the name by which it came.
func unpack(a *anypb.Any, m interface {
	proto.Message
	ValidateAll() error
}, name string, own func() string) error {
	err := a.UnmarshalTo(m)
	if err == nil {
		err = m.ValidateAll()
	}
	if err == nil && own() != name {
		err = fmt.Errorf("names itself %q", own())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", m.ProtoReflect().Descriptor().Name(), name, err)
	}
	return nil
}

func (h *held) remove(typeURL, name string) {
	switch typeURL {
	case TypeCluster:
		delete(h.clusters, name) // its endpoints are dropped with the subscription
	case TypeEndpoint:
		delete(h.parts.hosts, name)
	case TypeRoute:
		// A mesh always has routes and a matrix: what was last said stays.
	}
}

// forget drops endpoints that are no longer subscribed to.
func (h *held) forget(names []string) {
	for _, name := range names {
		delete(h.parts.hosts, name)
		delete(h.versions[TypeEndpoint], name)
	}
}
