package picker

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// What the picker says to Envoy. The first two are the endpoint-picker
// protocol's, so that any gateway that speaks it can use us.
const (
	EndpointNamespace = "envoy.lb"
	EndpointKey       = "x-gateway-destination-endpoint"
	PinHeader         = "x-skewgate-pin" // base64 of ip:port, for the strict session filter
	Namespace         = "skewgate"       // metadata about the pick: object, version, …
)

// patience is how long a pick may take before Envoy is asked for more time;
// Envoy's own message_timeout must be longer.
const patience = 100 * time.Millisecond

// Options of a Picker.
type Options struct {
	Gateway *gateway.Gateway
	// BufferLimit is how much of a body Envoy keeps to send it again: its
	// per_connection_buffer_limit_bytes. 32 KiB.
	BufferLimit int64
	// Unary says whether a gRPC method is known to be unary. nil: none is known.
	Unary  func(method string) bool
	Hold   time.Duration // asked of Envoy when a pick takes long; at most its max_message_timeout; 8s
	Logger *slog.Logger
}

// Picker is the ext_proc and the access log service of a gateway.
type Picker struct {
	extprocv3.UnimplementedExternalProcessorServer
	accesslogv3.UnimplementedAccessLogServiceServer
	healthv1.UnimplementedHealthServer

	opt    Options
	log    *slog.Logger
	leases leases

	closeOnce sync.Once
	closing   chan struct{}
}

// New makes a Picker.
func New(o Options) *Picker {
	if o.BufferLimit == 0 {
		o.BufferLimit = 32 << 10
	}
	if o.Hold == 0 {
		o.Hold = 8 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Picker{opt: o, log: o.Logger, leases: leases{byKey: map[owners.Key]map[*lease]bool{}}, closing: make(chan struct{})}
}

// Register adds the picker's services, gRPC health checks included, to a server.
func (p *Picker) Register(s grpc.ServiceRegistrar) {
	extprocv3.RegisterExternalProcessorServer(s, p)
	accesslogv3.RegisterAccessLogServiceServer(s, p)
	healthv1.RegisterHealthServer(s, p)
}

// Check answers gRPC health checks: serving while the gateway is ready.
func (p *Picker) Check(context.Context, *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	st := healthv1.HealthCheckResponse_SERVING
	if p.opt.Gateway.Ready() != nil {
		st = healthv1.HealthCheckResponse_NOT_SERVING
	}
	return &healthv1.HealthCheckResponse{Status: st}, nil
}

// Process serves one request of Envoy's: pick, answer, and hold the lease to its end.
func (p *Picker) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	first, err := stream.Recv()
	if err != nil {
		return ended(err)
	}
	r, err := readHead(first)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	opt := p.options(r)
	pick, err := p.pick(stream, r, opt)
	var problem *wire.Problem
	switch {
	case errors.As(err, &problem):
		return p.refuse(stream, r, problem)
	case err != nil:
		return err
	}
	response, err := answer(pick)
	if err != nil {
		problem := &wire.Problem{Code: wire.NoHost, Detail: err.Error(), Object: pick.Key.String()}
		return p.refuse(stream, r, problem)
	}
	l := p.leases.begin(pick)
	defer p.leases.end(l)
	if err := stream.Send(response); err != nil {
		return ended(err)
	}
	return p.hold(stream, l)
}

// pick asks the gateway. When that takes long it asks Envoy for more time, which Envoy grants once.
func (p *Picker) pick(stream extprocv3.ExternalProcessor_ProcessServer, r *head, o gateway.PickOptions) (gateway.Pick, error) {
	type outcome struct {
		pick gateway.Pick
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		pick, err := p.opt.Gateway.Pick(stream.Context(), r.request, o)
		done <- outcome{pick, err}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case out := <-done:
		return out.pick, out.err
	case <-timer.C:
	}
	err := stream.Send(&extprocv3.ProcessingResponse{OverrideMessageTimeout: durationpb.New(p.opt.Hold)})
	out := <-done // Pick ends with the stream's context
	if err != nil {
		return gateway.Pick{}, ended(err)
	}
	return out.pick, out.err
}

// answer names the host to Envoy.
func answer(pick gateway.Pick) (*extprocv3.ProcessingResponse, error) {
	mutation := &extprocv3.HeaderMutation{}
	for name, values := range pick.Header {
		if values == nil {
			mutation.RemoveHeaders = append(mutation.RemoveHeaders, name)
			continue
		}
		mutation.SetHeaders = append(mutation.SetHeaders, setHeader(name, values[0]))
	}
	about := map[string]any{"class": pick.Event.Class, "object": pick.Key.ID, "method": pick.Event.Method, "caller": pick.Event.Caller}
	meta := map[string]any{Namespace: about}
	if t := pick.Target; t != nil {
		if _, err := netip.ParseAddrPort(t.Addr); err != nil {
			return nil, errors.New("host " + t.Host + " advertises " + t.Addr + ": a picker needs an IP address and a port; set its advertise address")
		}
		mutation.SetHeaders = append(mutation.SetHeaders, setHeader(PinHeader, base64.StdEncoding.EncodeToString([]byte(t.Addr))))
		meta[EndpointNamespace] = map[string]any{EndpointKey: t.Addr}
		about["app"], about["version"], about["host"] = pick.Event.App, t.Version, t.Host
		about["objectVersion"] = pick.Event.App + "@" + t.Version
		about["override"] = pick.Event.Override
	}
	st, err := structpb.NewStruct(meta)
	if err != nil {
		return nil, err
	}
	return &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: mutation},
		}},
		DynamicMetadata: st,
	}, nil
}

func setHeader(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// ended maps the ends of a stream to one: the request is over, nothing is wrong.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
