package control

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/xds"
)

// rawClient is a delta client that answers as the test says.
type rawClient struct {
	t      *testing.T
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	close  func()
}

func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &rawClient{t: t, stream: stream, close: func() { cancel(); _ = conn.Close() }}
	t.Cleanup(c.close)
	return c
}

func (c *rawClient) send(r *discoveryv3.DeltaDiscoveryRequest) {
	c.t.Helper()
	if err := c.stream.Send(r); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) receive() *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	r, err := c.stream.Recv()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *rawClient) answer(r *discoveryv3.DeltaDiscoveryResponse, nack string) {
	c.t.Helper()
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()}
	if nack != "" {
		req.ErrorDetail = &statuspb.Status{Message: nack}
	}
	c.send(req)
}

func proxyNamed(c *running, node string) (ProxyState, TypeState) {
	for _, p := range c.Proxies() {
		if p.Node == node {
			for _, ty := range p.Types {
				if ty.Type == "CDS" {
					return p, ty
				}
			}
		}
	}
	return ProxyState{}, TypeState{}
}

func TestARefusalIsKeptShownAndStopsNobodyElse(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)
	good := startGateway(t, c.addr, "gw-good")
	eventually(t, "the first table", func() bool { return good.hosts() == "a=v41" })

	bad := dialRaw(t, c.addr)
	bad.send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "bad-1", Cluster: "test"}, TypeUrl: xds.TypeCluster, ResourceNamesSubscribe: []string{"*"}})
	first := bad.receive()
	if _, ty := proxyNamed(c, "bad-1"); ty.Status != Stale {
		t.Errorf("before the answer: %+v, want STALE", ty)
	}
	bad.answer(first, "cluster shop@v41: too many teapots")
	eventually(t, "the refusal to be shown", func() bool {
		_, ty := proxyNamed(c, "bad-1")
		return ty.Status == Nacked && ty.Nack == "cluster shop@v41: too many teapots" && ty.Nacks == 1 && ty.Version == ""
	})

	began := time.Now()
	w.host("b", "127.0.0.1:9002", "v42")
	w.deploy(routing.Weighted{Version: "v42", Weight: 1, Salt: "x"})
	second := bad.receive()
	bad.answer(second, "still")
	eventually(t, "the others to go on", func() bool { return good.hosts() == "a=v41 b=v42" && good.weights() == "v42:1:x" })
	if took := time.Since(began); took > c.pub.patience {
		t.Errorf("the others waited %s for a client that refuses", took)
	}
	_, ty := proxyNamed(c, "bad-1")
	if ty.Nacks != 2 || ty.Nack != "still" {
		t.Errorf("after the second refusal: %+v", ty)
	}

	for series, want := range map[string]float64{`skewgate_xds_nacks_total CDS`: 2, `skewgate_xds_proxies NACKED CDS`: 1, `skewgate_xds_proxies SYNCED CDS`: 1} {
		eventually(t, fmt.Sprintf("%s to be %v", series, want), func() bool { return metric(t, c.reg, series) == want })
	}

	w.host("c", "127.0.0.1:9003", "v43")
	third := bad.receive()
	bad.answer(third, "")
	eventually(t, "the acknowledgement", func() bool {
		_, ty := proxyNamed(c, "bad-1")
		return ty.Status == Synced && ty.Nack == "" && ty.Version == third.GetSystemVersionInfo()
	})
	bad.close()
	eventually(t, "the client to be listed as gone", func() bool {
		p, _ := proxyNamed(c, "bad-1")
		return p.Node != "" && !p.Connected
	})
}

// metric reads one series, named by its metric and label values.
func metric(t *testing.T, reg *prometheus.Registry, series string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			if name == series {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// A client that takes and never answers delays a switch for a bounded time and
// endpoints not at all.
func TestASilentClientDelaysButDoesNotStop(t *testing.T) {
	w := newWorld()
	w.host("a", "127.0.0.1:9001", "v41")
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)
	good := startGateway(t, c.addr, "gw-good")
	silent := dialRaw(t, c.addr)
	silent.send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "silent"}, TypeUrl: xds.TypeCluster, ResourceNamesSubscribe: []string{"*"}})
	silent.receive()
	w.host("b", "127.0.0.1:9002", "v42")
	w.deploy(routing.Weighted{Version: "v42", Weight: 1, Salt: "x"})
	eventually(t, "the endpoints", func() bool { return good.hosts() == "a=v41 b=v42" })
	if good.weights() != "" {
		t.Error("routes were switched before the silent client's time was up")
	}
	eventually(t, "the switch", func() bool { return good.weights() == "v42:1:x" })
}

func TestStreamsOfUnknownTypesAreTurnedAway(t *testing.T) {
	c := start(t, newWorld(), "")
	eventually(t, "control to be ready", c.Ready)
	raw := dialRaw(t, c.addr)
	raw.send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "x"}, TypeUrl: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"})
	if _, err := raw.stream.Recv(); err == nil {
		t.Error("a subscription to secrets was answered")
	}
}

func TestGoneClientsAreForgotten(t *testing.T) {
	a := newAcks()
	now := time.Now()
	a.now = func() time.Time { return now }
	for i := range 3 {
		k := streamKey{true, int64(i)}
		a.open(k)
		a.request(k, request{node: &corev3.Node{Id: fmt.Sprint("n", i)}, typeURL: xds.TypeCluster})
		a.close(k)
	}
	if n := len(a.proxies()); n != 3 {
		t.Errorf("%d proxies are listed, want 3", n)
	}
	now = now.Add(forgetAfter + time.Second)
	if n := len(a.proxies()); n != 0 {
		t.Errorf("%d proxies are listed after %s", n, forgetAfter)
	}
}
