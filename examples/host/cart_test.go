package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/owners"
)

// newStorage is storage without a mesh: the embedded store keeps it in memory.
func newStorage(t *testing.T, token int64, at string) *storage.Storage {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: at})
	t.Cleanup(func() { _ = client.Close() })
	driver, err := storage.NewRedis(client, storage.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	st, err := storage.Open(t.Context(), driver, "Cart/1", storage.Fence{Token: token, Session: "test", N: 1}, storage.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestCart(t *testing.T) {
	e, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	at := e.URL()[len("redis://"):]

	c, err := loadCart(t.Context(), newStorage(t, 1, at))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?sku=apple", nil))
	if w.Body.String() != "1" {
		t.Errorf("one apple put in: %d %s", w.Code, w.Body)
	}

	next, err := loadCart(t.Context(), newStorage(t, 2, at)) // the cart moved
	if err != nil || next.items["apple"] != 1 {
		t.Errorf("after a move: %v, %v", next.items, err)
	}
	w = httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?sku=apple", nil)) // the old one did not hear of it
	if w.Code != http.StatusConflict || c.items["apple"] != 1 {
		t.Errorf("a stale cart: %d %s, %v", w.Code, w.Body, c.items)
	}
	if err := c.store.Put(t.Context(), "k", nil); !errors.Is(err, host.ErrStale) {
		t.Errorf("a stale cart's storage: %v", err)
	}
}
