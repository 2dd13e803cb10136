// Command host is the code of docs/host.md: what a host of objects looks like,
// from twenty lines up. Each block of that page is in this directory, and its tests run all of it.
package main

import (
	"context"
	"log"
	"os"

	"github.com/skewgate/skewgate/host"
)

func main() {
	h, err := host.New(host.Options{App: "shop", Version: "v42", Store: os.Getenv("STORE"), Listen: os.Getenv("LISTEN")})
	if err != nil {
		log.Fatal(err)
	}
	h.Handle("Cart", openCart)
	if err := h.Run(context.Background()); err != nil { // registers, renews, serves, drains on SIGTERM
		log.Fatal(err)
	}
}
