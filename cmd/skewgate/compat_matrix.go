package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/schema"
)

func newCompatMatrixCommand(env *Env) *cobra.Command {
	var (
		flags            compatFlags
		out              compatOutput
		workers, objects []string
	)
	cmd := &cobra.Command{
		Use:   "matrix [NAME=INPUT]... [--worker NAME=INPUT]... [--object NAME=INPUT]...",
		Short: "say which of many versions may meet",
		Long: "matrix compares each version with each other, the oldest first. A bare NAME=INPUT plays both parts; --worker\n" +
			"and --object name versions of apps that play one. APP@VERSION needs no name.\n\n" + inputHelp,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			collectLate()
			opts := flags.options()
			versions, manifest, err := matrixVersions(cmd.Context(), flags.loading(env, opts), args, workers, objects)
			if err != nil {
				return compatError(err)
			}
			m, err := compat.Matrix(cmd.Context(), compat.MatrixRequest{Versions: versions, Options: opts, Ahead: true})
			if err != nil {
				return compatError(err)
			}
			return out.write(env, m.Report, manifest)
		},
	}
	flags.bind(cmd, env)
	flags.bindWindow(cmd)
	cmd.Flags().StringArrayVar(&workers, "worker", nil, "NAME=INPUT of a version that calls objects; repeatable")
	cmd.Flags().StringArrayVar(&objects, "object", nil, "NAME=INPUT of a version that runs objects; repeatable")
	out.bind(cmd)
	return cmd
}

// matrixVersions loads what was named, in the order in which it was named.
func matrixVersions(ctx context.Context, opts schema.Options, both, workers, objects []string) ([]compat.Version, *schema.Manifest, error) {
	var versions []compat.Version
	var inputs []schema.Input
	var options []schema.Options
	seen := make(map[string]bool)
	for _, part := range []struct {
		args           []string
		worker, object bool
	}{{both, true, true}, {workers, true, false}, {objects, false, true}} {
		for _, arg := range part.args {
			name, text, ok := strings.Cut(arg, "=")
			if !ok || strings.ContainsAny(name, "/#,") {
				name, text = arg, arg // APP@VERSION, or an input with an option in it
			}
			if seen[name] {
				return nil, nil, fmt.Errorf("%s is named twice", name)
			}
			seen[name] = true
			in, err := schema.ParseInput(text)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", arg, err)
			}
			opts := opts
			opts.Name = name
			inputs, options = append(inputs, in), append(options, opts)
			versions = append(versions, compat.Version{Name: name, Worker: part.worker, Object: part.object})
		}
	}
	sets, err := schema.LoadEach(ctx, inputs, options)
	if err != nil || len(sets) == 0 {
		return nil, nil, err
	}
	for i, set := range sets {
		versions[i].Set = set
	}
	return versions, sets[len(sets)-1].Manifest, nil
}
