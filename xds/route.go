package xds

import (
	"math"
	"net/http"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/gateway/routing"
)

// weightTotal is what the weights of a route add up to, about: a deployment's
// fractions go down to 0.001 %.
const weightTotal = 1_000_000

// Routes makes the RouteConfiguration of a mesh. forClass gives the action of
// a class's routes: it is what differs between gateways and pickers.
func Routes(s routing.Spec, forClass func(routing.Class) *routev3.Route) *routev3.RouteConfiguration {
	f := fields{}
	f.text("version", s.Version)
	var classes, apps []fields
	for _, c := range s.Classes {
		classes = append(classes, classFields(c))
	}
	for _, a := range s.Apps {
		apps = append(apps, appFields(a))
	}
	f.structs("classes", classes)
	f.structs("apps", apps)
	return &routev3.RouteConfiguration{
		Name:             RouteName,
		Metadata:         f.metadata(),
		ValidateClusters: wrapperspb.Bool(false),
		VirtualHosts: []*routev3.VirtualHost{{
			Name:    virtualHosts,
			Domains: []string{"*"},
			Routes:  classRoutes(s.Classes, forClass),
		}},
	}
}

// classRoutes makes a route of each match, in order.
func classRoutes(classes []routing.Class, forClass func(routing.Class) *routev3.Route) []*routev3.Route {
	byName := map[string]routing.Class{}
	for _, c := range classes {
		byName[c.Name] = c
	}
	var out []*routev3.Route
	for _, m := range Matches(classes) {
		f := fields{}
		f.text("class", m.Class)
		r := forClass(byName[m.Class])
		r.Name, r.Metadata = m.Class+" "+m.Route, f.metadata()
		r.Match = &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: m.Pattern}}}
		if m.Service {
			r.Match = &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: m.Pattern}}
		}
		out = append(out, r)
	}
	return out
}

// StandardRoutes are the routes of gateways and of clients that balance for themselves.
func StandardRoutes(s routing.Spec) *routev3.RouteConfiguration { return Routes(s, standardRoute(s)) }

// standardRoute is the action for clients that know no pins: the weights of
// the deployment, at random.
func standardRoute(s routing.Spec) func(routing.Class) *routev3.Route {
	return func(c routing.Class) *routev3.Route {
		if c.Mode == routing.ModeObserve {
			return clusterRoute(ObserveClusterName(c.Name))
		}
		weights := clusterWeights(s, c)
		switch len(weights) {
		case 0:
			return &routev3.Route{Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: http.StatusServiceUnavailable}}}
		case 1:
			return clusterRoute(weights[0].GetName())
		}
		return &routev3.Route{Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			Timeout:          durationpb.New(0),
			ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: &routev3.WeightedCluster{Clusters: weights}},
		}}}
	}
}

// clusterRoute sends to one cluster without a time limit.
func clusterRoute(name string) *routev3.Route {
	return &routev3.Route{Action: &routev3.Route_Route{Route: &routev3.RouteAction{
		Timeout:          durationpb.New(0),
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: name},
	}}}
}

// clusterWeights scales a deployment; an app without one follows: all versions
// with hosts of the class, alike.
func clusterWeights(s routing.Spec, c routing.Class) []*routev3.WeightedCluster_ClusterWeight {
	deployment := []routing.Weighted(nil)
	for _, a := range s.Apps {
		if a.Name == c.App {
			deployment = a.Deployment
		}
	}
	if len(deployment) == 0 {
		for _, v := range liveVersions(s, c) {
			deployment = append(deployment, routing.Weighted{Version: v, Weight: 1})
		}
	}
	total := 0.0
	for _, w := range deployment {
		total += w.Weight
	}
	var out []*routev3.WeightedCluster_ClusterWeight
	for _, w := range deployment {
		if w.Weight > 0 {
			// Dividing first: a sum of large weights may not be finite.
			share := max(1, uint32(math.Round(w.Weight/total*weightTotal)))
			out = append(out, &routev3.WeightedCluster_ClusterWeight{Name: ClusterName(c.App, w.Version, ""), Weight: wrapperspb.UInt32(share)})
		}
	}
	return out
}

func liveVersions(s routing.Spec, c routing.Class) []string {
	var out []string
	for _, h := range s.Hosts {
		if h.App == c.App && h.Preview == "" && slices.Contains(h.Classes, c.Name) && !slices.Contains(out, h.Version) {
			out = append(out, h.Version)
		}
	}
	slices.Sort(out)
	return out
}

// MatrixRoutes carries the matrix in a RouteConfiguration of its own: it is
// large, and changes when schemas do, not with each step of a rollout.
func MatrixRoutes(m routing.Matrix) *routev3.RouteConfiguration {
	var calls, state []fields
	for _, x := range m.Calls {
		calls = append(calls, incompatibleFields(x))
	}
	for _, x := range m.State {
		state = append(state, unreadableFields(x))
	}
	f := fields{}
	f.structs("incompatible", calls)
	f.structs("unreadable", state)
	return &routev3.RouteConfiguration{Name: MatrixName, Metadata: f.metadata()}
}

// routesPart is what a gateway needs of RouteName.
type routesPart struct {
	version string
	classes []routing.Class
	apps    []routing.App
}

func readRoutes(rc *routev3.RouteConfiguration, errs *[]error) (p routesPart) {
	r, ok := routeMetadata(rc, errs)
	if !ok {
		return p
	}
	p.version = r.text("version")
	for _, c := range r.structs("classes") {
		p.classes = append(p.classes, readClass(c))
	}
	for _, a := range r.structs("apps") {
		p.apps = append(p.apps, readApp(a))
	}
	return p
}

func readMatrix(rc *routev3.RouteConfiguration, errs *[]error) (matrix routing.Matrix) {
	r, ok := routeMetadata(rc, errs)
	if !ok {
		return matrix
	}
	for _, x := range r.structs("incompatible") {
		matrix.Calls = append(matrix.Calls, readIncompatible(x))
	}
	for _, x := range r.structs("unreadable") {
		matrix.State = append(matrix.State, readUnreadable(x))
	}
	return matrix
}

func routeMetadata(rc *routev3.RouteConfiguration, errs *[]error) (reader, bool) {
	r, ok := metadataReader("RDS "+rc.GetName(), rc.GetMetadata(), errs)
	if !ok {
		r.fail("has no %s metadata", MetadataKey)
	}
	return r, ok
}
