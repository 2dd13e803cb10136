package host

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/skewgate/skewgate/wire"
)

// GRPCServer gives the server whose services Run serves on the same listener
// (h2c, or TLS), with the gate in place. Call it at most once, before Run.
func (h *Host) GRPCServer(opts ...grpc.ServerOption) *grpc.Server {
	if h.grpc == nil {
		gate := []grpc.ServerOption{grpc.ChainUnaryInterceptor(h.Unary()), grpc.ChainStreamInterceptor(h.Stream())}
		h.grpc = grpc.NewServer(append(gate, opts...)...)
	}
	return h.grpc
}

// indexMethods learns which methods are streams: they run beside the queue.
func (h *Host) indexMethods() {
	h.methods = map[string]bool{}
	if h.grpc == nil {
		return
	}
	for service, info := range h.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			h.methods["/"+service+"/"+m.Name] = m.IsClientStream || m.IsServerStream
		}
	}
}

// methodOf says whether r is for the gRPC server, and for a stream of it.
func (h *Host) methodOf(r *http.Request) (streaming, isGRPC bool) {
	if h.grpc == nil || r.ProtoMajor != 2 || wire.ProtocolOf(r) != wire.ProtocolGRPC {
		return false, false
	}
	streaming, known := h.methods[r.URL.Path]
	return streaming, known
}

// serveGRPC runs a call that the gate has admitted.
func (h *Host) serveGRPC(w http.ResponseWriter, r *http.Request, e *event, streaming bool) {
	if !streaming {
		h.grpc.ServeHTTP(w, r.WithContext(&e.ctx))
		return
	}
	e.attach(nil)
	// The transport keeps the request's own context: if it ended with the
	// activation, the status could not be sent any more. Stream ends the handler's.
	h.grpc.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), eventKey{}, e)))
}

// Unary is the gate as an interceptor, for unary methods of a server of the
// user's own. The message has been read by then. On GRPCServer it is in place already.
func (h *Host) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if e := eventOf(ctx); e != nil { // ServeHTTP has admitted it
			return e.handle(func() (any, error) { return handler(ctx, req) })
		}
		e, err := h.admitGRPC(ctx)
		if err != nil {
			return nil, err
		}
		defer e.end()
		resp, err := e.handle(func() (any, error) { return handler(&e.ctx, req) })
		if lost := e.standing(context.WithoutCancel(ctx)); lost != nil {
			e.recordWithheld(lost)
			return nil, e.stale(lost)
		}
		return resp, err
	}
}

// Stream is the gate for streams: they run beside the object's queue; each
// message passes the gate, in both directions. A stream whose object is let go
// ends with UNAVAILABLE, one whose instance went stale with ABORTED.
func (h *Host) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		e := eventOf(ss.Context())
		if e == nil {
			var err error
			if e, err = h.admitGRPC(ss.Context()); err != nil {
				return err
			}
			defer e.end()
			e.attach(nil)
		}
		ctx, cancel := context.WithCancelCause(context.WithValue(ss.Context(), eventKey{}, e))
		defer cancel(nil)
		defer context.AfterFunc(&e.ctx, func() { cancel(context.Cause(&e.ctx)) })()
		ended := make(chan error, 1)
		go func() {
			_, err := e.handle(func() (any, error) { return nil, handler(srv, &gatedStream{ServerStream: ss, e: e, ctx: ctx}) })
			ended <- err
		}()
		select {
		case err := <-ended:
			return e.verdict(err)
		case <-e.ctx.Done():
		}
		select { // its context has ended: a moment to leave by itself
		case err := <-ended:
			return e.verdict(err)
		case <-time.After(closeGrace):
			return e.verdict(nil) // what blocks in RecvMsg is freed by our return
		}
	}
}

// verdict turns the end of a stream's handler into its status.
func (e *event) verdict(err error) error {
	if e.ctx.Err() == nil {
		return err
	}
	cause := context.Cause(&e.ctx)
	switch {
	case errors.Is(cause, errReleased), errors.Is(cause, errDrained):
		return (&wire.Problem{Code: wire.OwnerMoving, Object: e.st.key.String(), Token: e.st.token, Detail: cause.Error()}).Status().Err()
	case errors.Is(cause, errLapsed), errors.Is(cause, errRevoked):
		return e.stale(cause)
	}
	return err // the client went away
}

func (e *event) stale(why error) error {
	return (&wire.Problem{Code: wire.StaleInstance, Object: e.st.key.String(), Token: e.st.token, Detail: "the answer was withheld: " + why.Error()}).Status().Err()
}

// gatedStream lets each message pass the gate.
type gatedStream struct {
	grpc.ServerStream
	e   *event
	ctx context.Context
}

// Context ends with the activation.
func (g *gatedStream) Context() context.Context { return g.ctx }

// RecvMsg gives a message that the gate lets in.
func (g *gatedStream) RecvMsg(m any) error {
	if err := g.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := g.e.message(); err != nil {
		return status.FromContextError(context.Canceled).Err()
	}
	return nil
}

// SendMsg sends a message if the event stands.
func (g *gatedStream) SendMsg(m any) error {
	if err := g.e.standing(g.ctx); err != nil {
		return g.e.stale(err)
	}
	return g.ServerStream.SendMsg(m)
}

func eventOf(ctx context.Context) *event {
	e, _ := ctx.Value(eventKey{}).(*event)
	return e
}

// admitGRPC is the gate for a call on a server that is not behind ServeHTTP.
func (h *Host) admitGRPC(ctx context.Context) (*event, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	v, err := h.stampValues(md.Get(wire.HeaderObject), md.Get(wire.HeaderSession), md.Get(wire.HeaderToken), md.Get(wire.HeaderAuth))
	var st stamp
	if err == nil {
		st, err = h.checkStamp(v, func() bool { return h.trustedPeer(ctx) })
	}
	if err == nil && h.classes[st.key.Class] == nil {
		err = h.noClass(st.key.Class)
	}
	var e *event
	if err == nil {
		e, err = h.admit(ctx, st, exclusive)
	}
	return e, h.statusOf(ctx, v.object, err)
}

func (h *Host) trustedPeer(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	if h.opt.mutualTLS() {
		info, ok := p.AuthInfo.(credentials.TLSInfo)
		return ok && len(info.State.VerifiedChains) > 0
	}
	a, ok := p.Addr.(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// statusOf is the gRPC form of answer. A refusal goes out without a message
// before it, so that it is a trailers-only response.
func (h *Host) statusOf(ctx context.Context, object string, err error) error {
	var refused *refusedError
	var failed *failedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		if terr := grpc.SetTrailer(ctx, metadata.Pairs(wire.HeaderRefusal, refused.Refusal.String())); terr != nil {
			return status.Error(codes.Internal, terr.Error())
		}
		return (&wire.Problem{Code: wire.OwnerMoving, Object: object, Token: refused.Token, Detail: refused.Error()}).Status().Err()
	case errors.As(err, &failed):
		return (&wire.Problem{Code: failed.code, Object: object, Detail: failed.Error()}).Status().Err()
	}
	return status.FromContextError(err).Err()
}
