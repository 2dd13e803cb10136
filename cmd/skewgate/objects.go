package main

import (
	"context"
	"fmt"
	"strconv"
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
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "list objects that have a pin", Args: cobra.NoArgs,
		Long: "list shows about --limit objects, sorted. --all shows every one, page by page as they come, each page sorted by itself;\n" +
			"-o json then writes one list a line, -o yaml one document a page. An object that changes meanwhile may be there twice.",
		Example: "  skewgate objects list --class Cart --moving\n  skewgate objects list --host h-3 -o wide\n  skewgate objects list --all -o json | jq -r '.items[].object'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			if all {
				return showAllObjects(cmd.Context(), env, out, c, q)
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Object], error) { return objectsUpTo(ctx, c, q) }, objectsTable)
		},
	}
	out.bind(cmd, true)
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "every object, page by page")
	f.StringVar(&q.Class, "class", "", "only objects of this class")
	f.StringVar(&q.Version, "version", "", "only those that run, or ran last, this version")
	f.StringVar(&q.Host, "host", "", "only those of this host (name or session)")
	f.StringVar(&q.State, "state", "", "only owned, released or orphaned ones")
	f.BoolVar(&q.Moving, "moving", false, "only those that do not run their assigned version")
	f.IntVar(&q.Limit, "limit", 100, "about so many, up to 10000")
	cmd.MarkFlagsMutuallyExclusive("all", "limit")
	cmd.MarkFlagsMutuallyExclusive("all", "watch")
	return cmd
}

// objectsUpTo asks until it has about as many objects as are wanted: a page may
// end early when a filter passes over most of what is there.
func objectsUpTo(ctx context.Context, c *admin.Client, q admin.ObjectQuery) (admin.List[admin.Object], error) {
	out := admin.List[admin.Object]{Items: []admin.Object{}} // an empty list is written as one
	for want := q.Limit; ; q.Limit = want - len(out.Items) {
		page, err := c.Objects(ctx, q)
		if err != nil {
			return out, err
		}
		page.Items = append(out.Items, page.Items...)
		page.Unreadable += out.Unreadable
		out, q.Cursor = page, page.Cursor
		if page.Cursor == "" || len(out.Items) >= want {
			return out, nil
		}
	}
}

// pageOfAll is how many objects --all asks for at a time.
const pageOfAll = 1000

// showAllObjects writes page after page; none is kept.
func showAllObjects(ctx context.Context, env *Env, o *output, c *admin.Client, q admin.ObjectQuery) error {
	if err := o.valid(); err != nil {
		return err
	}
	o.stream = true
	q.Limit = pageOfAll
	for headed := false; ; {
		l, err := c.Objects(ctx, q)
		if err != nil {
			return apiError(err)
		}
		q.Cursor = l.Cursor
		if len(l.Items) > 0 || l.Unreadable > 0 || q.Cursor == "" && !headed {
			l.Truncated, l.Cursor = false, ""
			if err := write(env, o, l, func(p *page, l admin.List[admin.Object]) { objectRows(p, l, headed) }); err != nil {
				return err
			}
			headed = true
		}
		if q.Cursor == "" {
			return nil
		}
	}
}

func objectsTable(p *page, l admin.List[admin.Object]) {
	objectRows(p, l, false)
	if l.Truncated {
		p.line("… there are more: --all, a higher --limit, or narrow it with --class, --host, --version, --state, --moving")
	}
}

// objectRows writes one page; its columns are named unless an earlier page has done it.
func objectRows(p *page, l admin.List[admin.Object], headed bool) {
	columns := []column{
		left("OBJECT"), left("STATE"), left("HOST"), left("VERSION"), left("ASSIGNED"),
		wideRight("TOKEN"), wideRight("CONFIRMED"), wideLeft("SESSION"), wideLeft("WHY"),
	}
	rows := make([][]string, len(l.Items))
	for i, o := range l.Items {
		rows[i] = []string{o.Object, o.State, dash(o.Host), dash(o.Version), dash(o.Assigned), fmt.Sprint(o.Token), fmt.Sprint(o.Confirmed), o.Session, o.Why}
	}
	p.headed = headed
	p.table(columns, rows)
	if l.Unreadable > 0 {
		p.line("… and %s that this version cannot read: the log of the control process names them", plural(l.Unreadable, "record"))
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
		whose := "owner     "
		if o.State != "owned" {
			whose = "last      "
		}
		p.line("  "+whose+"%s (%s), %s  token %d%s", o.Host, o.Addr, o.HostState, o.Token, confirmedWords(o))
		p.line("  session   %s", o.Session)
	} else if o.Token > 0 {
		p.line("  token     %d", o.Token)
	}
	p.line("  assigned  %s: %s", dash(o.Assigned), o.Why)
	if a := o.Active; a != nil {
		p.line("  activity  %s, %d running, %d waiting, %d sockets, idle %s", a.State, a.InFlight, a.Waiting, a.Sockets, age(time.Duration(a.IdleMS)*time.Millisecond))
	}
	p.line("  fence     %s", fenceWords(o))
	for i, r := range o.Refusals {
		if i == refusalLines && !p.wide {
			p.line("  refused   … and %d more; -o wide", len(o.Refusals)-i)
			break
		}
		p.line("  refused   %s at %s, by %s: %s", tokenWord(r.Token), r.At.Local().Format(time.TimeOnly), r.Host, r.Reason)
	}
}

// refusalLines is how many of an object's last refusals are shown, but with -o wide.
const refusalLines = 3

func tokenWord(t int64) string { return "token " + strconv.FormatInt(t, 10) }

// confirmedWords says when the owner has not run an event yet.
func confirmedWords(o admin.Object) string {
	if o.State == "owned" && o.Confirmed < o.Token {
		return ", not confirmed yet: no event has run under it"
	}
	return ""
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
	var dry bool
	cmd := &cobra.Command{
		Use: "move CLASS/ID", Short: "move one object to another host now", Args: cobra.ExactArgs(1),
		Long: "move has the object's host release it after its running events, and gives the pin to another host: --host, or\n" +
			"one of its assigned version. It is served throughout. Rollouts and their budgets are not touched. Right after\n" +
			"the object's host has begun a new session, move waits for the object's next owner, at most for the old session's lease.",
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
			move := c.MoveObject
			if dry {
				move = c.TryMoveObject
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.MovedObject, error) { return move(ctx, k, m) },
				func(p *page, o admin.MovedObject) {
					if o.DryRun {
						p.line("%s would move from %s to %s; nothing was touched", o.Object, o.From, o.To)
						return
					}
					p.line("%s moved from %s to %s, token %d", o.Object, o.From, o.To, o.Token)
				})
		},
	}
	out.bind(cmd, false)
	f := cmd.Flags()
	f.StringVar(&m.Host, "host", "", "the host to move to")
	f.BoolVar(&m.Now, "now", false, "close sockets and streams at once")
	f.DurationVar(&wait, "wait", 30*time.Second, "how long running events may take, at most 5m")
	f.StringVar(&m.Reason, "reason", "", "for the object's history")
	f.BoolVar(&dry, "dry-run", false, "only say where it would go, or why it cannot")
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
	out.bind(cmd, true)
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many; the last 20 of a week are kept")
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
