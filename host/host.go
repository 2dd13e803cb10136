// Package host is what a Go object host links: a session, the gate, fenced
// storage (ownership.md §3, §4). Twenty lines of user code make a host.
package host

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// ErrStale says that this instance is no longer the owner of its object.
var ErrStale = errors.New("stale instance")

// Options of a Host. Zero values mean the defaults in their comments.
type Options struct {
	App, Version string
	Preview      string
	Name         string        // stable over restarts; the machine's host name
	Store        string        // redis://…?replicas=N
	Listen       string        // ":9001"
	Advertise    string        // host:port that gateways dial; POD_IP or the listener's
	Lease        time.Duration // 15s
	Idle         time.Duration // release an object after so long without an event; 10s
	Concurrency  int           // events at a time per object; 1
	SecretFile   string        // mesh secret; SKEWGATE_SECRET_FILE
	Secret       []byte
	Logger       *slog.Logger
}

// Host runs objects of one app version.
type Host struct{}

// New checks the options; it does not connect yet.
func New(o Options) (*Host, error) { return nil, errors.New("not built yet") }

// Activate makes an object's handler, once per activation, after the claim. A
// value that also has Close() error is told when the activation ends.
type Activate func(ctx context.Context, o *Object) (http.Handler, error)

// Handle serves objects of a class over HTTP and WebSocket.
func (h *Host) Handle(class string, a Activate) {}

// HandleGRPC says that a class is served by gRPC methods; they take
// FromContext(ctx). activate may be nil; what it returns is Object.Value.
func (h *Host) HandleGRPC(class string, activate func(ctx context.Context, o *Object) (any, error)) {}

// GRPCServer gives the server whose services Run serves on the same listener (h2c), with the gate in place.
func (h *Host) GRPCServer(opts ...grpc.ServerOption) *grpc.Server { return nil }

// Unary and Stream are the gate as interceptors, for a server of the user's own.
func (h *Host) Unary() grpc.UnaryServerInterceptor { return nil }

// Stream is the gate for streams.
func (h *Host) Stream() grpc.StreamServerInterceptor { return nil }

// Run registers, renews, serves, drains on SIGTERM or when ctx ends.
func (h *Host) Run(ctx context.Context) error { return nil }

// Object is one activation of one object on this host.
type Object struct{}

// FromContext gives the object of the running event, or nil outside of one.
func FromContext(ctx context.Context) *Object { return nil }

// Confirm asks the store whether this activation still owns its object; do so before a side effect outside.
func (o *Object) Confirm(ctx context.Context) error { return ErrStale }
