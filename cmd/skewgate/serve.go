package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/skewgate/skewgate/mesh"
)

// Roles of a serve process.
const (
	roleGateway = "gateway"
	rolePicker  = "picker"
	roleControl = "control"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	config  string
	roles   []string
	store   string
	id      string
	fresh   bool
	drainIn time.Duration
}

func newServeCommand(env *Env) *cobra.Command {
	o := serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the gateway, the picker and the control plane of a mesh",
		Long: "serve runs the roles of a mesh file: gateway (the data path), picker (Envoy's ext_proc) and control (xDS,\n" +
			"rollouts, admin API). Several processes may share a store; with --store embedded one process is everything,\n" +
			"and its store, which keeps nothing over a restart, listens at listen.store for hosts on this machine.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), env, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "mesh.yaml", "the mesh file")
	f.StringSliceVar(&o.roles, "role", []string{roleGateway, rolePicker, roleControl}, "roles of this process")
	f.StringVar(&o.store, "store", "", "the store's URL, or embedded, instead of the mesh file's store.url")
	f.StringVar(&o.id, "id", "", "name of this process in the mesh; host name and process id by default")
	f.BoolVar(&o.fresh, "store-init", false, "with the embedded store: no host of an earlier run is alive, serve at once instead of waiting for leases.max")
	f.DurationVar(&o.drainIn, "drain", 20*time.Second, "how long requests may take to end after SIGTERM")
	return cmd
}

// serve runs the roles until ctx ends, then drains.
func serve(ctx context.Context, env *Env, o serveOptions) error {
	for _, r := range o.roles {
		if !slices.Contains([]string{roleGateway, rolePicker, roleControl}, r) {
			return fmt.Errorf("--role %q: use %s, %s or %s, separated by commas", r, roleGateway, rolePicker, roleControl)
		}
	}
	m, err := mesh.Load(o.config)
	if err != nil {
		return err
	}
	if o.store != "" {
		m.Store.URL = o.store
	}
	s, err := newServer(ctx, env, m, o)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx)
}

// run starts everything and waits; the first part that fails ends the others.
func (s *server) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	// What serves requests outlives ctx until it has drained.
	for _, part := range s.parts {
		group.Go(func() error {
			if err := part.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", part.name, err)
			}
			return nil
		})
	}
	s.log.Info("serving", "id", s.id, "roles", strings.Join(s.o.roles, ","), "listen", s.listening())
	return group.Wait()
}
