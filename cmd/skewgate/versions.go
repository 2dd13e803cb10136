package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
)

func newVersionsCommand(env *Env) *cobra.Command {
	api := &api{env: env}
	cmd := &cobra.Command{Use: "versions", Short: "versions that are live, and in which state: list, get"}
	api.bind(cmd)
	cmd.AddCommand(newVersionsListCommand(env, api), newVersionsGetCommand(env, api))
	return cmd
}

func newVersionsListCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	var app string
	cmd := &cobra.Command{
		Use: "list", Short: "list versions of all apps", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Version], error) { return c.Versions(ctx, app) }, versionsTable)
		},
	}
	out.bind(cmd, true)
	cmd.Flags().StringVar(&app, "app", "", "only versions of this app")
	return cmd
}

func versionsTable(p *page, l admin.List[admin.Version]) {
	state := left("STATE")
	state.paint = func(v string) string {
		switch {
		case strings.HasPrefix(v, "active"):
			return p.paint(green, v)
		case strings.HasPrefix(v, "ramping"), strings.HasPrefix(v, "draining"):
			return p.paint(yellow, v)
		}
		return v
	}
	columns := []column{
		left("APP"), left("VERSION"), state, right("WEIGHT"), right("HOSTS"), right("OBJECTS"), left("CALLERS"),
		wideRight("CALLS"), wideRight("CALLING"), wideLeft("SCHEMA"), wideLeft("LAST CALL"),
	}
	rows := make([][]string, len(l.Items))
	for i, v := range l.Items {
		weight, schema := "-", "no"
		if v.Weight > 0 {
			weight = fmt.Sprintf("%.4g%%", v.Weight)
		}
		if v.Schema {
			schema = "yes"
		}
		rows[i] = []string{
			v.App, v.Version, versionWords(v), weight, thousands(v.Hosts), thousands(v.Objects), dash(strings.Join(v.Callers, ",")),
			thousands(v.Calls), thousands(v.Calling), schema, lastSeen(v.LastSeen),
		}
	}
	p.table(columns, rows)
}

// versionWords is the state, and for those that ended since when.
func versionWords(v admin.Version) string {
	if v.State == "drained" && !v.Since.IsZero() {
		return "drained since " + v.Since.Format(time.RFC3339)
	}
	return v.State
}

func lastSeen(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func newVersionsGetCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	cmd := &cobra.Command{
		Use: "get APP VERSION", Short: "one version", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Version, error) { return c.Version(ctx, args[0], args[1]) }, versionPage)
		},
	}
	out.bind(cmd, true)
	return cmd
}

func versionPage(p *page, v admin.Version) {
	p.line("%s@%s  %s", v.App, v.Version, versionWords(v))
	p.line("  weight    %.4g %%", v.Weight)
	p.line("  hosts     %d ready, %s objects", v.Hosts, thousands(v.Objects))
	p.line("  called    %s times in the last hour, by %s", thousands(v.Calls), dash(strings.Join(v.Callers, ", ")))
	p.line("  calling   %s times in the last hour", thousands(v.Calling))
	p.line("  last call %s", lastSeen(v.LastSeen))
	if v.Schema {
		p.line("  schema    registered")
	} else {
		p.line("  schema    none\n    → skewgate schema push INPUT --app %s --version %s", v.App, v.Version)
	}
}
