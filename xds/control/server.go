package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/xds"
)

// Server is the control plane. Run reads and publishes; Serve answers clients.
type Server struct {
	opt     Options
	acks    *acks
	pub     *publisher
	metrics *metrics
	grpc    *grpc.Server
	health  *health.Server
	end     context.CancelFunc // of all streams

	ready   atomic.Bool
	inbox   *inbox
	pokes   []chan struct{}
	pokesMu sync.Mutex
}

// New makes a Server.
func New(o Options) (*Server, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	s := &Server{opt: o, acks: newAcks(), end: end, inbox: newInbox(o.Mesh), health: health.NewServer()}
	s.pub = newPublisher(versionPrefix(o.Instance), o.Logger, s.acks)
	s.pub.linger = o.Linger
	s.metrics = newMetrics(o.Registry, s.acks)
	s.grpc = grpc.NewServer(s.grpcOptions()...)
	ads := serverv3.NewServer(ctx, s.mux(), s.callbacks())
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, ads)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	return s, nil
}

// versionPrefix makes versions of the cache unlike those of another replica,
// and of an earlier life of this one. It ends with a dot: see number.
func versionPrefix(instance string) string {
	var life [4]byte
	_, _ = rand.Read(life[:]) // never fails
	return instance + "-" + hex.EncodeToString(life[:]) + "."
}

func (s *Server) grpcOptions() []grpc.ServerOption {
	opts := []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
	if s.opt.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(s.opt.TLS)))
	}
	return opts
}

// Serve answers clients on l until Run ends. Before everything has been read
// once, streams are turned away: an empty answer would take a gateway's hosts
// from it.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve xds: %w", err)
	}
	return nil
}

// Run reads and publishes until ctx ends; then it ends all streams.
func (s *Server) Run(ctx context.Context) error {
	var work sync.WaitGroup
	hosts, deployments, matrix := s.poker(), s.poker(), s.poker()
	work.Go(func() {
		from := sessions{of: s.opt.Sessions, log: s.opt.Logger}
		source[sessionList]{"sessions", s.opt.SessionsEvery, from.read, s.opt.Logger}.run(ctx, hosts, s.inbox.sessions)
	})
	work.Go(func() {
		source[deploymentMap]{"deployments", s.opt.DeploymentsEvery, s.opt.Deployments.Deployments, s.opt.Logger}.run(ctx, deployments, s.inbox.deployments)
	})
	work.Go(func() {
		source[matrixList]{"matrix", s.opt.MatrixEvery, s.opt.Matrix.Matrix, s.opt.Logger}.run(ctx, matrix, s.inbox.matrix)
	})
	targets := make(chan *built, 1)
	work.Go(func() { s.publishEndpoints(ctx, targets) })
	work.Go(func() { s.publishConfig(ctx, targets) })
	<-ctx.Done()
	work.Wait()
	s.health.Shutdown()
	s.end()
	s.grpc.Stop()
	return ctx.Err()
}

func (s *Server) poker() chan struct{} {
	c := make(chan struct{}, 1)
	s.pokesMu.Lock()
	defer s.pokesMu.Unlock()
	s.pokes = append(s.pokes, c)
	return c
}

// Poke asks for the sources to be read now: somebody in this process changed one.
func (s *Server) Poke() {
	s.pokesMu.Lock()
	defer s.pokesMu.Unlock()
	for _, c := range s.pokes {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// SetMesh takes over a reloaded mesh file's classes.
func (s *Server) SetMesh(m *mesh.Mesh) { s.inbox.mesh(m) }

// Ready says that everything has been read and published once.
func (s *Server) Ready() bool { return s.ready.Load() }

// Proxies lists the xDS clients and what they have, those that went away lately included.
func (s *Server) Proxies() []ProxyState { return s.acks.proxies() }

// publishEndpoints publishes each state's hosts at once and passes the state
// on; publishConfig takes the newest.
func (s *Server) publishEndpoints(ctx context.Context, targets chan *built) {
	var complained string
	var last state
	for {
		intent, ok := s.inbox.next(ctx)
		if !ok {
			return
		}
		next, err := last.next(intent)
		s.complain(&complained, err)
		if next.built == last.built {
			continue
		}
		last = next
		if err := s.pub.add(last.built); err != nil {
			s.opt.Logger.Error("cannot publish endpoints", "error", err)
			continue
		}
		select {
		case <-targets: // an older one that nobody took yet
		default:
		}
		targets <- last.built
	}
}

// state is an intent and what was built of it.
type state struct {
	intent Intent
	built  *built // nil at first
}

// next builds an intent, or, where its configuration is wrong, its hosts under
// the configuration of the last good one: an error in a deployment must not
// keep new hosts out. Where neither is right it is the state as it was. The
// error has what is wrong in any case.
func (s state) next(i Intent) (state, error) {
	spec, left := i.Spec()
	b, err := build(spec, s.built)
	if err == nil {
		return state{i, b}, errors.Join(left...)
	}
	err = errors.Join(append(left, fmt.Errorf("not published: %w", err))...)
	if s.built == nil {
		return s, err
	}
	i.Classes, i.Deployments, i.Matrix = s.intent.Classes, s.intent.Deployments, s.intent.Matrix
	spec, _ = i.Spec()
	if b, wrong := build(spec, s.built); wrong == nil {
		return state{i, b}, err
	}
	return s, err
}

// complain logs a problem once, not at each reading.
func (s *Server) complain(last *string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != *last && text != "" {
		s.opt.Logger.Error("a part of the mesh is wrong", "error", text)
	}
	*last = text
}

// publishConfig debounces and switches routes over.
func (s *Server) publishConfig(ctx context.Context, targets <-chan *built) {
	clean := time.NewTicker(max(10*time.Millisecond, s.opt.Linger/4))
	defer clean.Stop()
	var published *built
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-targets:
			if s.ready.Load() {
				if b.sameRoutes(published) {
					continue // only hosts changed
				}
				b = settled(ctx, b, targets)
			}
			if err := s.pub.switchOver(ctx, b); err != nil {
				s.opt.Logger.Error("cannot publish configuration", "error", err)
				continue
			}
			published = b
			if !s.ready.Swap(true) {
				s.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
				s.opt.Logger.Info("control is ready", "config", b.spec.Version, "hosts", len(b.spec.Hosts))
			}
		case now := <-clean.C:
			if err := s.pub.clean(ctx, now); err != nil {
				s.opt.Logger.Error("cannot remove what is unused", "error", err)
			}
		}
	}
}

// settled waits until no newer state comes for a moment.
func settled(ctx context.Context, b *built, targets <-chan *built) *built {
	latest := time.After(notLater)
	for {
		select {
		case b = <-targets:
		case <-time.After(quietFor):
			return b
		case <-latest:
			return b
		case <-ctx.Done():
			return b
		}
	}
}

// mux routes a client's watch to the shelf of its role.
func (s *Server) mux() cachev3.Cache {
	key := func(picker bool, typeURL string) string {
		if picker && typeURL != xds.TypeEndpoint {
			return "picker " + typeURL
		}
		return typeURL
	}
	p := s.pub
	return &cachev3.MuxCache{
		Classify:      func(r *cachev3.Request) string { return key(isPicker(r.GetNode()), r.GetTypeUrl()) },
		ClassifyDelta: func(r *cachev3.DeltaRequest) string { return key(isPicker(r.GetNode()), r.GetTypeUrl()) },
		Caches: map[string]cachev3.Cache{
			xds.TypeEndpoint:            p.endpoints.cache,
			xds.TypeCluster:             p.standard.clusters.cache,
			xds.TypeRoute:               p.standard.routes.cache,
			xds.TypeListener:            p.standard.listeners.cache,
			key(true, xds.TypeCluster):  p.picker.clusters.cache,
			key(true, xds.TypeRoute):    p.picker.routes.cache,
			key(true, xds.TypeListener): p.picker.listeners.cache,
		},
	}
}
