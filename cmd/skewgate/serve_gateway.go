package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
	"github.com/skewgate/skewgate/xds"
)

// addWatcher: every process with a role watches for dead sessions.
func (s *server) addWatcher() {
	s.watcher = owners.NewWatcher(s.store, s.id, s.log)
	s.add("watcher", s.watcher.Run)
}

// newGateway makes the decision core that gateway and picker share, once.
func (s *server) newGateway() (*gateway.Gateway, error) {
	if s.gateway != nil {
		return s.gateway, nil
	}
	tallies, err := skew.NewTallies(skew.Options{Redis: s.store.Redis(), Prefix: s.store.Prefix(), Gateway: s.id, Logger: s.log})
	if err != nil {
		return nil, err
	}
	s.add("tallies", tallies.Run)
	moves := newMoveRecorder(rollout.NewMoveLog(s.store.Redis(), s.store.Prefix()), s.watcher, s.store, s.log)
	s.add("move log", moves.run)
	s.gateway = gateway.New(gateway.Options{
		ID: s.id, Store: s.store, Signer: s.signer, Watcher: s.watcher,
		Recorder:       recorder{tallies: tallies, moves: moves},
		Budget:         rollout.NewBudget(s.store.Redis(), s.store.Prefix(), s.currentClasses),
		Releaser:       &wire.ReleaseClient{Signer: s.signer, HTTP: s.hosts.client, Scheme: s.hosts.scheme},
		Forward:        forward.Options{TLS: s.hosts.tls},
		Logger:         s.log,
		Registry:       s.reg,
		TrustedCallers: s.mesh.Callers.Trust,
		CallerIDs:      s.callerIDs(),
	})
	client, err := xds.NewClient(xds.Options{
		Addrs: s.mesh.Controls(), NodeID: s.id, Logger: s.log, Registry: s.reg,
		OnTable: func(t *routing.Table) { s.gateway.SetTable(t) },
	})
	if err != nil {
		return nil, err
	}
	s.add("xds client", client.Run)
	s.ready = append(s.ready, readiness{"gateway", s.gateway.Ready})
	return s.gateway, nil
}

func (s *server) addGateway() error {
	g, err := s.newGateway()
	if err != nil {
		return err
	}
	l, err := s.listen("gateway", s.mesh.Listen.Gateway)
	if err != nil {
		return err
	}
	srv := gateway.NewServer(g)
	srv.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	if srv.TLSConfig, err = callersTLS(s.mesh, s.log); err != nil {
		return err
	}
	s.add("gateway", func(ctx context.Context) error { return s.serveUntilDrained(ctx, srv, l, g) })
	return nil
}

// callerIDs reads callers' certificates, where the mesh file says so.
func (s *server) callerIDs() *routing.SPIFFE {
	if s.mesh.Callers.Identity != mesh.IdentityMTLS {
		return nil
	}
	return s.mesh.Callers.SPIFFE
}

// serveOn serves with TLS where it is configured.
func serveOn(srv *http.Server, l net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(l, "", "")
	}
	return srv.Serve(l)
}

// serveUntilDrained serves until ctx ends, then lets requests end.
func (s *server) serveUntilDrained(ctx context.Context, srv *http.Server, l net.Listener, g *gateway.Gateway) error {
	failed := make(chan error, 1)
	go func() { failed <- serveOn(srv, l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.drainIn)
	defer cancel()
	s.log.Info("draining", "within", s.o.drainIn)
	err := g.Drain(drain)
	closing, cancelClose := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancelClose()
	if shut := srv.Shutdown(closing); shut != nil {
		srv.Close()
	}
	<-failed
	return err
}

// recorder hands a finished request to the tallies and, if it moved its object, to the move log.
type recorder struct {
	tallies *skew.Tallies
	moves   *moveRecorder
}

func (r recorder) Record(e *gateway.Event) {
	if e.Class == "" {
		return // it named no class of ours
	}
	latency, code := e.Duration, e.Code
	if e.Head > 0 {
		latency = e.Head // a stream lasts as long as somebody listens
	}
	if e.Upgrade && code != "" {
		code = skew.SocketClosed // a move closes sockets; they come back
	}
	r.tallies.Add(skew.Call{
		Class: e.Class, Caller: e.Caller, App: e.App, ObjectVersion: e.ObjectVersion, Object: e.Object.ID,
		Method: e.Method, Code: code, Latency: latency, At: e.Start.Add(e.Duration),
	})
	if e.Move != nil && e.Move.From != "" {
		r.moves.add(e)
	}
}
