package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func newObjectsCommand(env *Env) *cobra.Command {
	api := &api{env: env}
	cmd := &cobra.Command{Use: "objects", Aliases: []string{"owners"}, Short: "where objects run and why: list, get, move, history"}
	api.bind(cmd)
	cmd.AddCommand(newObjectsListCommand(env, api), newObjectsGetCommand(env, api), newObjectsMoveCommand(env, api), newObjectsHistoryCommand(env, api))
	return cmd
}

// objectArg reads CLASS/ID as people type it: the id as it is, or percent-encoded.
func objectArg(s string) (owners.Key, error) {
	k, err := owners.ParseKey(s)
	if err != nil {
		return k, fmt.Errorf("%w\n    → write CLASS/ID, such as Cart/8812; a slash within the id is %%2F", err)
	}
	return k, nil
}

func newObjectsListCommand(env *Env, api *api) *cobra.Command {
	out, q := &output{}, admin.ObjectQuery{}
	cmd := &cobra.Command{
		Use: "list", Short: "list objects that have a pin", Args: cobra.NoArgs,
		Example: "  skewgate objects list --class Cart --moving\n  skewgate objects list --host h-3 -o wide",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Object], error) { return c.Objects(ctx, q) }, objectsTable)
		},
	}
	out.bind(cmd, true)
	f := cmd.Flags()
	f.StringVar(&q.Class, "class", "", "only objects of this class")
	f.StringVar(&q.Version, "version", "", "only those that run, or ran last, this version")
	f.StringVar(&q.Host, "host", "", "only those of this host (name or session)")
	f.StringVar(&q.State, "state", "", "only owned, released or orphaned ones")
	f.BoolVar(&q.Moving, "moving", false, "only those that do not run their assigned version")
	f.IntVar(&q.Limit, "limit", 100, "at most so many, up to 10000")
	return cmd
}

func objectsTable(p *page, l admin.List[admin.Object]) {
	columns := []column{
		left("OBJECT"), left("STATE"), left("HOST"), left("VERSION"), left("ASSIGNED"),
		wideRight("TOKEN"), wideLeft("SESSION"), wideLeft("WHY"),
	}
	rows := make([][]string, len(l.Items))
	for i, o := range l.Items {
		rows[i] = []string{o.Object, o.State, dash(o.Host), dash(o.Version), dash(o.Assigned), fmt.Sprint(o.Token), o.Session, o.Why}
	}
	p.table(columns, rows)
	if l.Truncated {
		p.line("… there are more: --limit, or narrow it with --class, --host, --version, --moving")
	}
}

func newObjectsGetCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	cmd := &cobra.Command{
		Use: "get CLASS/ID", Short: "one object: its owner, its token, its version and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := objectArg(args[0])
			if err != nil {
				return err
			}
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Object, error) { return c.Object(ctx, k) }, objectPage)
		},
	}
	out.bind(cmd, true)
	return cmd
}

func objectPage(p *page, o admin.Object) {
	p.line("class %s  id %s  version %s  %s", o.Class, o.ID, dash(o.Version), o.State)
	if o.Host != "" {
		p.line("  owner     %s (%s), %s  token %d", o.Host, o.Addr, o.HostState, o.Token)
		p.line("  session   %s", o.Session)
	} else if o.Token > 0 {
		p.line("  token     %d", o.Token)
	}
	p.line("  assigned  %s: %s", dash(o.Assigned), o.Why)
	if a := o.Active; a != nil {
		p.line("  activity  %s, %d running, %d waiting, %d sockets, idle %s", a.State, a.InFlight, a.Waiting, a.Sockets, age(time.Duration(a.IdleMS)*time.Millisecond))
	}
	p.line("  fence     %s", fenceWords(o))
}

// fenceWords says how far the promise of one instance goes for this object.
func fenceWords(o admin.Object) string {
	gate := "gate: yes"
	if !o.Gate {
		gate = "gate: no (affinity: two instances are possible while it moves)"
	}
	switch o.Fence {
	case "":
		return gate + ", storage: not known (no live host says)"
	case "none":
		return gate + ", storage: no"
	}
	return gate + ", storage: yes (" + o.Fence + ")"
}

func newObjectsMoveCommand(env *Env, api *api) *cobra.Command {
	out, m := &output{}, admin.ObjectMove{}
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "move CLASS/ID", Short: "move one object to another host now", Args: cobra.ExactArgs(1),
		Long: "move has the object's host release it after its running events, and gives the pin to another host: --host, or\n" +
			"one of its assigned version. It is served throughout. Rollouts and their budgets are not touched.",
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := objectArg(args[0])
			if err != nil {
				return err
			}
			m.Wait = wire.Seconds(wait)
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.MovedObject, error) { return c.MoveObject(ctx, k, m) },
				func(p *page, o admin.MovedObject) {
					p.line("%s moved from %s to %s, token %d", o.Object, o.From, o.To, o.Token)
				})
		},
	}
	out.bind(cmd, false)
	f := cmd.Flags()
	f.StringVar(&m.Host, "host", "", "the host to move to")
	f.BoolVar(&m.Now, "now", false, "close sockets and streams at once")
	f.DurationVar(&wait, "wait", 30*time.Second, "how long running events may take")
	f.StringVar(&m.Reason, "reason", "", "for the object's history")
	return cmd
}

func newObjectsHistoryCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	var limit int
	cmd := &cobra.Command{
		Use: "history CLASS/ID", Short: "the last moves of one object, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := objectArg(args[0])
			if err != nil {
				return err
			}
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.ObjectMoved], error) {
				return c.ObjectHistory(ctx, k, limit)
			}, movesTable)
		},
	}
	out.bind(cmd, false)
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many")
	return cmd
}

func movesTable(p *page, l admin.List[admin.ObjectMoved]) {
	rows := make([][]string, len(l.Items))
	for i, m := range l.Items {
		rows[i] = []string{
			m.At.Format(time.RFC3339), m.Reason, dash(m.FromVersion), dash(m.ToVersion), dash(m.FromHost), dash(m.ToHost), fmt.Sprint(m.Token), m.Detail,
		}
	}
	p.table([]column{left("AT"), left("REASON"), left("FROM"), left("TO"), left("FROM HOST"), left("TO HOST"), wideRight("TOKEN"), wideLeft("DETAIL")}, rows)
}
