package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/wire"
)

// PathDeactivate is where an upstream may be told that an activation has ended.
const PathDeactivate = "/_skewgate/deactivate"

// callTimeout bounds a call of the agent's own to the upstream.
const callTimeout = 5 * time.Second

// object is one activation: its handler forwards.
type object struct {
	a    *agent
	o    *host.Object
	told atomic.Bool // the upstream has had an event of this activation
}

func (a *agent) activate(_ context.Context, o *host.Object) (http.Handler, error) {
	return &object{a: a, o: o}, nil
}

// ServeHTTP forwards one event to the upstream. The writer is the host's
// output gate: it withholds what must not leave.
func (x *object) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, done := x.a.events.begin(x.o)
	defer done()
	r.Header.Del(wire.HeaderRefuse)
	watch, ctx, cancel := newSilence(host.WithoutClient(r.Context()), x.a.silent)
	defer cancel(nil)
	defer watch.end()
	client := newDeparture(r.Context(), watch, cancel)
	defer client.stop()
	w, r = client.wrap(w), watch.wrap(r)
	beside := func() { host.RunBeside(ctx); client.becameStream() }
	first := !x.told.Swap(true)
	at := forward.Attempt{
		Addr: x.a.addr,
		Head: func(h http.Header) {
			h.Set(wire.HeaderEvent, id)
			h.Del(wire.HeaderActivation)
			if first {
				h.Set(wire.HeaderActivation, "new")
			}
		},
		Answer: func(status int, h http.Header) bool {
			watch.over()
			wire.Strip(h)
			if status == http.StatusSwitchingProtocols {
				client.becameStream() // attached by the hijack
			}
			if strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
				beside()
			}
			return true
		},
		Trailer: wire.Strip,
	}
	if wire.ProtocolOf(r) == wire.ProtocolGRPC {
		call := newCallWatch(func() { watch.over(); beside() })
		defer call.stop()
		w, r = call.wrap(w, r)
		// The HTTP/2 transport does not see its context end while it waits for
		// more of a stream's request; it does see the body end.
		body := r.Body
		defer context.AfterFunc(ctx, func() { _ = body.Close() })()
	}
	res := x.a.forward.Do(ctx, w, r, at)
	if unfinished(res) && !client.beside() {
		x.o.ActivateAnew() // the upstream may still be at it, and its memory between two states
	}
	x.conclude(ctx, w, r, res, first)
}

// unfinished says that the upstream was sent the event, or a part of it, and did not end its answer.
func unfinished(res forward.Result) bool {
	return res.Stage != forward.NotSent && res.Err != nil
}

// conclude answers where the upstream did not, and ends streams that it left unfinished.
func (x *object) conclude(ctx context.Context, w http.ResponseWriter, r *http.Request, res forward.Result, first bool) {
	p := wire.Problem{Object: x.o.Key().String(), Token: x.o.Token(), Err: res.Err}
	switch {
	case res.Stage == forward.NotSent:
		if first {
			x.told.Store(false)
		}
		p.Code, p.Detail = wire.NoHost, "the agent cannot reach its upstream; nothing was executed"
	case res.Stage == forward.Unknown && errors.Is(context.Cause(ctx), errSilent):
		p.Code, p.Detail = wire.UpstreamTimeout, "the upstream took no more of the request and began no answer for "+x.a.silent.String()+" (--response-timeout)"
	case res.Stage == forward.Unknown:
		p.Code, p.Detail = wire.UpstreamFailed, "the upstream did not answer"
	case res.Err == nil, res.Status == http.StatusSwitchingProtocols:
		return
	case ctx.Err() != nil && wire.ProtocolOf(r) == wire.ProtocolGRPC: // the object is being let go
		(&wire.Problem{Code: wire.OwnerMoving, Object: p.Object, Token: p.Token, Detail: "the object is being let go"}).SetTrailers(w.Header())
		return
	case errors.Is(res.Err, forward.ErrClient):
		return
	default:
		x.a.log.Warn("upstream ended an answer early", "object", x.o.Key(), "error", res.Err)
		panic(http.ErrAbortHandler)
	}
	x.a.log.Warn("upstream failed", "object", x.o.Key(), "stage", res.Stage, "error", res.Err)
	p.WriteTo(w, r)
}

// Close tells the upstream that the activation has ended. It may still store something.
func (x *object) Close() error {
	if !x.told.Load() || !x.a.deactivates() {
		return nil
	}
	id, done := x.a.events.begin(x.o)
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+x.a.addr+PathDeactivate, http.NoBody)
	if err != nil {
		return fmt.Errorf("deactivate: %w", err)
	}
	r.Header.Set(wire.HeaderObject, x.o.Key().String())
	r.Header.Set(wire.HeaderToken, strconv.FormatInt(x.o.Token(), 10))
	r.Header.Set(wire.HeaderEvent, id)
	res, err := x.a.client.Do(r)
	if err != nil {
		return fmt.Errorf("deactivate: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // keeps the connection
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		x.a.stopDeactivating()
	}
	return nil
}

func (a *agent) deactivates() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.noDeactivate
}

func (a *agent) stopDeactivating() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noDeactivate = true
}
