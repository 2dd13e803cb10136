package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
)

func newHostsCommand(env *Env) *cobra.Command {
	api := &api{env: env}
	cmd := &cobra.Command{Use: "hosts", Short: "processes that run objects: list, get, cordon, uncordon, drain"}
	api.bind(cmd)
	cmd.AddCommand(
		newHostsListCommand(env, api), newHostsGetCommand(env, api),
		newHostsActCommand(env, api, "cordon", "take no new objects; those it has stay"),
		newHostsActCommand(env, api, "uncordon", "take new objects again"),
		newHostsActCommand(env, api, "drain", "give all objects away, then end"),
	)
	return cmd
}

func newHostsListCommand(env *Env, api *api) *cobra.Command {
	out, q := &output{}, admin.HostQuery{}
	cmd := &cobra.Command{
		Use: "list", Short: "list hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Host], error) { return c.Hosts(ctx, q) }, hostsTable)
		},
	}
	out.bind(cmd, true)
	f := cmd.Flags()
	f.StringVar(&q.App, "app", "", "only hosts of this app")
	f.StringVar(&q.Version, "version", "", "only hosts of this version")
	f.BoolVar(&q.All, "all", false, "those that ended, too")
	return cmd
}

func hostsTable(p *page, l admin.List[admin.Host]) {
	state := left("STATE")
	state.paint = func(v string) string {
		switch v {
		case "ready":
			return p.paint(green, v)
		case "dead", "not-ready":
			return p.paint(red, v)
		}
		return p.paint(yellow, v)
	}
	columns := []column{
		left("NAME"), left("ADDR"), left("VERSION"), state, right("OBJECTS"), right("INFLIGHT"), right("HEARTBEAT"),
		wideRight("LEASE"), wideLeft("CLASSES"), wideLeft("SESSION"),
	}
	rows := make([][]string, len(l.Items))
	for i, h := range l.Items {
		version := h.App + "@" + h.Version
		if h.Preview != "" {
			version += " (preview " + h.Preview + ")"
		}
		rows[i] = []string{
			h.Name, h.Addr, version, h.State, thousands(h.Objects), thousands(h.InFlight), age(time.Duration(h.Heartbeat)),
			time.Duration(h.Lease).String(), strings.Join(h.Classes, ","), h.Session,
		}
	}
	p.table(columns, rows)
}

func newHostsGetCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	cmd := &cobra.Command{
		Use: "get NAME", Short: "one host, with what it says itself", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Host, error) { return c.Host(ctx, args[0]) }, hostPage)
		},
	}
	out.bind(cmd, true)
	return cmd
}

func hostPage(p *page, h admin.Host) {
	p.line("%s  %s@%s  %s", h.Name, h.App, h.Version, h.State)
	p.line("  address    %s", h.Addr)
	p.line("  session    %s", h.Session)
	p.line("  classes    %s", strings.Join(h.Classes, ", "))
	p.line("  lease      %s, renewed %s ago", time.Duration(h.Lease), age(time.Duration(h.Heartbeat)))
	p.line("  objects    %s active, %s events running", thousands(h.Objects), thousands(h.InFlight))
	if h.Active == nil {
		return
	}
	p.line("  fence      %s", h.Active.Fence)
	p.line("  lease left %s (as the host sees it)", age(time.Duration(h.Active.LeaseMS)*time.Millisecond))
	refused := h.Active.Refusals
	if !p.wide {
		refused = refused[:min(len(refused), refusalLines)]
	}
	for _, r := range refused {
		p.line("  refused    %s %s at %s: %s", dash(r.Object), tokenWord(r.Token), r.At.Local().Format(time.TimeOnly), r.Reason)
	}
	if n := len(h.Active.Refusals) - len(refused); n > 0 {
		p.line("  refused    … and %d more; -o wide", n)
	}
	rows := make([][]string, 0, len(h.Active.Objects))
	for _, o := range h.Active.Objects {
		rows = append(rows, []string{
			o.Object, o.State, thousands(o.InFlight), thousands(o.Waiting), thousands(o.Sockets), age(time.Duration(o.IdleMS) * time.Millisecond), thousands(o.Token),
		})
	}
	if len(rows) > 0 {
		p.line("")
		p.table([]column{left("OBJECT"), left("STATE"), right("RUNNING"), right("WAITING"), right("SOCKETS"), right("IDLE"), wideRight("TOKEN")}, rows)
	}
}

func newHostsActCommand(env *Env, api *api, verb, short string) *cobra.Command {
	out := &output{}
	var dry bool
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			act := c.ActOnHost
			if dry {
				act = c.TryActOnHost
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Host, error) { return act(ctx, args[0], verb) },
				func(p *page, h admin.Host) {
					if h.DryRun {
						p.line("%s would be %s, with %s and %s running; nothing was touched", h.Name, h.State, plural(h.Objects, "object"), plural(h.InFlight, "event"))
						return
					}
					p.line("%s %s: the host hears it at its next renewal, within %s", h.Name, h.State, time.Duration(h.Lease)/4)
				})
		},
	}
	out.bind(cmd, false)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be, or why it cannot")
	return cmd
}
