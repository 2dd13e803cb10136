package xds

import (
	"net/url"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Type URLs of the resources that are used here.
const (
	TypeCluster  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	TypeEndpoint = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	TypeRoute    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	TypeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// Names of resources.
const (
	RouteName    = "skewgate"        // classes, apps, routes
	MatrixName   = "skewgate-matrix" // the incompatibility matrix
	MetadataKey  = "skewgate"        // of filter_metadata, everywhere
	RoleGateway  = "skewgate-gateway"
	RolePicker   = "skewgate-picker" // an Envoy in picker mode; node.cluster says the role
	virtualHosts = "objects"
)

// ShortType is a type URL as people write it: CDS, EDS, RDS, LDS.
func ShortType(typeURL string) string {
	switch typeURL {
	case TypeCluster:
		return "CDS"
	case TypeEndpoint:
		return "EDS"
	case TypeRoute:
		return "RDS"
	case TypeListener:
		return "LDS"
	}
	return typeURL
}

// Resources is one state of a mesh as xDS resources, by name. What it holds is
// shared and must not be changed.
type Resources struct {
	Clusters  map[string]*clusterv3.Cluster
	Endpoints map[string]*endpointv3.ClusterLoadAssignment
	Routes    map[string]*routev3.RouteConfiguration
}

// nameEscaper keeps the parts of a cluster's name apart.
var nameEscaper = strings.NewReplacer("@", "%40")

func escape(s string) string { return nameEscaper.Replace(url.PathEscape(s)) }

// ClusterName names the cluster of an app's version, or of a preview of it.
func ClusterName(app, version, preview string) string {
	name := escape(app) + "@" + escape(version)
	if preview != "" {
		name += "/preview/" + escape(preview)
	}
	return name
}

// AppClusterName names the cluster of all hosts of an app, whatever their
// version; a picker chooses among them.
func AppClusterName(app string) string { return "app/" + escape(app) }

// ObserveClusterName names the cluster of a class in mode observe.
func ObserveClusterName(class string) string { return "observe/" + escape(class) }
