// Package forward sends one HTTP request to one upstream and brings the answer
// back: HTTP/1.1, HTTP/2 (h2c), gRPC with trailers (trailers-only too),
// WebSocket and other upgrades. It is a leaf that knows nothing of objects;
// gateway and agent decide where to send and what to make of the answer.
package forward

import (
	"context"
	"io"
	"net/http"
)

// Attempt is one try at one upstream.
type Attempt struct {
	Addr string      // host:port
	Body io.ReadCloser // what to send; nil means the request's own body
	Head func(http.Header) // last change to the outgoing head, after hop-by-hop fields are gone; may be nil
	// Answer is called with the response head before the first byte leaves. It
	// may change the header. Returning false withholds the answer: nothing was
	// written, and Result says Withheld.
	Answer func(status int, h http.Header) bool
	// Message, when set, is called for each WebSocket message from the client before it is passed on
	// (attached sockets, ownership.md §4); an error closes the socket with 1012.
	Message func() error
}

// Stage says how far an attempt came.
type Stage int

// Stages of an attempt.
const (
	NotSent   Stage = iota // the upstream provably did not start: no connection, REFUSED_STREAM, above GOAWAY
	Withheld               // Answer returned false
	Unknown                // bytes were sent and no answer came
	Delivered              // the answer, or at least its head, left
)

// Result is what became of an attempt.
type Result struct {
	Stage    Stage
	Status   int   // the upstream's, 0 when there was none
	Sent     int64 // body bytes to the upstream
	Received int64 // body bytes to the client
	Err      error
}

// Forwarder keeps upstream connections.
type Forwarder struct{}

// Options of a Forwarder. Zero values mean the defaults in their comments.
type Options struct{}

// New makes a Forwarder.
func New(o Options) *Forwarder { return &Forwarder{} }

// Do makes one attempt.
func (f *Forwarder) Do(ctx context.Context, w http.ResponseWriter, r *http.Request, a Attempt) Result {
	return Result{}
}

// Close ends idle connections.
func (f *Forwarder) Close() {}
