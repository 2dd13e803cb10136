// Command skewgate is the gateway, the checker, the control plane and the
// command line of skewgate; see README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/skewgate/skewgate/owners"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process, whatever it is at
	env := newEnv(os.Stdin, os.Stdout, os.Stderr)
	env.logged = owners.LogRedis
	code := env.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
