package web

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc/metadata"

	"github.com/skewgate/skewgate/caller"
)

// watchSocket holds a WebSocket open and opens it again when its cart moves
// (the host closes it with 1012); that is what such clients are for, and no failure.
func (w *worker) watchSocket(ctx context.Context, cart int) {
	header := http.Header{caller.Header: {"web@" + w.o.Version}}
	url := "ws://" + w.o.Edge + "/carts/" + w.id(cart) + "/watch"
	for ctx.Err() == nil {
		conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header})
		if err != nil {
			w.counts.reconnect()
			pause(ctx)
			continue
		}
		w.counts.open(1)
		for {
			if _, _, err = conn.Read(ctx); err != nil {
				break
			}
			w.counts.message()
		}
		w.counts.open(-1)
		conn.CloseNow()
		if ctx.Err() == nil {
			w.counts.reconnect()
			pause(ctx)
		}
	}
}

// watchStream does the same with a gRPC stream.
func (w *worker) watchStream(ctx context.Context, cart int) {
	for ctx.Err() == nil {
		w.counts.open(1)
		err := w.api.Watch(metadata.AppendToOutgoingContext(ctx, "cart-id", w.id(cart)), func(int64) { w.counts.message() })
		w.counts.open(-1)
		if err != nil && ctx.Err() == nil {
			w.counts.reconnect()
			pause(ctx)
		}
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}
