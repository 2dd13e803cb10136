package cart

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/host"
)

// ServeHTTP is the plain HTTP side of a cart:
//
//	GET  /carts/{id}         the cart as JSON
//	POST /carts/{id}/items   puts an item in; ?think=2s takes its time first
//	GET  /carts/{id}/watch   a WebSocket: the cart now and after every change
func (c *Cart) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) == 2 && r.Method == http.MethodGet:
		writeJSON(w, c.State())
	case len(parts) == 3 && parts[2] == "items" && r.Method == http.MethodPost:
		c.serveAdd(w, r)
	case len(parts) == 3 && parts[2] == "watch":
		c.serveWatch(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (c *Cart) serveAdd(w http.ResponseWriter, r *http.Request) {
	var it Item
	if err := json.NewDecoder(r.Body).Decode(&it); err != nil {
		http.Error(w, "the body is not an item: "+err.Error(), http.StatusBadRequest)
		return
	}
	// A handler that takes its time is what a frozen process looks like to its
	// object: the write comes after the world has moved on.
	if d, err := time.ParseDuration(r.URL.Query().Get("think")); err == nil {
		time.Sleep(min(d, time.Minute))
	}
	s, err := c.Add(r.Context(), it)
	switch {
	case errors.Is(err, ErrBadItem):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, host.ErrStale):
		host.FromContext(r.Context()).Logger().Warn("late write refused", "error", err)
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		writeJSON(w, s)
	}
}

func (c *Cart) serveWatch(w http.ResponseWriter, r *http.Request) {
	conn, err := host.AcceptWebSocket(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	changes, stop := c.Watch()
	defer stop()
	ctx := conn.CloseRead(r.Context())
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-changes:
			data, err := json.Marshal(s)
			if err != nil || conn.Write(ctx, websocket.MessageText, data) != nil {
				return
			}
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client is gone
}
