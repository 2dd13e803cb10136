// Command proxy measures a request through the gateway to an owned object beside plain proxies: httputil.ReverseProxy and Envoy.
//
//	bench/run.sh proxy -rounds 5 -for 1s -c 1,32
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/bench/internal/fleet"
	"github.com/skewgate/skewgate/bench/internal/rig"
)

func main() {
	fleet.Child()
	rounds := flag.Int("rounds", 5, "rounds in which the contenders take turns")
	span := flag.Duration("for", time.Second, "length of one turn")
	at := flag.String("c", "1,32", "how many at a time")
	envoy := flag.String("envoy", filepath.Join(".tools", "envoy", "envoy"), "the Envoy to compare with; none without one")
	flag.Parse()
	rig.Main("proxy", func(ctx context.Context) error { return run(ctx, *rounds, *span, strings.Split(*at, ","), *envoy) })
}

// A way is one way from the client to the handler.
type way struct {
	name, addr string
	takes      []*rig.Process
}

func run(ctx context.Context, rounds int, span time.Duration, at []string, envoy string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rig.Header(os.Stdout)
	m, err := fleet.StartMesh(ctx, 15*time.Second)
	if err != nil {
		return err
	}
	defer m.Close()
	ways, err := start(ctx, m, envoy)
	if err != nil {
		return err
	}
	for _, text := range at {
		c, err := strconv.Atoi(text)
		if err != nil || c < 1 {
			return fmt.Errorf("-c %q is not a number above 0", text)
		}
		var all []rig.Contender
		for _, to := range ways {
			client, next := fleet.Client(), new(atomic.Int64)
			defer client.CloseIdleConnections()
			all = append(all, rig.Contender{Name: to.name, Round: func(ctx context.Context) (rig.Work, error) {
				return rig.For(ctx, span, c, next, rig.CPUOf(to.takes...), func(ctx context.Context, i int64) error {
					return fleet.Get(ctx, client, fmt.Sprintf("http://%s/carts/user-%d", to.addr, i%1000), nil)
				})
			}})
		}
		if _, err := rig.Compare(ctx, 1, all...); err != nil { // connections, pins and objects are warm
			return err
		}
		results, err := rig.Compare(ctx, rounds, all...)
		if err != nil {
			return err
		}
		if err := rig.Print(os.Stdout, fmt.Sprintf("GET over loopback, %d at a time, 1000 objects, %d rounds of %v, load %s", c, rounds, span, rig.Load()), results); err != nil {
			return err
		}
	}
	return nil
}

func start(ctx context.Context, m *fleet.Mesh, envoy string) ([]way, error) {
	up, err := fleet.Upstream(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := fleet.ReverseProxy(ctx, up.Addr)
	if err != nil {
		return nil, err
	}
	host, err := m.Host(ctx, "one")
	if err != nil {
		return nil, err
	}
	ways := []way{
		{"httputil.ReverseProxy → upstream", plain.Addr, []*rig.Process{plain, up}},
		{"nothing → upstream", up.Addr, []*rig.Process{up}},
		{"gateway → gate", m.Gateway, []*rig.Process{m.Serve, host, m.Redis.Process}},
	}
	if _, err := os.Stat(envoy); err != nil {
		fmt.Printf("without Envoy: there is none at %s; tools/envoy.sh puts it there\n", envoy)
		return ways, nil
	}
	e, err := startEnvoy(ctx, m.Dir, envoy, up.Addr)
	if err != nil {
		return nil, err
	}
	return append(ways, way{"Envoy → upstream", e.Addr, []*rig.Process{e, up}}), nil
}

const envoyConfig = `
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %s}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: "/"}, route: {cluster: up}}]}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
`

// startEnvoy runs it with one worker for each core, as it is by default.
func startEnvoy(ctx context.Context, dir, bin, upstream string) (*rig.Process, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	_, to, _ := net.SplitHostPort(upstream)
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(envoyConfig, port, to)), 0o600); err != nil {
		return nil, err
	}
	return rig.Start(ctx, addr, bin, "-c", file, "--log-level", "error", "--use-dynamic-base-id")
}
