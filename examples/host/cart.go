package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
)

type cart struct {
	store *storage.Storage
	items map[string]int
}

// openCart is called once per activation, after the object's storage was claimed.
func openCart(ctx context.Context, o *host.Object) (http.Handler, error) {
	return loadCart(ctx, o.Storage())
}

func loadCart(ctx context.Context, st *storage.Storage) (*cart, error) {
	c := &cart{store: st, items: map[string]int{}}
	entries, err := st.List(ctx, storage.ListOptions{Prefix: "item/"}) // in memory already, if the object is small
	for _, e := range entries {
		c.items[strings.TrimPrefix(e.Key, "item/")], _ = strconv.Atoi(string(e.Value))
	}
	return c, err
}

// ServeHTTP is one event; there is no other one of this cart at the same time.
func (c *cart) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sku := r.URL.Query().Get("sku")
	if r.Method == http.MethodPost {
		n := strconv.Itoa(c.items[sku] + 1)
		if err := c.store.Put(r.Context(), "item/"+sku, []byte(n)); err != nil {
			fail(w, err)
			return
		}
		c.items[sku]++ // after the storage has taken it
	}
	fmt.Fprint(w, c.items[sku])
}

// fail answers an event that did not succeed.
func fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, host.ErrStale): // somebody else owns the object: what is answered now is withheld anyway
		http.Error(w, err.Error(), http.StatusConflict)
	case errors.Is(err, storage.ErrLimit):
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	case errors.Is(err, storage.ErrUnavailable): // nothing was done
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
