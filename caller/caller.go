// Package caller is what a worker may link so that objects, tallies and
// `skewgate skew` know who calls: it sets the header Skewgate-Caller, for gRPC
// the metadata of the same name, to app@version. It is a leaf.
//
// A gateway believes the header from trusted peers only; saying it twice, or
// wrongly, costs nothing but a wrong tally.
package caller

import (
	"context"
	"net/http"
	"os"
	"path"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const (
	header = "Skewgate-Caller"
	key    = "skewgate-caller"
	env    = "SKEWGATE_CALLER"
)

// Identity gives app@version: explicit if it is not empty, else the environment
// variable SKEWGATE_CALLER, else the main module's name and version as the Go
// linker recorded them. It is "" when nothing is known; then nothing is sent.
func Identity(explicit string) string {
	if explicit != "" {
		return explicit
	}
	if v := os.Getenv(env); v != "" {
		return v
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path == "" {
		return ""
	}
	return path.Base(info.Main.Path) + "@" + info.Main.Version
}

// Header gives the header alone, for clients that take one (a WebSocket dialer).
func Header(identity string) http.Header {
	h := http.Header{}
	if id := Identity(identity); id != "" {
		h.Set(header, id)
	}
	return h
}

// RoundTripper says who calls on each request. A nil base means
// http.DefaultTransport. An identity of "" is looked up, see Identity.
func RoundTripper(identity string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return roundTripper{identity: Identity(identity), base: base}
}

type roundTripper struct {
	identity string
	base     http.RoundTripper
}

// RoundTrip sends a copy of r with the header; r itself is not changed, as http.RoundTripper demands.
func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.identity == "" {
		return t.base.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Header.Set(header, t.identity)
	return t.base.RoundTrip(r)
}

// Unary says who calls on each unary gRPC call.
func Unary(identity string) grpc.UnaryClientInterceptor {
	id := Identity(identity)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(outgoing(ctx, id), method, req, reply, cc, opts...)
	}
}

// Stream says who calls on each gRPC stream.
func Stream(identity string) grpc.StreamClientInterceptor {
	id := Identity(identity)
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		return open(outgoing(ctx, id), desc, cc, method, opts...)
	}
}

// outgoing replaces what the context says already: one call has one caller.
func outgoing(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	md.Set(key, id)
	return metadata.NewOutgoingContext(ctx, md)
}
