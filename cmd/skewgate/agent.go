package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/owners"
)

func newAgentCommand(env *Env) *cobra.Command {
	var o agent.Options
	cmd := &cobra.Command{
		Use:   "agent --app APP --version VERSION --class CLASS --upstream URL --store URL",
		Short: "run the gate beside a host in any language",
		Long: "The agent registers a host process that speaks HTTP, lets in only events of objects that it\n" +
			"owns now, one at a time per object, withholds answers of a stale instance, and offers fenced\n" +
			"storage on a local address. docs/agent.md has the contract.\n\n" +
			"Every flag is read from the environment as well: --secret-file from SKEWGATE_SECRET_FILE.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), env.Getenv); err != nil {
				return err
			}
			if err := checkAgentFlags(o); err != nil {
				return err
			}
			if o.ResponseTimeout == 0 {
				o.ResponseTimeout = -1 // none
			}
			o.Host.Logger = env.Logger
			err := agent.Run(cmd.Context(), o)
			if errors.Is(err, host.ErrOptions) || errors.Is(err, agent.ErrOptions) {
				return exitError{exitUsage, err}
			}
			if err != nil {
				return exitError{exitNo, err}
			}
			return nil
		},
	}
	addAgentFlags(cmd.Flags(), &o)
	return cmd
}

func addAgentFlags(f *pflag.FlagSet, o *agent.Options) {
	f.StringVar(&o.Host.App, "app", "", "app that the upstream is part of")
	f.StringVar(&o.Host.Version, "version", "", "version of the app that the upstream runs")
	f.StringSliceVar(&o.Classes, "class", nil, "class of objects that the upstream runs; may be repeated")
	f.StringVar(&o.Upstream, "upstream", "http://127.0.0.1:9000", "where the upstream listens")
	f.StringVar(&o.Host.Listen, "listen", ":9001", "where gateways reach this host")
	f.StringVar(&o.Host.Advertise, "advertise", "", "host:port that gateways dial; $POD_IP or the host name, with the port of --listen")
	f.StringVar(&o.Host.Name, "name", "", "name that is stable over restarts; the host name")
	f.StringVar(&o.Storage, "storage", "127.0.0.1:9002", "where the upstream reaches the storage API, a loopback address; \"\" for none")
	f.StringVar(&o.Host.Store, "store", "", "the mesh's store, redis://host:port?replicas=N")
	f.StringVar(&o.Host.Storage, "values", "", "where values are kept: empty for beside the pins, postgres://…, or none")
	f.DurationVar(&o.Host.Lease, "lease", owners.DefaultLease, "how long this host may go unheard of before its objects are taken over")
	f.DurationVar(&o.Host.Idle, "idle", 10*time.Second, "an object is let go after so long without an event")
	f.DurationVar(&o.Host.Drain, "drain", 30*time.Second, "how long a drain waits for running events")
	f.StringVar(&o.Host.SecretFile, "secret-file", "", "file with the mesh's secret")
	f.StringVar(&o.Host.MTLS.CertFile, "tls-cert", "", "serve TLS to gateways: file with this host's certificate, PEM")
	f.StringVar(&o.Host.MTLS.KeyFile, "tls-key", "", "with --tls-cert: file with its key")
	f.StringVar(&o.Host.MTLS.CAFile, "tls-ca", "", "with --tls-cert: file with the authorities of gateways' certificates")
	f.StringSliceVar(&o.Host.MTLS.Gateways, "tls-gateway", nil, "with --tls-cert: a name in gateways' certificates, spiffe://… or a DNS name or CN=…; may be repeated; * for any")
	f.StringVar(&o.Health, "health", "", "path at the upstream that answers 2xx when it is ready; empty: that it accepts connections")
	f.DurationVar(&o.ResponseTimeout, "response-timeout", time.Minute, "how long the upstream may take nothing of a request and begin no answer; not for streams; 0 for no limit")
	f.IntVar(&o.Host.Concurrency, "concurrency", 1, "events at a time per object")
	f.IntVar(&o.Host.Queue, "queue", 1024, "requests that may wait for one object; one more is answered overloaded")
	f.IntVar(&o.Host.QueueTotal, "queue-total", 16384, "requests that may wait for all objects together")
	f.IntVar(&o.Host.MaxActive, "max-active", 0, "objects that may be active at once; one more lets go of the longest idle one, or is answered overloaded; 0 for any number")
	f.IntVar(&o.Host.MaxActivating, "max-activating", 64, "objects that may be claimed and loaded at a time; others wait for their turn")
	f.StringVar(&o.Host.Preview, "preview", "", "preview that this host belongs to")
}

// checkAgentFlags names every flag that is missing, with what to type.
func checkAgentFlags(o agent.Options) error {
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"--app", o.Host.App}, {"--version", o.Host.Version}, {"--class", strings.Join(o.Classes, ",")}, {"--store", o.Host.Store},
	} {
		if f.value == "" {
			missing = append(missing, f.name)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("missing %s\n    → skewgate agent --app shop --version v42 --class Cart --upstream http://127.0.0.1:9000 --store redis://127.0.0.1:6379",
		strings.Join(missing, ", "))
}

// fromEnvironment sets flags that were not given from SKEWGATE_*.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "SKEWGATE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := getenv(name); v != "" && !f.Changed {
			if err := flags.Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", name, v, err))
			}
		}
	})
	return errors.Join(errs...)
}
