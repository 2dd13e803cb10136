package control

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	envoyconfig "github.com/skewgate/skewgate/deployments/envoy"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
)

// httpHost answers every request with its name.
func httpHost(t *testing.T, name string) (addr string) {
	t.Helper()
	return serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Saw-Pin", r.Header.Get("X-Skewgate-Pin"))
		_, _ = io.WriteString(w, name)
	}))
}

func serveHTTP(t *testing.T, h http.Handler) (addr string) {
	t.Helper()
	l := testenv.Listen(t)
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	var work sync.WaitGroup
	work.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); work.Wait() })
	return l.Addr().String()
}

// standardEnvoy balances by itself, from what control serves to any client.
func standardEnvoy(t *testing.T, control, api, node string) (*testenv.Envoy, string) {
	t.Helper()
	host, port, err := net.SplitHostPort(control)
	if err != nil {
		t.Fatal(err)
	}
	admin, edge := testenv.Port(t), testenv.Port(t)
	return testenv.StartEnvoy(t, fmt.Appendf(nil, `
node: {id: %s, cluster: test-edge}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
dynamic_resources:
  ads_config: {api_type: %s, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: control}}]}
  cds_config: {ads: {}, resource_api_version: V3}
static_resources:
  listeners:
  - name: edge
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          rds: {route_config_name: skewgate, config_source: {ads: {}, resource_api_version: V3}}
  clusters:
  - name: control
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}
    load_assignment: {cluster_name: control, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
`, node, admin, api, edge, host, port), fmt.Sprint("127.0.0.1:", admin)), fmt.Sprint("http://127.0.0.1:", edge)
}

func fetch(url string) (status int, body string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

func TestEnvoyFollowsARolloutWithoutAFailure(t *testing.T) {
	for _, api := range []string{"DELTA_GRPC", "GRPC"} {
		t.Run(api, func(t *testing.T) {
			w := newWorld()
			w.host("a", httpHost(t, "v41"), "v41")
			w.deploy(routing.Weighted{Version: "v41", Weight: 1, Salt: "x"})
			c := start(t, w, "")
			eventually(t, "control to be ready", c.Ready)
			_, edge := standardEnvoy(t, c.addr, api, "envoy-1")

			var newest atomic.Value
			newest.Store("")
			stop := make(chan struct{})
			var load sync.WaitGroup
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					status, body := fetch(edge + "/carts/8812")
					if status != http.StatusOK && newest.Load() != "" {
						t.Errorf("a request failed: %d %s", status, body)
						return
					}
					if status == http.StatusOK {
						newest.Store(body)
					}
				}
			})
			defer load.Wait()
			defer close(stop)
			eventually(t, "v41 to answer", func() bool { return newest.Load() == "v41" || t.Failed() })
			for i := 42; i < 45; i++ {
				v, old := fmt.Sprint("v", i), fmt.Sprint("v", i-1)
				w.host(v, httpHost(t, v), v)
				w.deploy(routing.Weighted{Version: v, Weight: 1, Salt: "x"})
				eventually(t, v+" to answer", func() bool { return newest.Load() == v || t.Failed() })
				w.remove(old)
				w.remove("a")
			}
			eventually(t, "Envoy to be listed", func() bool {
				p := c.Proxies()
				return len(p) == 1 && p[0].Node == "envoy-1" && statuses(p[0]) == "CDS:SYNCED EDS:SYNCED RDS:SYNCED"
			})
			if c.Proxies()[0].Delta != (api == "DELTA_GRPC") {
				t.Errorf("protocol of %+v", c.Proxies()[0])
			}
			if status, _ := fetch(edge + "/nothing/here"); status != http.StatusNotFound {
				t.Errorf("a path of no class got %d", status)
			}
		})
	}
}

// picker is an ext_proc server that pins every request to one address, or is silent.
type picker struct {
	extprocv3.UnimplementedExternalProcessorServer
	pin atomic.Value // string; "" picks nothing
}

func (p *picker) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		resp := &extprocv3.ProcessingResponse{}
		switch req.GetRequest().(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			common := &extprocv3.CommonResponse{}
			if pin := p.pin.Load().(string); pin != "" {
				common.HeaderMutation = &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{{
					Header: &corev3.HeaderValue{Key: pinHeader, RawValue: []byte(base64.StdEncoding.EncodeToString([]byte(pin)))},
				}}}
			}
			resp.Response = &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: common}}
		case *extprocv3.ProcessingRequest_ResponseTrailers:
			resp.Response = &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}
		}
		if err := stream.Send(resp); err != nil {
			return nil
		}
	}
}

func startPicker(t *testing.T, pin string) (*picker, string) {
	t.Helper()
	p := &picker{}
	p.pin.Store(pin)
	l := testenv.Listen(t)
	s := grpc.NewServer()
	extprocv3.RegisterExternalProcessorServer(s, p)
	h := health.NewServer()
	h.SetServingStatus("envoy.service.ext_proc.v3.ExternalProcessor", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, h)
	var work sync.WaitGroup
	work.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); work.Wait() })
	return p, l.Addr().String()
}

// The generated picker-mode bootstrap and control's resources together: the
// picked host and no other, and none at all without a pick.
func TestPickerModeIsLockedToThePick(t *testing.T) {
	w := newWorld()
	a, b := httpHost(t, "a"), httpHost(t, "b")
	w.host("a", a, "v41")
	w.host("b", b, "v42")
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)
	p, pickerAddr := startPicker(t, a)

	admin, edge := fmt.Sprint("127.0.0.1:", testenv.Port(t)), fmt.Sprint("127.0.0.1:", testenv.Port(t))
	bootstrap, err := envoyconfig.Bootstrap(testMesh(t), envoyconfig.Options{
		Mode: envoyconfig.Picker, Listen: edge, Admin: admin, NodeID: "edge-1", Pickers: []string{pickerAddr}, Controls: []string{c.addr},
	})
	if err != nil {
		t.Fatal(err)
	}
	testenv.StartEnvoy(t, bootstrap, admin)
	url := "http://" + edge + "/carts/8812"

	answers := func(want string) func() bool {
		return func() bool { _, body := fetch(url); return body == want }
	}
	eventually(t, "the picked host", answers("a"))
	p.pin.Store(b)
	eventually(t, "the other picked host", answers("b"))
	for range 20 {
		if status, body := fetch(url); status != http.StatusOK || body != "b" {
			t.Fatalf("%d %s, want b", status, body)
		}
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Saw-Pin") != "" || resp.Header.Get("X-Skewgate-Pin") != "" {
		t.Errorf("the pin leaked: %v", resp.Header)
	}

	p.pin.Store("") // silent
	forged := func() (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(pinHeader, base64.StdEncoding.EncodeToString([]byte(a)))
		req.Header.Set("X-Gateway-Destination-Endpoint", a)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	for range 20 {
		if status, body := fetch(url); status != http.StatusServiceUnavailable {
			t.Fatalf("without a pick: %d %s", status, body)
		}
		if status, body := forged(); status != http.StatusServiceUnavailable {
			t.Fatalf("with a forged pin: %d %s", status, body)
		}
	}
	p.pin.Store("127.0.0.1:1") // not a host of the mesh
	if status, body := fetch(url); status != http.StatusMisdirectedRequest {
		t.Errorf("a pick outside of the mesh: %d %s, want 421", status, body)
	}
	p.pin.Store(b)
	w.remove("b")
	eventually(t, "the removed host to be refused", func() bool { status, _ := fetch(url); return status == http.StatusMisdirectedRequest })
}

// A draining host keeps what is pinned to it and gets nothing else.
func TestDrainingHostsAreAvoided(t *testing.T) {
	w := newWorld()
	w.host("a", httpHost(t, "a"), "v41")
	w.host("b", httpHost(t, "b"), "v41")
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)
	envoy, edge := standardEnvoy(t, c.addr, "DELTA_GRPC", "envoy-1")
	seen := func(n int) map[string]bool {
		out := map[string]bool{}
		for range n {
			_, body := fetch(edge + "/carts/1")
			out[body] = true
		}
		return out
	}
	eventually(t, "both hosts", func() bool { s := seen(10); return s["a"] && s["b"] && len(s) == 2 })
	w.change(func(w *world) {
		s := w.sessions["b"]
		s.Wanted = "drain"
		w.sessions["b"] = s
	})
	eventually(t, "only the other host", func() bool { s := seen(10); return s["a"] && len(s) == 1 })
	var page struct {
		Statuses []struct {
			Name  string                 `json:"name"`
			Hosts []struct{ Weight int } `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := json.Unmarshal([]byte(envoy.Get("/clusters?format=json")), &page); err != nil {
		t.Fatal(err)
	}
	for _, s := range page.Statuses {
		if strings.HasPrefix(s.Name, "shop@") && len(s.Hosts) != 2 {
			t.Errorf("cluster %s has %d hosts, want both", s.Name, len(s.Hosts))
		}
	}
}
