package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
)

func newProxiesCommand(env *Env) *cobra.Command {
	api, out := &api{env: env}, &output{}
	cmd := &cobra.Command{
		Use:   "proxies",
		Short: "gateways and Envoys, and whether they have the newest configuration",
		Long: "proxies lists the xDS clients of the control process that answers: for each resource type whether the last\n" +
			"configuration was acknowledged (S synced), is on its way (STALE) or was refused (NACK; it uses what it had before).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Proxy], error) { return c.Proxies(ctx) }, proxiesTable)
		},
	}
	api.bind(cmd)
	out.bind(cmd, true)
	return cmd
}

func proxiesTable(p *page, l admin.List[admin.Proxy]) {
	status := func(name string) column {
		c := left(name)
		c.paint = func(v string) string {
			switch v {
			case "S":
				return p.paint(green, v)
			case "NACK":
				return p.paint(red, v)
			}
			return p.paint(yellow, v)
		}
		return c
	}
	columns := []column{
		left("NAME"), left("ROLE"), status("LDS"), status("RDS"), status("CDS"), status("EDS"), right("ACK AGE"), left("CONNECTED"),
		wideLeft("CLIENT"), wideLeft("REFUSED"),
	}
	rows := make([][]string, len(l.Items))
	for i, x := range l.Items {
		newest, refused := time.Time{}, ""
		by := map[string]string{}
		for _, t := range x.Types {
			by[t.Type] = map[string]string{"SYNCED": "S", "NACKED": "NACK", "IDLE": "-"}[t.Status]
			if by[t.Type] == "" {
				by[t.Type] = t.Status
			}
			if t.At.After(newest) {
				newest = t.At
			}
			if t.Nack != "" {
				refused += t.Type + ": " + t.Nack + " "
			}
		}
		acked, connected := "-", "yes"
		if !newest.IsZero() {
			acked = age(time.Since(newest))
		}
		if !x.Connected {
			connected = "no, since " + age(time.Since(x.Since))
		}
		rows[i] = []string{x.Node, dash(x.Cluster), dash(by["LDS"]), dash(by["RDS"]), dash(by["CDS"]), dash(by["EDS"]), acked, connected, x.UserAgent, refused}
	}
	p.table(columns, rows)
}
