package main

import "github.com/spf13/cobra"

// commands lists every command; each lives in a file of its own.
func commands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		newServeCommand(env),
		newEnvoyCommand(env),
		newVersionCommand(env),
	}
}
