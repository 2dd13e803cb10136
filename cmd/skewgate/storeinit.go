package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
)

func newStoreCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "the ownership store: init"}
	cmd.AddCommand(newStoreInitCommand(env))
	return cmd
}

// storeFlag adds --store, from SKEWGATE_STORE when it is not given.
func storeFlag(env *Env, cmd *cobra.Command, url *string) {
	cmd.Flags().StringVar(url, "store", env.Getenv("SKEWGATE_STORE"), "URL of the store, redis://127.0.0.1:6379; SKEWGATE_STORE")
}

func newStoreInitCommand(env *Env) *cobra.Command {
	var url, config string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "open a new store at once",
		Long: "A store that is empty may have lost its data while hosts still run, so nobody may own anything there until\n" +
			"every lease of before has ended (leases.max). init says that there are no hosts yet and skips that wait. It is\n" +
			"refused when sessions exist.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("config") && cmd.Flags().Changed("store") {
				return errors.New("--config and --store both name a store; give one of them")
			}
			o, err := storeOptions(url, config)
			if err != nil {
				return err
			}
			o.Logger = env.Logger
			s, err := owners.Open(cmd.Context(), o)
			if err != nil {
				return withFix(err)
			}
			defer s.Close()
			if err := s.Init(cmd.Context()); err != nil {
				return withFix(err)
			}
			_, err = fmt.Fprintln(env.Stdout, "the store is open")
			return err
		},
	}
	storeFlag(env, cmd, &url)
	cmd.Flags().StringVarP(&config, "config", "c", "", "take the store from this mesh file")
	return cmd
}

// storeOptions says which store is meant: a mesh file's, with what it says of replicas and leases, or a URL.
func storeOptions(url, config string) (owners.Options, error) {
	if config == "" {
		if url == "" {
			return owners.Options{}, errors.New("which store?\n    → skewgate store init -c mesh.yaml, or --store redis://127.0.0.1:6379")
		}
		return owners.Options{URL: url}, nil
	}
	m, err := mesh.Load(config)
	if err != nil {
		return owners.Options{}, err
	}
	if m.Store.Embedded() {
		return owners.Options{}, fmt.Errorf("the store of %s is embedded and begins anew with each start\n    → skewgate serve --store-init opens it at once", config)
	}
	return owners.Options{URL: m.Store.URL, Replicas: m.Store.Replicas, Failover: m.Store.Failover, MaxLease: m.Leases.Max}, nil
}
