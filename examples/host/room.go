package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/host"
)

// room passes what one of its sockets says to all of them.
type room struct {
	mu      sync.Mutex // sockets run beside each other and beside events
	sockets map[*websocket.Conn]bool
}

func openRoom(context.Context, *host.Object) (http.Handler, error) {
	return &room{sockets: map[*websocket.Conn]bool{}}, nil
}

func (x *room) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") == "text/event-stream" {
		x.events(w, r)
		return
	}
	c, err := host.AcceptWebSocket(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow()
	x.enter(c)
	defer x.leave(c)
	for { // each message passes the gate; when the object is let go the peer gets close code 1012 and Read fails
		kind, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		x.say(r.Context(), kind, msg)
	}
}

func (x *room) enter(c *websocket.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sockets[c] = true
}

func (x *room) leave(c *websocket.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.sockets, c)
}

func (x *room) say(ctx context.Context, kind websocket.MessageType, msg []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.sockets {
		_ = c.Write(ctx, kind, msg) // who is gone leaves by itself
	}
}

// events is a stream of server-sent events.
func (x *room) events(w http.ResponseWriter, r *http.Request) {
	host.RunBeside(r.Context()) // others need not wait for its end
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: welcome\n\n")
	_ = http.NewResponseController(w).Flush() // the handler sees a client that is gone by its context
	<-r.Context().Done()
}

// Close is called when an activation has ended, after its last event.
func (x *room) Close() error { return nil }
