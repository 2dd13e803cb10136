package main

import "github.com/spf13/cobra"

// commands lists every command; each lives in a file of its own.
func commands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		newCompatCommand(env),
		newServeCommand(env),
		newAgentCommand(env),
		newDoctorCommand(env),
		newStoreCommand(env),
		newEnvoyCommand(env),
		newSchemaCommand(env),
		newSkewCommand(env),
		newCanICommand(env),
		newRolloutCommand(env),
		newObjectsCommand(env),
		newHostsCommand(env),
		newVersionsCommand(env),
		newProxiesCommand(env),
		newVersionCommand(env),
	}
}
