package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

const inputHelp = `An INPUT is one of
  DIR                                a directory of .proto files; DIR,prefix=etcd/api when they are imported below that path
  REPO.git#tag=v41,subdir=proto      a git revision, read without a checkout (tag=, branch=, ref= or commit=; .git is the one here)
  FILE.binpb                         a FileDescriptorSet or buf image (.binpb .bin .json, each also with .gz)
  -                                  the same on standard input
  APP@VERSION                        from the registry of a running mesh`

func newCompatCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compat",
		Short: "prove which versions may meet",
		Long: "compat answers one question: if a writer of one version and a reader of another exchange a message, what\n" +
			"happens? Every finding says for whom, when, and shows a message. No server is needed.\n\n" + inputHelp + "\n\n" +
			"Exit status: 0 compatible in the window, 1 findings, 2 usage or input, 3 unknown (a version that is not registered).",
	}
	cmd.AddCommand(newCompatCheckCommand(env), newCompatMatrixCommand(env), newCompatPlanCommand(env), newCompatExplainCommand(env))
	return cmd
}

// compatFlags are what check, matrix and plan have in common.
type compatFlags struct {
	api         api
	protoPath   []string
	manifest    string
	classes     []string
	services    []string
	state       []string
	window      string
	encodings   []string
	profile     string
	allMessages bool
	strict      bool
	full        bool
}

func (o *compatFlags) bind(cmd *cobra.Command, env *Env) {
	o.api.env = env
	o.api.bind(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.protoPath, "proto-path", nil, "where imports are looked up after the input; repeatable")
	f.StringVar(&o.manifest, "manifest", "", "instead of "+schema.ManifestName+" at the root of each input")
	f.StringArrayVar(&o.classes, "class", nil, "check only this class; repeatable")
	f.StringSliceVar(&o.encodings, "encoding", nil, strings.Join(schema.Encodings, ", ")+" (default: each class's own, else binary)")
	f.StringVar(&o.profile, "profile", "", "how readers decode: "+strings.Join(schema.Profiles, " or ")+" (default: each app's own, else spec)")
	f.BoolVar(&o.full, "full", false, "compile everything, also what is equal on both sides; findings do not depend on it")
	if err := f.MarkHidden("full"); err != nil {
		panic(err) // the flag is two lines above
	}
}

// bindScope adds what a check of two inputs may be narrowed to.
func (o *compatFlags) bindScope(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.services, "service", nil, "check only this service, by its full name; repeatable")
	f.StringArrayVar(&o.state, "state", nil, "check this message as state that objects persist, and services only if --service names them; repeatable")
	f.BoolVar(&o.allMessages, "all-messages", false, "every message of the input is request, response and state")
}

func (o *compatFlags) bindWindow(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.window, "window", "", strings.Join(schema.Windows, ", ")+" (default: the new side's manifest's, else auto)")
	f.BoolVar(&o.strict, "strict", false, "in window mixed: what is new counts as used")
}

func (o *compatFlags) options() compat.Options {
	opts := compat.Options{
		Window: compat.Window(o.window), Profile: compat.Profile(o.profile), Classes: o.classes,
		Services: o.services, State: o.state, AllMessages: o.allMessages, Strict: o.strict,
	}
	for _, e := range o.encodings {
		opts.Encodings = append(opts.Encodings, compat.Encoding(e))
	}
	return opts
}

func (o *compatFlags) loading(env *Env, opts compat.Options) schema.Options {
	return schema.Options{
		ProtoPath: o.protoPath, ManifestFile: o.manifest, Stdin: env.Stdin, Full: o.full,
		Registry: &meshRegistry{api: &o.api}, Want: opts.Want,
	}
}

// pairInputs are --old and --new.
type pairInputs struct{ old, new string }

func (p *pairInputs) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.old, "old", "", "INPUT that runs now")
	cmd.Flags().StringVar(&p.new, "new", "", "INPUT that is to be rolled out")
}

func (p *pairInputs) parse() (oldInput, newInput schema.Input, err error) {
	switch {
	case p.old == "" || p.new == "":
		return oldInput, newInput, fmt.Errorf("--old and --new are needed\n    → for example: skewgate compat check --old '.git#tag=v41' --new .")
	case p.old == "-" && p.new == "-":
		return oldInput, newInput, fmt.Errorf("only one of --old and --new can be standard input")
	}
	if oldInput, err = schema.ParseInput(p.old); err != nil {
		return oldInput, newInput, fmt.Errorf("--old: %w", err)
	}
	if newInput, err = schema.ParseInput(p.new); err != nil {
		return oldInput, newInput, fmt.Errorf("--new: %w", err)
	}
	return oldInput, newInput, nil
}

func newCompatCheckCommand(env *Env) *cobra.Command {
	var (
		flags  compatFlags
		inputs pairInputs
		out    compatOutput
	)
	cmd := &cobra.Command{
		Use:   "check --old INPUT --new INPUT",
		Short: "say whether two versions may meet, and in which order to roll out",
		Long:  "check compares two versions in both directions, on every leg, and shows each finding with a message.\n\n" + inputHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			r, manifest, err := compatCheck(cmd.Context(), env, &flags, &inputs)
			if err != nil {
				return compatError(err)
			}
			return out.write(env, r, manifest)
		},
	}
	inputs.bind(cmd)
	flags.bind(cmd, env)
	flags.bindScope(cmd)
	flags.bindWindow(cmd)
	out.bind(cmd)
	return cmd
}

func compatCheck(ctx context.Context, env *Env, flags *compatFlags, inputs *pairInputs) (*report.Report, *schema.Manifest, error) {
	oldInput, newInput, err := inputs.parse()
	if err != nil {
		return nil, nil, err
	}
	collectLate()
	opts := flags.options()
	pair, err := schema.LoadPair(ctx, oldInput, newInput, flags.loading(env, opts))
	if err != nil {
		return nil, nil, err
	}
	r, err := compat.Check(ctx, compat.Request{Pair: pair, Options: opts})
	if err != nil {
		return nil, nil, err
	}
	return r, pair.New.Manifest, nil
}

// compatError gives an error its exit code: a version that nobody registered
// is unknown, not wrong.
func compatError(err error) error {
	if errors.Is(err, schema.ErrUnknown) {
		return exitError{exitUnknown, err}
	}
	return exitError{exitUsage, err}
}

func newCompatPlanCommand(env *Env) *cobra.Command {
	var (
		flags  compatFlags
		inputs pairInputs
		format string
	)
	cmd := &cobra.Command{
		Use:   "plan --old INPUT --new INPUT",
		Short: "say how to roll out: the steps, the point of no return, or the two releases of expand and contract",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"text", "json"}, format) {
				return fmt.Errorf("--format %q: use text or json", format)
			}
			r, _, err := compatCheck(cmd.Context(), env, &flags, &inputs)
			if err != nil {
				return compatError(err)
			}
			plan := compat.Plan(r)
			if format == "json" {
				err = report.JSON(env.Stdout, plan)
			} else {
				err = report.PlanText(env.Stdout, plan, report.Options{Colour: colourful(env)})
			}
			if err == nil && plan.Order == report.ExpandContract {
				return exitError{code: exitNo}
			}
			return err
		},
	}
	inputs.bind(cmd)
	flags.bind(cmd, env)
	flags.bindScope(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
