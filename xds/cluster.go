package xds

import (
	"net"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/gateway/routing"
)

const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// Cluster makes the CDS resource of an app's version, or of a preview of it.
func Cluster(app, version, preview string) *clusterv3.Cluster {
	c := EDSCluster(ClusterName(app, version, preview))
	f := fields{}
	f.text("app", app)
	f.text("version", version)
	f.text("preview", preview)
	c.Metadata = f.metadata()
	return c
}

// EDSCluster makes a cluster that gets its hosts from this control plane.
//
// A host that was removed from EDS must never be chosen again, healthy or not;
// a draining one keeps what is pinned to it; many long-lived streams are
// normal; a change of health counts at once. Hosts speak what the client spoke, HTTP/1.1 or HTTP/2.
func EDSCluster(name string) *clusterv3.Cluster {
	const many = 1_000_000
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{EdsConfig: &corev3.ConfigSource{
			ResourceApiVersion:    corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		}},
		ConnectTimeout:            durationpb.New(time.Second),
		LbPolicy:                  clusterv3.Cluster_ROUND_ROBIN,
		IgnoreHealthOnHostRemoval: true,
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			OverrideHostStatus: &corev3.HealthStatusSet{Statuses: []corev3.HealthStatus{
				corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY, corev3.HealthStatus_DEGRADED, corev3.HealthStatus_DRAINING,
			}},
			UpdateMergeWindow: durationpb.New(0), // Envoy would hold a change of health back for a second
		},
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: wrapperspb.UInt32(many), MaxPendingRequests: wrapperspb.UInt32(many), MaxRequests: wrapperspb.UInt32(many), MaxRetries: wrapperspb.UInt32(0),
		}}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{httpOptions: sameAsDownstream()},
	}
}

func sameAsDownstream() *anypb.Any {
	return mustAny(&httpv3.HttpProtocolOptions{UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
		UseDownstreamProtocolConfig: &httpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
			HttpProtocolOptions:  &corev3.Http1ProtocolOptions{},
			Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
		},
	}})
}

// mustAny packs a message that is built here and so always can be, in the one
// form that makes equal messages equal bytes.
func mustAny(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic("xds: pack " + string(m.ProtoReflect().Descriptor().FullName()) + ": " + err.Error())
	}
	return a
}

// ObserveCluster is the address of a class that is only looked at; ok is false
// for other classes, and where the address is no host:port.
func ObserveCluster(c routing.Class) (cluster *clusterv3.Cluster, ok bool) {
	if c.Mode != routing.ModeObserve {
		return nil, false
	}
	host, port, err := net.SplitHostPort(c.Upstream)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host == "" || n == 0 {
		return nil, false
	}
	name := ObserveClusterName(c.Name)
	out := EDSCluster(name)
	out.EdsClusterConfig = nil
	out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
	out.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(n)},
			}}},
		}}}},
	}}}
	return out, true
}
