// Command host is the code of docs/host.md: what a host of objects looks like,
// from twenty lines up. Each block of that page is in this directory, and its tests run all of it.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/owners"
)

func main() {
	owners.LogRedis(slog.Default()) // go-redis would print to stderr by itself
	h, err := host.New(host.Options{App: "shop", Version: "v42", Store: os.Getenv("STORE"), Listen: os.Getenv("LISTEN")})
	if err != nil {
		log.Fatal(err)
	}
	h.Handle("Cart", openCart)
	if err := h.Run(context.Background()); err != nil { // registers, renews, serves, drains on SIGTERM
		log.Fatal(err)
	}
}
