package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/wire"
)

// cutError says that an answer broke off after its head had left.
type cutError struct{ err error }

func (e *cutError) Error() string { return "answer broke off: " + e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

// unreadPatience is how long an error waits for the rest of the request's body.
const unreadPatience = 200 * time.Millisecond

// brokenError says that a request's body could not be read to its end.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "the request's body broke off: " + e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// Codes of events that ended without an answer of anybody's.
const (
	codeCanceled = "canceled" // the client went away
	codeCut      = "cut"      // the host went away after it had begun to answer
	CodeMoved    = "moved"    // the host closed a stream because its object moves
)

// fail tells the client, in its protocol, why there is no answer. The kinds of
// failure and what they mean on the wire are in wire.Table.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, ev *Event, err error) {
	var cut *cutError
	if errors.As(err, &cut) {
		g.cut(w, r, ev, cut)
		return
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// The server reads what is left of a body before it answers; the client may
		// be waiting for the answer. Who has not sent it by then loses the connection.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadPatience)) // best effort
	}
	var broken *brokenError
	switch {
	case r.Context().Err() != nil:
		ev.Code, ev.Status = codeCanceled, 0
		return // nobody is left to tell
	case errors.As(err, &broken):
		ev.Code, ev.Status = codeCanceled, http.StatusBadRequest
		w.Header().Set("Connection", "close") // what follows on it cannot be told apart from the body
		http.Error(w, broken.Error(), http.StatusBadRequest)
		return
	}
	out := problemOf(err, ev)
	g.log.Debug("request failed", "object", out.Object, "code", string(out.Code), "error", err)
	out.WriteTo(w, r)
}

// unknown says what it means that a request was sent and no answer came.
func (c *call) unknown(ctx context.Context, t *Target, result forward.Result) error {
	cause := context.Cause(ctx)
	if cause != nil && !errors.Is(cause, errOwnerGone) && !errors.Is(cause, errDraining) {
		return cause // the client went away
	}
	if errors.Is(result.Err, forward.ErrClient) {
		return &brokenError{err: result.Err}
	}
	// The next request reads the pin again: the host may be gone.
	if c.hold.e != nil {
		c.hold.e.drop(t, 0)
	}
	if errors.Is(cause, errOwnerGone) {
		return &wire.Problem{Code: wire.StaleInstance, Detail: fmt.Sprintf("host %s took the request and then lost its lease; whether it ran is not known", hostWord(t)), Token: t.Token, Err: result.Err}
	}
	var ne net.Error
	if errors.As(result.Err, &ne) && ne.Timeout() {
		return &wire.Problem{Code: wire.UpstreamTimeout, Detail: fmt.Sprintf("host %s took the request and did not answer in time", t.Host), Token: t.Token, Err: result.Err}
	}
	return &wire.Problem{Code: wire.UpstreamFailed, Detail: fmt.Sprintf("host %s took the request and gave no answer; whether it ran is not known", hostWord(t)), Token: t.Token, Err: result.Err}
}

func hostWord(t *Target) string {
	if t.Host != "" {
		return t.Host
	}
	return t.Addr
}

// cut ends a client's stream whose head has left. gRPC has a way to say it, in
// trailers; everybody else sees a stream that was reset.
func (g *Gateway) cut(w http.ResponseWriter, r *http.Request, ev *Event, cut *cutError) {
	if errors.Is(cut.err, forward.ErrClient) || r.Context().Err() != nil {
		ev.Code = codeCanceled
		panic(http.ErrAbortHandler)
	}
	ev.Code = codeCut
	if r.ProtoMajor == 1 {
		// The server reads what is left of the body before it closes; the client may never send it.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // best effort
	}
	if wire.ProtocolOf(r) != wire.ProtocolGRPC || r.ProtoMajor != 2 {
		panic(http.ErrAbortHandler)
	}
	(&wire.Problem{
		Code: wire.UpstreamFailed, Detail: "the host ended the stream early; whether the call ran is not known",
		Object: ev.Object.String(), CallerVersion: ev.Caller,
	}).SetTrailers(w.Header())
}
