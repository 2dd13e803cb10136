package main

import (
	"fmt"

	"github.com/spf13/cobra"

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
	var url string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "open a new store at once",
		Long: "A store that is empty may have lost its data while hosts still run, so nobody may own anything there until\n" +
			"every lease of before has ended (leases.max). init says that there are no hosts yet and skips that wait. It is\n" +
			"refused when sessions exist.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				return fmt.Errorf("which store?\n    → skewgate store init --store redis://127.0.0.1:6379")
			}
			s, err := owners.Open(cmd.Context(), owners.Options{URL: url, Logger: env.Logger})
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
	return cmd
}
