package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/wire"
)

func newRolloutCommand(env *Env) *cobra.Command {
	api := &api{env: env}
	cmd := &cobra.Command{Use: "rollout", Aliases: []string{"rollouts"}, Short: "move objects from version to version, step by step"}
	api.bind(cmd)
	cmd.AddCommand(
		newRolloutStartCommand(env, api), newRolloutPreviewCommand(env, api), newRolloutStatusCommand(env, api),
		newRolloutListCommand(env, api), newRolloutHistoryCommand(env, api),
		newRolloutActCommand(env, api, "promote", "take the next step now; --full takes the last"),
		newRolloutActCommand(env, api, "pause", "stay at this step"),
		newRolloutActCommand(env, api, "resume", "go on; the step's bake begins anew"),
		newRolloutActCommand(env, api, "abort", "go back to what was before, now"),
		newRolloutActCommand(env, api, "undo", "a new rollout back to an earlier version"),
		newRolloutActCommand(env, api, "retry", "begin the newest rollout anew, with the same objects first"),
	)
	return cmd
}

// rolloutFlags are those of start and preview.
type rolloutFlags struct {
	start    admin.RolloutStart
	steps    string
	bake     time.Duration
	deadline time.Duration
	pause    time.Duration
	move     string
	rate     string
}

func (f *rolloutFlags) bind(cmd *cobra.Command) {
	fl := cmd.Flags()
	s := &f.start
	fl.StringVar(&s.To, "to", "", "the version that objects shall run")
	fl.StringVar(&s.From, "from", "", "the version that runs now, where no deployment is recorded and several are live")
	fl.StringVar(&f.steps, "steps", "100", "shares of the new version in percent, rising: 1,5,20,50,100")
	fl.StringVar(&f.steps, "weight", "100", "one step to this share")
	fl.DurationVar(&f.bake, "bake", 0, "after each step: watch errors, p99 and stale instances for so long before the next")
	fl.StringVar(&f.move, "move", "lazy", "lazy: active objects move when idle; drain: they are asked to; now: with a short deadline")
	fl.StringVar(&f.rate, "move-rate", "", "moves per second and class, 10/s; the class's own without it")
	fl.IntVar(&s.Move.InFlight, "max-moves", 0, "moves at a time and class; the class's own without it")
	fl.DurationVar(&f.deadline, "move-deadline", 0, "of one move; 30s, with --move now 2s")
	fl.DurationVar(&f.pause, "move-pause", 0, "least time between two moves of one object")
	fl.Int64Var(&s.Limits.MinRequests, "min-requests", 50, "fewer in a bake are no data: the rollout pauses")
	fl.Float64Var(&s.Limits.MaxErrorRise, "max-error-rise", 0.01, "how much the share of failed calls may be higher than with the old version")
	fl.Float64Var(&s.Limits.MaxP99Ratio, "max-p99-ratio", 2, "how many times the old version's p99 it may be")
	fl.BoolVar(&s.AutoAbort, "auto-abort", false, "a failed bake goes back instead of pausing")
	fl.StringVar(&s.Order, "order", "objects-first", "objects-first: refuse when workers that need the new version are live already; any: let the objects catch up")
	fl.StringVar(&s.Override, "override", "", "start although preflight refuses, for this reason (it is recorded)")
	fl.BoolVar(&s.Replace, "replace", false, "roll over a rollout that is under way")
	cmd.MarkFlagsMutuallyExclusive("steps", "weight")
	_ = cmd.MarkFlagRequired("to") // the flag exists
}

// request turns the flags into what the API takes.
func (f *rolloutFlags) request(app string) (admin.RolloutStart, error) {
	s := f.start
	s.App, s.Bake = app, wire.Seconds(f.bake)
	s.Move.Mode, s.Move.Deadline, s.Move.MinPause = routing.MoveMode(f.move), wire.Seconds(f.deadline), wire.Seconds(f.pause)
	for part := range strings.SplitSeq(f.steps, ",") {
		p, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(part), "%"), 64)
		if err != nil {
			return s, fmt.Errorf("--steps %q: %q is no number\n    → --steps 1,5,20,50,100", f.steps, part)
		}
		s.Steps = append(s.Steps, p)
	}
	if f.rate != "" {
		r, err := strconv.ParseFloat(strings.TrimSuffix(f.rate, "/s"), 64)
		if err != nil || r <= 0 {
			return s, fmt.Errorf("--move-rate %q: use moves per second, such as 10/s", f.rate)
		}
		s.Move.Rate = r
	}
	return s, nil
}

func newRolloutStartCommand(env *Env, api *api) *cobra.Command {
	out, f := &output{}, &rolloutFlags{}
	cmd := &cobra.Command{
		Use: "start APP --to VERSION", Short: "start a rollout, after its preflight", Args: cobra.ExactArgs(1),
		Example: "  skewgate rollout start shop --to v42 --steps 1,5,20,50,100 --bake 10m --move drain --max-moves 64 --move-rate 10/s",
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := f.request(args[0])
			if err != nil {
				return err
			}
			c, err := api.client()
			if err != nil {
				return err
			}
			if req.DryRun {
				return show(cmd.Context(), env, out, func(ctx context.Context) (admin.RolloutPreview, error) { return c.PreviewRollout(ctx, req) }, previewPage)
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Rollout, error) { return c.StartRollout(ctx, req) }, rolloutPage)
		},
	}
	f.bind(cmd)
	cmd.Flags().BoolVar(&f.start.DryRun, "dry-run", false, "only say what would happen")
	out.bind(cmd, false)
	return cmd
}

func newRolloutPreviewCommand(env *Env, api *api) *cobra.Command {
	out, f := &output{}, &rolloutFlags{}
	cmd := &cobra.Command{
		Use: "preview APP --to VERSION", Short: "how many objects would move, from where to where; nothing is touched", Args: cobra.ExactArgs(1),
		Example: "  skewgate rollout preview shop --to v42 --weight 20\n  skewgate rollout preview shop --to v42 --id Cart/8812",
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := f.request(args[0])
			if err != nil {
				return err
			}
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.RolloutPreview, error) { return c.PreviewRollout(ctx, req) }, previewPage)
		},
	}
	f.bind(cmd)
	cmd.Flags().StringSliceVar(&f.start.Objects, "id", nil, "say when this object moves, CLASS/ID; may be repeated")
	out.bind(cmd, false)
	return cmd
}

func newRolloutListCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	cmd := &cobra.Command{
		Use: "list", Short: "the newest rollout of every app", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Rollout], error) { return c.Rollouts(ctx) }, rolloutsTable)
		},
	}
	out.bind(cmd, true)
	return cmd
}

func newRolloutHistoryCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	var limit int
	cmd := &cobra.Command{
		Use: "history APP", Short: "every change, by whom and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.RolloutChange], error) {
				return c.RolloutHistory(ctx, args[0], limit)
			}, changesTable)
		},
	}
	out.bind(cmd, false)
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

func newRolloutActCommand(env *Env, api *api, verb, short string) *cobra.Command {
	out, ask := &output{}, rollout.Ask{}
	cmd := &cobra.Command{
		Use: verb + " APP", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Rollout, error) { return c.ActOnRollout(ctx, args[0], verb, ask) }, rolloutPage)
		},
	}
	out.bind(cmd, false)
	f := cmd.Flags()
	f.StringVar(&ask.Reason, "reason", "", "for the history")
	switch verb {
	case "promote":
		f.BoolVar(&ask.Full, "full", false, "to the last step")
	case "undo":
		f.StringVar(&ask.To, "to", "", "the version to go back to; without it the one before")
	}
	if verb == "promote" || verb == "abort" || verb == "undo" || verb == "retry" {
		f.StringVar(&ask.Override, "override", "", "do it although it is refused, for this reason (it is recorded)")
	}
	return cmd
}
