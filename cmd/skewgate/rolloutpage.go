package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/rollout"
)

func newRolloutStatusCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	var wait bool
	cmd := &cobra.Command{
		Use: "status APP", Short: "how the rollout stands", Args: cobra.ExactArgs(1),
		Long: "status shows the step, the moves and the bake. With --wait it returns when the rollout has ended or stands still:\n" +
			"exit status 0 when it completed, 1 otherwise.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(cmd.Context())
			defer stop()
			out.watch = out.watch || wait
			phase := rollout.Phase("")
			err = show(ctx, env, out, func(ctx context.Context) (admin.Rollout, error) { return c.Rollout(ctx, args[0]) },
				func(p *page, r admin.Rollout) {
					rolloutPage(p, r)
					if ro := r.Record.Rollout; ro != nil && wait && ro.Phase != rollout.Progressing {
						phase = ro.Phase
						stop()
					}
				})
			if err == nil && wait && phase != rollout.Completed {
				return exitError{code: exitNo}
			}
			return err
		},
	}
	out.bind(cmd, true)
	cmd.Flags().BoolVar(&wait, "wait", false, "until it has ended or stands still")
	return cmd
}

// rolloutPage is a rollout at a glance.
func rolloutPage(p *page, r admin.Rollout) {
	ro := r.Record.Rollout
	if ro == nil {
		p.line("%s  no rollout", r.App)
	} else {
		p.line("%s  → %s  %s  step %d/%d  %s  assigned %.4g%% (actual %.4g%%)  elapsed %s",
			r.App, ro.Spec.To, p.paint(phaseColour(ro.Phase), phaseWords(r)), ro.Step+1, len(ro.Spec.Steps), bar(r.Assigned), r.Assigned, r.Actual, age(time.Duration(r.Elapsed)))
		if ro.Reason != "" && ro.Phase != rollout.Completed {
			p.line("  %s", p.paint(phaseColour(ro.Phase), ro.Reason))
		}
	}
	p.line("  moves  %s", movesLine(r.Moves))
	if ro != nil && ro.Phase == rollout.Progressing {
		p.line("  bake   %s", bakeLine(r.Bake))
	}
	if r.NoReturn != "" {
		p.line("  %s", p.paint(yellow, "point of no return "+r.NoReturn))
	}
	rows := make([][]string, len(r.Versions))
	for i, v := range r.Versions {
		rows[i] = []string{"  " + v.Version, v.State, fmt.Sprintf("%.4g%%", v.Weight), thousands(v.Objects), thousands(v.Hosts)}
	}
	p.table([]column{left("  VERSION"), left("STATE"), right("WEIGHT"), right("OBJECTS"), right("HOSTS")}, rows)
	if ro != nil && ro.Phase.Ended() && !r.Converged {
		p.line("  not converged: active objects move when they are next idle")
	}
	for _, n := range r.Next {
		p.line("    → %s", n)
	}
}

func phaseWords(r admin.Rollout) string {
	if r.Activity != "" && r.Activity != string(r.Record.Rollout.Phase) {
		return string(r.Record.Rollout.Phase) + " (" + r.Activity + ")"
	}
	return string(r.Record.Rollout.Phase)
}

func phaseColour(p rollout.Phase) string {
	switch p {
	case rollout.Completed:
		return green
	case rollout.Aborted, rollout.Frozen:
		return red
	}
	return yellow
}

// bar draws a share in twenty places.
func bar(percent float64) string {
	n := int(percent/5 + 0.5)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", 20-n) + "]"
}

func movesLine(m rollout.MoveStatus) string {
	parts := []string{fmt.Sprintf("%s  %s done", m.Mode, thousands(m.Done))}
	flight := thousands(m.InFlight) + " in flight"
	if m.Max > 0 {
		flight += fmt.Sprintf(" (max %d)", m.Max)
	}
	parts = append(parts, flight, thousands(m.Failed)+" failed")
	if m.Remaining >= 0 {
		parts = append(parts, thousands(m.Remaining)+" to go")
	}
	if m.Rate > 0 {
		parts = append(parts, fmt.Sprintf("budget %.4g/s", m.Rate))
	}
	if m.ETA > 0 {
		parts = append(parts, "eta "+age(time.Duration(m.ETA)))
	}
	return strings.Join(parts, "  ")
}

func bakeLine(b rollout.BakeStatus) string {
	if b.For == 0 {
		return "none"
	}
	s := fmt.Sprintf("%s of %s", time.Duration(b.Done), time.Duration(b.For))
	switch {
	case b.Analysis == nil:
	case b.Analysis.Verdict == rollout.BakeNoData:
		s += "  " + b.Analysis.Reason
	default:
		s += fmt.Sprintf("  %s: %s", b.Analysis.Verdict, b.Analysis.Reason)
	}
	return s
}

func rolloutsTable(p *page, l admin.List[admin.Rollout]) {
	rows := make([][]string, len(l.Items))
	for i, r := range l.Items {
		rows[i] = []string{r.App, "-", "-", "-", "-", "-", ""}
		if ro := r.Record.Rollout; ro != nil {
			rows[i] = []string{
				r.App, ro.Spec.To, phaseWords(r), fmt.Sprintf("%d/%d", ro.Step+1, len(ro.Spec.Steps)),
				fmt.Sprintf("%.4g%%", r.Assigned), fmt.Sprintf("%.4g%%", r.Actual), ro.Reason,
			}
		}
	}
	p.table([]column{left("APP"), left("TO"), left("PHASE"), left("STEP"), right("ASSIGNED"), right("ACTUAL"), wideLeft("REASON")}, rows)
}

func changesTable(p *page, l admin.List[admin.RolloutChange]) {
	rows := make([][]string, len(l.Items))
	for i, c := range l.Items {
		why := c.Reason
		if c.Override != "" {
			why = strings.TrimSpace(why + " (override: " + c.Override + ")")
		}
		rows[i] = []string{c.At.Format(time.RFC3339), c.By, c.Action, dash(c.To), fmt.Sprintf("%.4g%%", c.Weight), string(c.Phase), why}
	}
	p.table([]column{left("AT"), left("BY"), left("ACTION"), left("TO"), right("WEIGHT"), left("PHASE"), left("WHY")}, rows)
}

func previewPage(p *page, v admin.RolloutPreview) {
	p.line("%s → %s: %s active objects", v.App, v.To, thousands(v.Active))
	rows := make([][]string, len(v.Steps))
	for i, s := range v.Steps {
		var from []string
		for _, m := range s.Moves {
			from = append(from, fmt.Sprintf("%s→%s %s", m.From, m.To, thousands(m.Count)))
		}
		rows[i] = []string{fmt.Sprintf("%.4g%%", s.Percent), thousands(s.Total), strings.Join(from, ", ")}
	}
	p.table([]column{right("SHARE"), right("MOVED"), left("FROM → TO")}, rows)
	for _, o := range v.Objects {
		p.line("%s runs %s now; it runs %s from %.4g%% on", o.Object, dash(o.Runs), v.To, o.Percent)
	}
	if len(v.Reasons) > 0 {
		p.line("%s", p.paint(red, "start would be "+(&rollout.Refusal{Reasons: v.Reasons}).Error()))
	}
}
