// Command gate measures what gate and stamp cost a host beyond its handler, in the process and over the network, with the host library and with the agent.
//
//	bench/run.sh gate -rounds 5 -for 1s -c 1,32
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/bench/internal/fleet"
	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/owners"
)

func main() {
	fleet.Child()
	rounds := flag.Int("rounds", 5, "rounds in which the contenders take turns")
	span := flag.Duration("for", time.Second, "length of one turn")
	at := flag.String("c", "1,32", "how many at a time, over the network")
	flag.Parse()
	rig.Main("gate", func(ctx context.Context) error { return run(ctx, *rounds, *span, strings.Split(*at, ",")) })
}

func run(ctx context.Context, rounds int, span time.Duration, at []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rig.Header(os.Stdout)
	m, err := fleet.StartMesh(ctx, 15*time.Second)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := inProcess(ctx, m, rounds, span); err != nil {
		return err
	}
	return overNetwork(ctx, m, rounds, span, at)
}

// nobody is a ResponseWriter that costs nothing.
type nobody struct{ h http.Header }

func (n nobody) Header() http.Header         { return n.h }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

// inProcess calls the same handler bare and through the gate.
func inProcess(ctx context.Context, m *fleet.Mesh, rounds int, span time.Duration) error {
	addr, err := rig.FreeAddr()
	if err != nil {
		return err
	}
	h, err := host.New(host.Options{
		App: "shop", Version: "v1", Name: "inside", Store: m.Redis.URL(), SecretFile: m.SecretFile(), Listen: addr, Advertise: addr,
		Lease: m.Lease, Idle: 10 * time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) { return http.HandlerFunc(fleet.Answer), nil })
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	s, err := m.Await(ctx, "inside")
	if err != nil {
		return err
	}
	stamp, err := m.Stamp(ctx, owners.Key{Class: "Cart", ID: "inside"}, s.ID)
	if err != nil {
		return err
	}
	through := func(name string, to http.Handler) rig.Contender {
		return rig.Contender{Name: name, Round: func(ctx context.Context) (rig.Work, error) {
			w, before, start := rig.Work{}, rig.SelfCPU(), time.Now()
			for time.Since(start) < span {
				for range 1000 {
					r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
					if err != nil {
						return w, err
					}
					r.Header = stamp.Clone() // a server makes one for each request
					to.ServeHTTP(nobody{http.Header{}}, r)
				}
				w.Ops += 1000
			}
			w.Elapsed, w.CPU = time.Since(start), rig.SelfCPU()-before
			return w, nil
		}}
	}
	results, err := rig.Compare(ctx, rounds, through("handler", http.HandlerFunc(fleet.Answer)), through("gate + handler", h))
	if err != nil {
		return err
	}
	fmt.Printf("in one process, one event after the other, load %s\n", rig.Load())
	for _, r := range results {
		fmt.Printf("  %s: %s events/s, %.2f µs each\n", r.Name, r.Rate.Format("%.0f"), 1e6/r.Rate.Median)
	}
	fmt.Printf("  the gate adds %.2f µs to an event; the goal is below 5\n", 1e6/results[1].Rate.Median-1e6/results[0].Rate.Median)
	return nil
}

// overNetwork sends stamped requests straight to gates, and to what there would be without them.
func overNetwork(ctx context.Context, m *fleet.Mesh, rounds int, span time.Duration, at []string) error {
	up, err := fleet.Upstream(ctx)
	if err != nil {
		return err
	}
	proxy, err := fleet.ReverseProxy(ctx, up.Addr)
	if err != nil {
		return err
	}
	lib, err := m.Host(ctx, "library")
	if err != nil {
		return err
	}
	agent, err := m.Agent(ctx, "agent", up.Addr)
	if err != nil {
		return err
	}
	for _, text := range at {
		c, err := strconv.Atoi(text)
		if err != nil || c < 1 {
			return fmt.Errorf("-c %q is not a number above 0", text)
		}
		var all []rig.Contender
		for _, to := range []struct {
			name, addr, host string
			takes            []*rig.Process
		}{
			{"bare upstream", up.Addr, "", []*rig.Process{up}},
			{"host library's gate", lib.Addr, "library", []*rig.Process{lib}},
			{"httputil.ReverseProxy before upstream", proxy.Addr, "", []*rig.Process{proxy, up}},
			{"agent before upstream", agent.Addr, "agent", []*rig.Process{agent, up}},
		} {
			headers := make([]http.Header, c)
			for i := range headers { // an object for each, as events of one object wait for each other
				if to.host == "" {
					continue
				}
				s, err := m.Session(ctx, to.host)
				if err != nil {
					return err
				}
				if headers[i], err = m.Stamp(ctx, owners.Key{Class: "Cart", ID: fmt.Sprintf("%s-%d-%d", to.host, c, i)}, s.ID); err != nil {
					return err
				}
			}
			client, next := fleet.Client(), new(atomic.Int64)
			defer client.CloseIdleConnections()
			all = append(all, rig.Contender{Name: to.name, Round: func(ctx context.Context) (rig.Work, error) {
				free := make(chan http.Header, c)
				for _, h := range headers {
					free <- h
				}
				return rig.For(ctx, span, c, next, rig.CPUOf(to.takes...), func(ctx context.Context, _ int64) error {
					h := <-free
					defer func() { free <- h }()
					return fleet.Get(ctx, client, "http://"+to.addr+"/", h.Clone())
				})
			}})
		}
		results, err := rig.Compare(ctx, rounds, all...)
		if err != nil {
			return err
		}
		if err := rig.Print(os.Stdout, fmt.Sprintf("over loopback, %d at a time, %d rounds of %v, load %s", c, rounds, span, rig.Load()), results); err != nil {
			return err
		}
	}
	return nil
}
