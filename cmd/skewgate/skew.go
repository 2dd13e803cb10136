package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/rollout/skew"
)

func newSkewCommand(env *Env) *cobra.Command {
	api, out, q := &api{env: env}, &output{}, skew.Query{}
	cmd := &cobra.Command{
		Use:   "skew",
		Short: "who talks to whom, at which versions, now",
		Long: "skew shows every caller version and object version that met lately, how often, with what result, and whether\n" +
			"they understand each other. The last line says what the answer rests on.",
		Example: "  skewgate skew\n  skewgate skew --class Cart --caller batch@v40 -w\n  skewgate skew --since 24h -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Skew, error) { return c.Skew(ctx, q) }, skewTable)
		},
	}
	api.bind(cmd)
	out.bind(cmd, true)
	f := cmd.Flags()
	f.StringVar(&q.Class, "class", "", "only calls on objects of this class")
	f.StringVar(&q.Caller, "caller", "", "only calls by this app@version, or by all versions of an app")
	f.StringVar(&q.App, "app", "", "only calls on objects of this app")
	f.DurationVar(&q.Since, "since", time.Hour, "how far back, at most a week")
	return cmd
}

func skewTable(p *page, s admin.Skew) {
	compat := left("COMPAT")
	compat.paint = func(v string) string {
		switch skew.Verdict(v) {
		case skew.OK:
			return p.paint(green, v)
		case skew.Fail:
			return p.paint(red, v)
		case skew.Partial, skew.NotKnown:
			return p.paint(yellow, v)
		}
		return v
	}
	columns := []column{
		left("CALLER"), left("OBJECT"), right("CALLS/S"), right("OBJECTS"), right("ERR%"), compat, left("LAST"),
		wideRight("CALLS"), wideRight("P50"), wideRight("P99"), wideLeft("WHY"),
	}
	rows := make([][]string, len(s.Lines))
	for i, l := range s.Lines {
		rows[i] = []string{
			l.Caller, l.Class + "@" + dash(l.Version), fmt.Sprintf("%.1f", l.Rate), someObjects(l.Objects), errorPercent(l), string(l.Compat), ago(s.Evidence, l.Last),
			thousands(l.Calls), latency(time.Duration(l.P50)), latency(time.Duration(l.P99)), whySkew(l),
		}
	}
	p.table(columns, rows)
	p.line("%s", evidenceLine(s))
}

// evidenceLine is part of the answer: how old, from how many gateways.
func evidenceLine(s admin.Skew) string {
	e := s.Evidence
	parts := []string{fmt.Sprintf("%d versions live", s.VersionsLive)}
	if n := len(s.Stragglers); n > 0 {
		word := "stragglers"
		if n == 1 {
			word = "straggler"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%s)", n, word, strings.Join(s.Stragglers, ", ")))
	}
	parts = append(parts, "view age "+age(time.Duration(e.Age)), fmt.Sprintf("%d/%d gateways", e.Seen, e.Expected))
	if len(e.Missing) > 0 {
		parts = append(parts, "silent: "+strings.Join(e.Missing, ", "))
	}
	if !e.Covers() {
		parts = append(parts, "tallies go back "+age(e.At.Sub(e.Since)))
	}
	if e.Folded > 0 {
		parts = append(parts, thousands(e.Folded)+" calls folded into other")
	}
	return strings.Join(parts, ", ")
}

func someObjects(n int64) string {
	if n == 0 {
		return "-"
	}
	return thousands(n)
}

func errorPercent(l skew.Line) string {
	if l.Calls == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", 100*float64(l.Errors)/float64(l.Calls))
}

// justNow is how fresh a call must be to count as now: tallies are written every second.
const justNow = 3 * time.Second

func ago(e skew.Evidence, t time.Time) string {
	d := e.At.Sub(t)
	if d < justNow {
		return "now"
	}
	return age(d) + " ago"
}

func latency(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

func whySkew(l skew.Line) string {
	var parts []string
	for _, x := range l.Incompatible {
		parts = append(parts, x.Rule+" "+x.Method)
	}
	for code, n := range l.Codes {
		parts = append(parts, fmt.Sprintf("%s×%s", code, thousands(n)))
	}
	return strings.Join(parts, ", ")
}
