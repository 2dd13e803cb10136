package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/console"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/xds/control"
)

// addControl is the xDS server and the rollouts' controller.
func (s *server) addControl() error {
	ctl, err := control.New(control.Options{
		Mesh: s.mesh, Sessions: s.store, Deployments: s.newRollouts().Records, Matrix: skew.NewReader(s.store.Redis(), s.store.Prefix()),
		Instance: s.id, Logger: s.log, Registry: s.reg,
	})
	if err != nil {
		return err
	}
	l, err := s.listen("xds", s.mesh.Listen.XDS)
	if err != nil {
		return err
	}
	s.control = ctl
	s.onMesh = append(s.onMesh, func(m *mesh.Mesh) { ctl.SetMesh(m) })
	s.add("control", ctl.Run)
	s.add("xds", func(context.Context) error { return ctl.Serve(l) })
	s.add("rollouts", s.newRollouts().Run)
	s.ready = append(s.ready, readiness{"control", func() error {
		if !ctl.Ready() {
			return errors.New("has not read the store yet")
		}
		return nil
	}})
	return nil
}

// newRollouts makes the controller once; only addControl runs it.
func (s *server) newRollouts() *rollout.Controller {
	if s.rollouts == nil {
		s.rollouts = rollout.NewController(rollout.Options{
			Store: s.store, Classes: s.currentClasses, Signer: s.signer, HTTP: s.hosts.client, Scheme: s.hosts.scheme, Replica: s.id, Logger: s.log,
		})
	}
	return s.rollouts
}

// addAdmin is the API, the metrics and the page, in every process.
func (s *server) addAdmin() error {
	s.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := admin.Options{
		Store: s.store, Rollouts: s.newRollouts().Rollouts, Skew: skew.NewReader(s.store.Redis(), s.store.Prefix()),
		Classes: s.currentClasses, Ready: s.checks, Signer: s.signer, HTTP: s.hosts.client, Scheme: s.hosts.scheme,
		Console: console.Handler(),
		Metrics: promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{}),
		Token:   string(s.mesh.Auth.AdminToken), Logger: s.log,
	}
	if s.control != nil {
		o.Proxies = s.proxies
	}
	handler, err := admin.New(o)
	if err != nil {
		return err
	}
	l, err := s.listen("admin", s.mesh.Listen.Admin)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	s.add("admin", func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- srv.Serve(l) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(closing) != nil {
			srv.Close() // watchers hold their requests open
		}
		<-failed
		return nil
	})
	return nil
}

// checks are what /readyz says of this process.
func (s *server) checks(context.Context) []admin.Check {
	out := make([]admin.Check, len(s.ready))
	for i, r := range s.ready {
		out[i] = admin.Check{Name: r.name, OK: true}
		if err := r.why(); err != nil {
			out[i] = admin.Check{Name: r.name, Fatal: true, Detail: err.Error()}
		}
	}
	return out
}

// proxies are the xDS clients of this control.
func (s *server) proxies() []admin.Proxy {
	states := s.control.Proxies()
	out := make([]admin.Proxy, len(states))
	for i, p := range states {
		out[i] = admin.Proxy{Node: p.Node, Cluster: p.Cluster, UserAgent: p.UserAgent, Connected: p.Connected, Since: p.Since}
		for _, t := range p.Types {
			out[i].Types = append(out[i].Types, admin.ProxyType{
				Type: t.Type, Status: string(t.Status), Version: t.Version, At: t.At, Nack: t.Nack, Nacks: t.Nacks,
			})
		}
	}
	return out
}
