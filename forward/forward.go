package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"
)

// Attempt is one try at one upstream.
type Attempt struct {
	Addr string            // host:port
	Body io.ReadCloser     // what to send; nil means the request's own body. Closed when Do returns
	Head func(http.Header) // last change to the outgoing head, after hop-by-hop fields are gone; may be nil
	// Answer is called with the response head before the first byte leaves. It
	// may change the header. Returning false withholds the answer: nothing was
	// written, and Result says Withheld.
	Answer func(status int, h http.Header) bool
	// Trailer is called with the response's trailers before they leave; it may change them. May be nil.
	Trailer func(http.Header)
	// RequestTrailer says whether a trailer that the client announced is passed on. nil passes all.
	RequestTrailer func(name string) bool
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

// String gives the stage's name.
func (s Stage) String() string {
	switch s {
	case NotSent:
		return "not-sent"
	case Withheld:
		return "withheld"
	case Unknown:
		return "unknown"
	case Delivered:
		return "delivered"
	}
	return "invalid"
}

// Errors that Result.Err may wrap once the answer's head has left.
var (
	ErrUpstream = errors.New("upstream ended the response early")
	ErrClient   = errors.New("client went away")
)

// Result is what became of an attempt.
type Result struct {
	Stage    Stage
	Status   int   // the upstream's, 0 when there was none
	Sent     int64 // body bytes to the upstream; of an upgrade all bytes
	Received int64 // body bytes to the client; of an upgrade all bytes
	Err      error
}

// Options of a Forwarder. Zero values mean the defaults in their comments.
type Options struct {
	DialTimeout     time.Duration // 2s
	ResponseTimeout time.Duration // from the request's end to the response's head; none
	IdleTimeout     time.Duration // of an unused connection; 60s. Keep it below the upstreams' own
	IdlePerHost     int           // unused HTTP/1.1 connections kept per upstream; 512
	TLS             *tls.Config   // to upstreams; nil is plain TCP
}

func (o Options) withDefaults() Options {
	if o.DialTimeout == 0 {
		o.DialTimeout = 2 * time.Second
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = time.Minute
	}
	if o.IdlePerHost == 0 {
		o.IdlePerHost = 512
	}
	return o
}

// Forwarder keeps upstream connections. It is safe for concurrent use.
type Forwarder struct {
	pool pool
}

// New makes a Forwarder.
func New(o Options) *Forwarder { return &Forwarder{pool: newPool(o.withDefaults())} }

// Close ends idle connections.
func (f *Forwarder) Close() { f.pool.close() }

// Do makes one attempt. It returns when the answer has left, or the upgraded
// connection has ended. When ctx ends, the upstream's stream is reset; a
// WebSocket is closed with 1012. After Delivered with an error the client's
// stream still stands unfinished: the caller ends it (http.ErrAbortHandler, or
// trailers).
func (f *Forwarder) Do(ctx context.Context, w http.ResponseWriter, r *http.Request, a Attempt) Result {
	if proto := upgradeProtocol(r); proto != "" {
		return f.upgrade(ctx, w, r, a, proto)
	}
	body := newBody(r, a)
	defer body.end() // the transport may read on after its response: not past our caller
	res, stage, err := f.roundTrip(ctx, w, r, a, body)
	if err != nil {
		return Result{Stage: stage, Sent: body.sent(), Err: body.blame(err)}
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return Result{Stage: Unknown, Status: res.StatusCode, Sent: body.sent(), Err: errors.New("upstream switched protocols unasked")}
	}
	result := f.deliver(w, res, a, r.ProtoMajor == 1 && r.ContentLength != 0 && !body.whole.Load())
	result.Sent = body.sent()
	return result
}

// roundTrip sends the request and reads the answer's head. Where a kept
// connection turns out to be closed, before anything was written to it, another one is tried.
func (f *Forwarder) roundTrip(ctx context.Context, w http.ResponseWriter, r *http.Request, a Attempt, body *body) (*http.Response, Stage, error) {
	transport := f.pool.transport(r)
	for tries := 0; ; tries++ {
		x := &exchange{w: w}
		out := outgoing(r, a, body, f.pool.scheme())
		res, err := transport.RoundTrip(out.WithContext(x.trace(ctx)))
		x.headDone()
		if err == nil {
			return res, Delivered, nil
		}
		if x.fresh() {
			err = refusalOf(ctx, x.secure, err)
		}
		stage := x.stage(err)
		if tries >= f.pool.opt.IdlePerHost || ctx.Err() != nil || body.began.Load() || !x.again(stage, err) {
			return nil, stage, err
		}
	}
}
