package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/schema"
)

func newSchemaCommand(env *Env) *cobra.Command {
	api := &api{env: env}
	cmd := &cobra.Command{Use: "schema", Short: "the registry of a mesh: push, list, get, diff, retire"}
	api.bind(cmd)
	cmd.AddCommand(
		newSchemaPushCommand(env, api), newSchemaListCommand(env, api), newSchemaGetCommand(env, api),
		newSchemaDiffCommand(env, api), newSchemaRetireCommand(env, api),
	)
	return cmd
}

func newSchemaPushCommand(env *Env, api *api) *cobra.Command {
	out, opts := &output{}, schema.Options{Stdin: env.Stdin}
	var app, version string
	cmd := &cobra.Command{
		Use:   "push INPUT --version VERSION",
		Short: "register the schema of a version and compute who may meet whom",
		Long: "push compiles INPUT (a directory, a git revision, an image, - for stdin; see compat check) and registers it.\n" +
			"A version is immutable; pushing the same again is no error. The app is the manifest's, or --app where there is\n" +
			"none: then it exports its classes of the mesh file and binds the others whose services it has.",
		Example: "  skewgate schema push . --version v42\n  skewgate schema push '.git#tag=v41' --version v41\n  skewgate schema push ./proto --app web --version v7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			app, push, err := readSchema(cmd.Context(), args[0], app, opts)
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Schema, error) { return c.PushSchema(ctx, app, version, push) },
				func(p *page, s admin.Schema) { p.line("registered %s@%s  %s", s.App, s.Version, partsOf(s)) })
		},
	}
	out.bind(cmd, false)
	f := cmd.Flags()
	f.StringVar(&app, "app", "", "the app, where the input has no manifest")
	f.StringVar(&version, "version", "", "the version, as its hosts and workers say it")
	f.StringArrayVar(&opts.ProtoPath, "proto-path", nil, "where imports are looked up after the input; repeatable")
	f.StringVar(&opts.ManifestFile, "manifest", "", "instead of skewgate.yaml at the input's root")
	_ = cmd.MarkFlagRequired("version") // the flag exists
	return cmd
}

// readSchema compiles an input into what is pushed.
func readSchema(ctx context.Context, text, app string, opts schema.Options) (string, admin.SchemaPush, error) {
	in, err := schema.ParseInput(text)
	if err != nil {
		return "", admin.SchemaPush{}, err
	}
	set, err := schema.Load(ctx, in, opts)
	if err != nil {
		return "", admin.SchemaPush{}, err
	}
	var push admin.SchemaPush
	if m := set.Manifest; m != nil {
		if app != "" && app != m.App {
			return "", push, fmt.Errorf("--app %s: the manifest %s is of app %s\n    → --manifest FILE names another", app, m.File, m.App)
		}
		app = m.App
		if push.Manifest, err = admin.EncodeManifest(m); err != nil {
			return "", push, err
		}
	}
	if app == "" {
		return "", push, fmt.Errorf("%s has no %s, so --app must say whose schema it is", text, schema.ManifestName)
	}
	push.DescriptorSet, err = proto.MarshalOptions{Deterministic: true}.Marshal(set.DescriptorSet())
	if err != nil {
		return "", push, fmt.Errorf("encode %s: %w", text, err)
	}
	return app, push, nil
}

func partsOf(s admin.Schema) string {
	var parts []string
	if len(s.Exports) > 0 {
		parts = append(parts, "exports "+strings.Join(s.Exports, ", "))
	}
	if len(s.Binds) > 0 {
		parts = append(parts, "binds "+strings.Join(s.Binds, ", "))
	}
	return strings.Join(parts, ", ")
}

func newSchemaListCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	var app string
	cmd := &cobra.Command{
		Use: "list", Short: "list registered versions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.List[admin.Schema], error) { return c.Schemas(ctx, app) }, schemasTable)
		},
	}
	out.bind(cmd, false)
	cmd.Flags().StringVar(&app, "app", "", "only versions of this app")
	return cmd
}

func schemasTable(p *page, l admin.List[admin.Schema]) {
	rows := make([][]string, len(l.Items))
	for i, s := range l.Items {
		retired := ""
		if !s.Retired.IsZero() {
			retired = s.Retired.Format(time.RFC3339)
		}
		rows[i] = []string{
			s.App, s.Version, dash(strings.Join(s.Exports, ",")), dash(strings.Join(s.Binds, ",")), s.PushedAt.Format(time.RFC3339), s.PushedBy, dash(retired), s.Digest,
		}
	}
	p.table([]column{
		left("APP"), left("VERSION"), left("EXPORTS"), left("BINDS"), left("PUSHED"), left("BY"), left("RETIRED"), wideLeft("DIGEST"),
	}, rows)
}

func newSchemaGetCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	var raw bool
	cmd := &cobra.Command{
		Use: "get APP VERSION", Short: "one registered version", Args: cobra.ExactArgs(2),
		Example: "  skewgate schema get shop v42 --descriptors > shop-v42.binpb",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			if raw {
				s, err := c.Schema(cmd.Context(), args[0], args[1])
				if err != nil {
					return apiError(err)
				}
				_, err = env.Stdout.Write(s.DescriptorSet)
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Schema, error) { return c.Schema(ctx, args[0], args[1]) },
				func(p *page, s admin.Schema) {
					p.line("%s@%s  %s", s.App, s.Version, partsOf(s))
					p.line("  digest  %s", s.Digest)
					p.line("  pushed  %s by %s", s.PushedAt.Format(time.RFC3339), s.PushedBy)
					if !s.Retired.IsZero() {
						p.line("  retired %s", s.Retired.Format(time.RFC3339))
					}
					p.line("  size    %s bytes of descriptors (--descriptors writes them)", thousands(len(s.DescriptorSet)))
				})
		},
	}
	out.bind(cmd, false)
	cmd.Flags().BoolVar(&raw, "descriptors", false, "write the FileDescriptorSet to stdout, for compat check and buf")
	return cmd
}

func newSchemaRetireCommand(env *Env, api *api) *cobra.Command {
	out := &output{}
	cmd := &cobra.Command{
		Use: "retire APP VERSION", Short: "take a version out of the matrices", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			return show(cmd.Context(), env, out, func(ctx context.Context) (admin.Schema, error) { return c.RetireSchema(ctx, args[0], args[1]) },
				func(p *page, s admin.Schema) { p.line("retired %s@%s", s.App, s.Version) })
		},
	}
	out.bind(cmd, false)
	return cmd
}

func newSchemaDiffCommand(env *Env, api *api) *cobra.Command {
	var out compatOutput
	cmd := &cobra.Command{
		Use: "diff APP OLD NEW", Short: "what changed between two registered versions, and who breaks", Args: cobra.ExactArgs(3),
		Long: "diff is compat check --old APP@OLD --new APP@NEW. Exit status: 0 compatible, 1 findings, 2 usage or no mesh, 3 a version is unknown.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			var sides [2]schema.Input
			for i, version := range args[1:] {
				var err error
				if sides[i], err = schema.Registered(args[0], version); err != nil {
					return err
				}
			}
			pair, err := schema.LoadPair(cmd.Context(), sides[0], sides[1], schema.Options{Registry: &meshRegistry{api}})
			if err != nil {
				return compatError(err)
			}
			r, err := compat.Check(cmd.Context(), compat.Request{Pair: pair})
			if err != nil {
				return compatError(err)
			}
			return out.write(env, r, pair.New.Manifest)
		},
	}
	out.bind(cmd)
	return cmd
}
