package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/owners"
)

func newDoctorCommand(env *Env) *cobra.Command {
	api, out := &api{env: env}, &output{}
	var store string
	var replicas int
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look whether the store and the mesh are safe and healthy",
		Long: "doctor asks the admin API for everything it can check: the store, hosts, watchers, gateways, rollouts, proxies.\n" +
			"With --store it looks at a store alone, before anything runs.\n\nExit status: 0 no errors (warnings are shown), 1 errors.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := func(ctx context.Context) (admin.Doctor, error) {
				c, err := api.client()
				if err != nil {
					return admin.Doctor{}, err
				}
				return c.Doctor(ctx)
			}
			if store != "" {
				ask = func(ctx context.Context) (admin.Doctor, error) { return probeStore(ctx, env, store, replicas) }
			}
			var last admin.Doctor
			err := show(cmd.Context(), env, out, func(ctx context.Context) (d admin.Doctor, err error) {
				last, err = ask(ctx)
				return last, err
			}, doctorPage)
			if err == nil && last.Errors > 0 {
				return exitError{code: exitNo}
			}
			return err
		},
	}
	api.bind(cmd)
	out.bind(cmd, true)
	cmd.Flags().StringVar(&store, "store", "", "look at this store only, redis://127.0.0.1:6379")
	cmd.Flags().IntVar(&replicas, "replicas", 0, "with --store: replicas that every write waits for (store.replicas)")
	return cmd
}

// probeStore looks at a store without a mesh around it. One that cannot be
// opened is a finding like any other; a URL that cannot be read is a usage error.
func probeStore(ctx context.Context, env *Env, url string, replicas int) (admin.Doctor, error) {
	s, err := owners.Open(ctx, owners.Options{URL: url, Replicas: replicas, Logger: env.Logger})
	if errors.Is(err, owners.ErrBadURL) {
		return admin.Doctor{}, withFix(err)
	}
	if err != nil {
		return admin.DoctorOf([]owners.Check{{Name: "open", Fatal: true, Detail: err.Error(), Fix: owners.Fix(err)}}), nil
	}
	defer s.Close()
	checks, err := s.Probe(ctx)
	if err != nil {
		checks = []owners.Check{{Name: "look", Fatal: true, Detail: err.Error(), Fix: owners.Fix(err)}}
	}
	return admin.DoctorOf(checks), nil
}

// withFix adds what to do about an error of the store, where that is known.
func withFix(err error) error {
	if fix := owners.Fix(err); fix != "" {
		return fmt.Errorf("%w\n    → %s", err, fix)
	}
	return err
}

func doctorPage(p *page, d admin.Doctor) {
	for _, c := range d.Checks {
		mark := p.paint(green, "✓")
		switch {
		case c.OK:
		case c.Fatal:
			mark = p.paint(red, "✗")
		default:
			mark = p.paint(yellow, "!")
		}
		line := mark + " " + c.Name
		if c.Detail != "" {
			line += ": " + c.Detail
		}
		p.line("%s", line)
		if !c.OK && c.Fix != "" {
			p.line("    → %s", c.Fix)
		}
	}
	p.line("%s", fmt.Sprintf("Status: %s, %s", plural(d.Errors, "error"), plural(d.Warnings, "warning")))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
