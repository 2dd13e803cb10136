package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/deployments/envoy"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/problem"
)

func newEnvoyCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "envoy", Short: "configure the Envoy in front of a mesh"}
	cmd.AddCommand(newEnvoyConfigCommand(env))
	return cmd
}

func newEnvoyConfigCommand(env *Env) *cobra.Command {
	var config, mode string
	o := envoy.Options{}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "print the bootstrap of an Envoy for a mesh file",
		Long: "config prints a bootstrap for Envoy, as YAML. In proxy mode Envoy sends everything to the gateways; in picker\n" +
			"mode it asks a gateway for each request's host and goes there itself. The mesh's secret is not needed here.",
		Example: "  skewgate envoy config --config mesh.yaml --listen 0.0.0.0:10000 > envoy.yaml\n" +
			"  skewgate envoy config --config mesh.yaml --mode picker --picker gw-1:8082 --picker gw-2:8082 > envoy.yaml",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			data, err := os.ReadFile(config)
			if err != nil {
				return problem.List{{File: config, Message: "cannot be read", Hint: "name the mesh file with --config FILE"}}
			}
			m, err := mesh.Parse(config, data)
			if err != nil {
				return err
			}
			if o.Mode = envoy.Mode(mode); o.Mode == envoy.Picker && m.Auth.TLS != nil {
				return fmt.Errorf("%s: auth.tls is for proxy mode: in picker mode Envoy goes to hosts by itself, and would have no certificate\n    → use --mode proxy, or auth.meshSecretFile instead of auth.tls", config)
			}
			out, err := envoy.Bootstrap(m, o)
			if err != nil {
				return fmt.Errorf("envoy config: %w", err)
			}
			_, err = env.Stdout.Write(out)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&config, "config", "c", "mesh.yaml", "the mesh file")
	f.StringVar(&mode, "mode", string(envoy.Proxy), "proxy or picker")
	f.StringVar(&o.Listen, "listen", "0.0.0.0:10000", "where the edge listens")
	f.StringVar(&o.Admin, "envoy-admin", "127.0.0.1:9901", "where Envoy's admin page listens, or off")
	f.StringVar(&o.NodeID, "node", "edge", "the node id that this Envoy shows to control; each Envoy needs its own")
	f.StringSliceVar(&o.Gateways, "gateway", nil, "a gateway, HOST:PORT, again for each; listen.gateway of the mesh on this machine by default")
	f.StringSliceVar(&o.Pickers, "picker", nil, "a gateway's picker, HOST:PORT, again for each; listen.picker of the mesh on this machine by default")
	f.StringSliceVar(&o.Controls, "control", nil, "a control, HOST:PORT, again for each; the mesh's by default")
	f.StringVar(&o.AccessLog, "access-log", "", "a file for Envoy's access log")
	f.BoolVar(&o.PublicClients, "public", false, "clients are not trusted: remove what they say of callers, versions and previews")
	return cmd
}
