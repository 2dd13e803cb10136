package xds

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/gateway/routing"
)

// Endpoints makes the EDS resource of a cluster. An Envoy wants IP addresses
// and grpc clients want each address once; a host that is known by a DNS name,
// or that shares its address with another session (a host that came back
// before its last session was found dead), stands in the locality's metadata
// instead, where gateways find it too.
func Endpoints(cluster string, hosts []routing.Host) *endpointv3.ClusterLoadAssignment {
	hosts = slices.Clone(hosts)
	slices.SortFunc(hosts, func(a, b routing.Host) int {
		return cmp.Or(cmp.Compare(unfitness(a), unfitness(b)), cmp.Compare(a.Session, b.Session))
	})
	local := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{}, LoadBalancingWeight: wrapperspb.UInt32(1)}
	taken := map[string]bool{}
	var others []fields
	for _, h := range hosts {
		addr, ok := socketAddress(h.Addr)
		if !ok || taken[h.Addr] {
			f := hostFields(h)
			f.text("addr", h.Addr)
			others = append(others, f)
			continue
		}
		taken[h.Addr] = true
		local.LbEndpoints = append(local.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: addr}},
			HealthStatus:   healthStatus(h),
			Metadata:       hostFields(h).metadata(),
		})
	}
	if len(others) > 0 {
		f := fields{}
		f.structs("hosts", others)
		local.Metadata = f.metadata()
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{local}}
}

// unfitness orders hosts that share an address: the one that serves first.
func unfitness(h routing.Host) int {
	switch {
	case h.Ready && !h.Draining && !h.Cordoned:
		return 0
	case h.Ready && !h.Draining:
		return 1
	case !h.Draining:
		return 2
	}
	return 3
}

// healthStatus tells clients that know no pins whom to avoid. DRAINING hosts
// keep what is pinned to them.
func healthStatus(h routing.Host) corev3.HealthStatus {
	switch {
	case h.Draining || h.Cordoned:
		return corev3.HealthStatus_DRAINING
	case !h.Ready:
		return corev3.HealthStatus_UNHEALTHY
	}
	return corev3.HealthStatus_HEALTHY
}

// socketAddress takes ip:port, written the way it is read back.
func socketAddress(addr string) (*corev3.Address, bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if ip, ipErr := netip.ParseAddr(host); err != nil || ipErr != nil || ip.Zone() != "" || n == 0 {
		return nil, false
	}
	if net.JoinHostPort(host, strconv.FormatUint(n, 10)) != addr {
		return nil, false
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(n)},
	}}}, true
}

// States of a host in metadata.
const (
	stateLive     = "live"
	stateDraining = "draining"
)

func hostFields(h routing.Host) fields {
	f := fields{}
	f.text("session", h.Session)
	f.text("name", h.Name)
	f.text("app", h.App)
	f.text("version", h.Version)
	f.text("preview", h.Preview)
	f.texts("classes", h.Classes)
	state := stateLive
	if h.Draining {
		state = stateDraining
	}
	f.text("state", state)
	f.flag("ready", h.Ready)
	f.flag("cordoned", h.Cordoned)
	return f
}

func readHost(r reader, addr string) routing.Host {
	return routing.Host{
		Session:  r.text("session"),
		Name:     r.text("name"),
		Addr:     addr,
		App:      r.text("app"),
		Version:  r.text("version"),
		Preview:  r.text("preview"),
		Classes:  r.texts("classes"),
		Draining: word(r, "state", stateLive, stateDraining) == stateDraining,
		Ready:    r.flag("ready"),
		Cordoned: r.flag("cordoned"),
	}
}

// readEndpoints gives the hosts of an EDS resource.
func readEndpoints(cla *endpointv3.ClusterLoadAssignment, errs *[]error) []routing.Host {
	at := "EDS " + cla.GetClusterName()
	var hosts []routing.Host
	for _, local := range cla.GetEndpoints() {
		for i, ep := range local.GetLbEndpoints() {
			sa := ep.GetEndpoint().GetAddress().GetSocketAddress()
			where := at + " endpoint " + strconv.Itoa(i)
			r, ok := metadataReader(where, ep.GetMetadata(), errs)
			if sa == nil || !ok {
				reader{at: where, errors: errs}.fail("has no socket address or no %s metadata", MetadataKey)
				continue
			}
			hosts = append(hosts, readHost(r, net.JoinHostPort(sa.GetAddress(), strconv.FormatUint(uint64(sa.GetPortValue()), 10))))
		}
		if r, ok := metadataReader(at, local.GetMetadata(), errs); ok {
			for _, h := range r.structs("hosts") {
				hosts = append(hosts, readHost(h, h.text("addr")))
			}
		}
	}
	for _, h := range hosts {
		if want := ClusterName(h.App, h.Version, h.Preview); want != cla.GetClusterName() {
			reader{at: at, errors: errs}.fail("session %s belongs to cluster %s", h.Session, want)
		}
	}
	return hosts
}

// sortHosts puts hosts into the order in which Decode gives them.
func sortHosts(hosts []routing.Host) {
	slices.SortFunc(hosts, func(a, b routing.Host) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Session, b.Session))
	})
}
