package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/wire"
	"github.com/skewgate/skewgate/xds/control"
)

// server is one serve process: the parts of its roles and what they share.
type server struct {
	o      serveOptions
	id     string
	log    *slog.Logger
	mesh   *mesh.Mesh // as at start; classes below follow the file
	signer *wire.Signer
	hosts  hostLink
	store  *owners.Store
	reg    *prometheus.Registry

	classes   atomic.Pointer[[]routing.Class]
	listeners []listener
	embedded  *owners.Embedded
	watcher   *owners.Watcher
	gateway   *gateway.Gateway    // of the roles gateway and picker
	control   *control.Server     // of the role control
	rollouts  *rollout.Controller // likewise
	parts     []part
	onMesh    []func(*mesh.Mesh) // told of each good reload
	ready     []readiness
}

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// readiness is one line of /readyz.
type readiness struct {
	name string
	why  func() error // nil when ready
}

type listener struct {
	key string // of the mesh file, listen.KEY
	net.Listener
}

func newServer(ctx context.Context, env *Env, m *mesh.Mesh, o serveOptions) (_ *server, err error) {
	s := &server{o: o, id: o.id, log: env.Logger, mesh: m, signer: wire.NewSigner(m.Auth.Secret), reg: prometheus.NewRegistry()}
	s.classes.Store(&m.Classes)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.id == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "skewgate"
		}
		s.id = fmt.Sprintf("%s-%d", name, os.Getpid())
	}
	if s.hosts, err = newHostLink(m, s.log); err != nil {
		return nil, err
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	s.addWatcher()
	for _, role := range []struct {
		name string
		add  func() error
	}{{roleControl, s.addControl}, {roleGateway, s.addGateway}, {rolePicker, s.addPicker}} {
		if s.has(role.name) {
			if err := role.add(); err != nil {
				return nil, err
			}
		}
	}
	if err := s.addAdmin(); err != nil {
		return nil, err
	}
	s.addReload()
	return s, nil
}

func (s *server) has(role string) bool { return slices.Contains(s.o.roles, role) }

// close frees what newServer took, after run or when it failed half-way.
func (s *server) close() {
	for _, l := range s.listeners {
		l.Close()
	}
	if s.store != nil {
		s.store.Close()
	}
	if s.embedded != nil {
		s.embedded.Close()
	}
}

func (s *server) add(name string, run func(context.Context) error) {
	s.parts = append(s.parts, part{name, run})
}

// listen binds before anything runs, so that a port in use stops the start and
// nothing is half up.
func (s *server) listen(key, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen.%s: %w\n    → choose another port under listen.%s in %s, or stop what holds this one", key, unwrapListen(err), key, s.o.config)
	}
	s.listeners = append(s.listeners, listener{key, l})
	return l, nil
}

func (s *server) listening() string {
	var all []string
	for _, l := range s.listeners {
		all = append(all, l.key+"="+l.Addr().String())
	}
	return strings.Join(all, " ")
}

// unwrapListen drops net's "listen tcp" from what the system says.
func unwrapListen(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return fmt.Errorf("%s: %w", op.Addr, op.Err)
	}
	return err
}

// addReload takes over classes of a changed mesh file; what needs a restart is said.
func (s *server) addReload() {
	s.add("mesh file", func(ctx context.Context) error {
		first := true
		mesh.Watch(ctx, s.o.config, s.log, func(m *mesh.Mesh) {
			if s.o.store != "" {
				m.Store.URL = s.o.store
			}
			if keys := s.mesh.NeedsRestart(m); len(keys) > 0 {
				s.log.Warn("mesh file changed; these keys wait for a restart", "file", s.o.config, "keys", strings.Join(keys, ","))
			}
			s.classes.Store(&m.Classes)
			for _, f := range s.onMesh {
				f(m)
			}
			if !first {
				s.log.Info("mesh file taken over", "file", s.o.config, "classes", len(m.Classes))
			}
			first = false
		})
		return nil
	})
}

func (s *server) currentClasses() []routing.Class { return *s.classes.Load() }
