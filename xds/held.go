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

// held is what a client has accepted: resources and their versions. It
// outlives streams. A response is tried on a copy, which replaces held only
// when all of it is right.
type held struct {
	resources Resources
	versions  map[string]map[string]string // type → name → version
	clusters  bool                         // CDS has answered, if only that there are none
	table     *routing.Table               // nil until every part has come once
}

func newHeld() *held {
	return &held{
		resources: Resources{
			Clusters:  map[string]*clusterv3.Cluster{},
			Endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
			Routes:    map[string]*routev3.RouteConfiguration{},
		},
		versions: map[string]map[string]string{TypeCluster: {}, TypeEndpoint: {}, TypeRoute: {}},
	}
}

// edsClusters names the clusters whose endpoints come by EDS, sorted.
func (h *held) edsClusters() []string {
	var out []string
	for name, c := range h.resources.Clusters {
		if c.GetEdsClusterConfig() != nil {
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
	if !h.clusters || h.resources.Routes[RouteName] == nil || h.resources.Routes[MatrixName] == nil {
		return false
	}
	for _, name := range h.edsClusters() {
		if !early && h.resources.Endpoints[name] == nil {
			return false
		}
	}
	return true
}

// with tries a response: the held that would be, or every reason against it.
func (h *held) with(resp *discoveryv3.DeltaDiscoveryResponse) (*held, error) {
	next := &held{
		resources: Resources{
			Clusters:  maps.Clone(h.resources.Clusters),
			Endpoints: maps.Clone(h.resources.Endpoints),
			Routes:    maps.Clone(h.resources.Routes),
		},
		versions: maps.Clone(h.versions),
		clusters: h.clusters || resp.GetTypeUrl() == TypeCluster,
		table:    h.table,
	}
	versions, ok := h.versions[resp.GetTypeUrl()]
	if !ok {
		return nil, fmt.Errorf("type %s was not asked for", resp.GetTypeUrl())
	}
	versions = maps.Clone(versions)
	next.versions[resp.GetTypeUrl()] = versions
	var errs []error
	for _, res := range resp.GetResources() {
		if err := next.put(resp.GetTypeUrl(), res.GetName(), res.GetResource()); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", ShortType(resp.GetTypeUrl()), res.GetName(), err))
			continue
		}
		versions[res.GetName()] = res.GetVersion()
	}
	for _, name := range resp.GetRemovedResources() {
		next.remove(resp.GetTypeUrl(), name)
		delete(versions, name)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return next, nil
}

// put unpacks one resource.
func (h *held) put(typeURL, name string, a *anypb.Any) error {
	var m interface {
		proto.Message
		ValidateAll() error
	}
	var own string // the name inside must be the name outside
	switch typeURL {
	case TypeCluster:
		c := &clusterv3.Cluster{}
		m, h.resources.Clusters[name] = c, c
	case TypeEndpoint:
		e := &endpointv3.ClusterLoadAssignment{}
		m, h.resources.Endpoints[name] = e, e
	case TypeRoute:
		r := &routev3.RouteConfiguration{}
		m, h.resources.Routes[name] = r, r
	default:
		return errors.New("unknown type")
	}
	if err := a.UnmarshalTo(m); err != nil {
		return err
	}
	if err := m.ValidateAll(); err != nil {
		return err
	}
	switch typeURL {
	case TypeCluster:
		own = h.resources.Clusters[name].GetName()
	case TypeEndpoint:
		own = h.resources.Endpoints[name].GetClusterName()
	case TypeRoute:
		own = h.resources.Routes[name].GetName()
	}
	if own != name {
		return fmt.Errorf("names itself %q", own)
	}
	return nil
}

func (h *held) remove(typeURL, name string) {
	switch typeURL {
	case TypeCluster:
		delete(h.resources.Clusters, name)
		// Its endpoints are dropped with the subscription.
	case TypeEndpoint:
		delete(h.resources.Endpoints, name)
	case TypeRoute:
		delete(h.resources.Routes, name)
	}
}

// forget drops endpoints that are no longer subscribed to.
func (h *held) forget(names []string) {
	for _, name := range names {
		delete(h.resources.Endpoints, name)
		delete(h.versions[TypeEndpoint], name)
	}
}
