package control

import (
	"net/http"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	overridev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"
	roundrobinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
	"github.com/skewgate/skewgate/xds"
)

// Keys of the endpoint-picker protocol (Gateway API inference extension,
// proposal 004) and the header that the strict session filter reads.
const (
	pickNamespace = "envoy.lb"
	pickKey       = "x-gateway-destination-endpoint"
	servedKey     = "x-gateway-destination-endpoint-served"
	pinHeader     = "x-skewgate-pin"
)

// lockedCluster is a cluster of which no host can be chosen without a pick:
// override_host falls back to a subset balancer whose selector nothing
// satisfies. A picker that is silent, or a retry, gets no host, not any host.
func lockedCluster(name string) *clusterv3.Cluster {
	c := xds.EDSCluster(name)
	c.LbPolicy = clusterv3.Cluster_ROUND_ROBIN // ignored beside LoadBalancingPolicy
	never := policy("envoy.load_balancing_policies.subset", &subsetv3.Subset{
		FallbackPolicy:  subsetv3.Subset_NO_FALLBACK,
		SubsetSelectors: []*subsetv3.Subset_LbSubsetSelector{{Keys: []string{"never"}}},
		SubsetLbPolicy:  policy("envoy.load_balancing_policies.round_robin", &roundrobinv3.RoundRobin{}),
	})
	c.LoadBalancingPolicy = policy("envoy.load_balancing_policies.override_host", &overridev3.OverrideHost{
		OverrideHostSources: []*overridev3.OverrideHost_OverrideHostSource{{Metadata: metadataKey(pickKey)}},
		SelectedHostKey:     metadataKey(servedKey),
		FallbackPolicy:      never,
	})
	return c
}

func metadataKey(key string) *metadatav3.MetadataKey {
	return &metadatav3.MetadataKey{Key: pickNamespace, Path: []*metadatav3.MetadataKey_PathSegment{{Segment: &metadatav3.MetadataKey_PathSegment_Key{Key: key}}}}
}

func policy(name string, m proto.Message) *clusterv3.LoadBalancingPolicy {
	return &clusterv3.LoadBalancingPolicy{Policies: []*clusterv3.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &corev3.TypedExtensionConfig{Name: name, TypedConfig: packed(m)},
	}}}
}

// packed packs a message that is built here, equal messages to equal bytes.
func packed(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic("control: pack " + string(m.ProtoReflect().Descriptor().FullName()) + ": " + err.Error())
	}
	return a
}

// pickerRoutes sends each class to its app's locked cluster. A gate's refusal
// is a 307 to the same URL, which Envoy follows by itself: the picker is asked
// again and the client notices nothing. No retry policy: a retry would drop
// the pick.
func pickerRoutes(s routing.Spec) *routev3.RouteConfiguration {
	rc := xds.Routes(s, pickerRoute)
	rc.ResponseHeadersToRemove = []string{pinHeader} // the filter would tell the host otherwise
	for _, vh := range rc.GetVirtualHosts() {
		vh.RequestHeadersToRemove = []string{pinHeader} // after the filter has read it: hosts never see it
	}
	return rc
}

func pickerRoute(c routing.Class) *routev3.Route {
	action := &routev3.RouteAction{Timeout: durationpb.New(0), IdleTimeout: durationpb.New(0)}
	route := &routev3.Route{Action: &routev3.Route_Route{Route: action}}
	if c.Mode == routing.ModeObserve {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: xds.ObserveClusterName(c.Name)}
		return route
	}
	action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: xds.AppClusterName(c.App)}
	action.InternalRedirectPolicy = &routev3.InternalRedirectPolicy{
		MaxInternalRedirects:     wrapperspb.UInt32(3),
		RedirectResponseCodes:    []uint32{http.StatusTemporaryRedirect},
		AllowCrossSchemeRedirect: true,
	}
	route.ResponseHeadersToAdd = []*corev3.HeaderValueOption{{
		Header:       &corev3.HeaderValue{Key: strings.ToLower(wire.HeaderObjectVersion), Value: "%DYNAMIC_METADATA(skewgate:objectVersion)%"},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}}
	return route
}
