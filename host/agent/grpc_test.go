package agent_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

type text = wrapperspb.StringValue

// echo is a gRPC upstream: Say answers with what it got, and fails when asked;
// Chat answers each message.
var echo = grpc.ServiceDesc{
	ServiceName: "test.Echo", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Say", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(text)
		if err := dec(in); err != nil {
			return nil, err
		}
		if in.GetValue() == "hang" {
			<-ctx.Done() // the agent has given it up
			return nil, ctx.Err()
		}
		if in.GetValue() == "fail" {
			return nil, status.Error(codes.FailedPrecondition, "as asked")
		}
		return in, nil
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Chat", ClientStreams: true, ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
		s := &grpc.GenericServerStream[text, text]{ServerStream: ss}
		for {
			in, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if in.GetValue() != "quiet" {
				if err := s.Send(in); err != nil {
					return err
				}
			}
		}
	}}},
}

func startEcho(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{addr: addr(t)}
	l, err := net.Listen("tcp", u.addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	srv.RegisterService(&echo, nil)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() { srv.Stop(); <-served })
	return u
}

func TestGRPCThroughTheAgent(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	startAgent(m, "one", startEcho(t), func(o *agent.Options) { o.Health, o.ResponseTimeout = "", 3*time.Second })
	k := key("1")
	c := m.Owner(k)
	conn, err := grpc.NewClient(c.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	h := http.Header{}
	m.Stamp(h, k, c)
	ctx := t.Context()
	for name, v := range h {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), v[0])
	}
	say := func(arg string) (string, error) {
		out := new(text)
		err := conn.Invoke(ctx, "/test.Echo/Say", wrapperspb.String(arg), out)
		return out.GetValue(), err
	}
	if got, err := say("hello"); err != nil || got != "hello" {
		t.Fatalf("unary: %q, %v", got, err)
	}
	if _, err := say("fail"); status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "as asked" {
		t.Errorf("an error of the upstream: %v", err)
	}
	begin := func() *grpc.GenericClientStream[text, text] {
		s, err := conn.NewStream(ctx, &echo.Streams[0], "/test.Echo/Chat")
		if err != nil {
			t.Fatal(err)
		}
		return &grpc.GenericClientStream[text, text]{ClientStream: s}
	}
	chat := begin()
	// A stream that has said one thing and got no answer yet: it must not hold the object.
	if err := chat.Send(wrapperspb.String("quiet")); err != nil {
		t.Fatal(err)
	}
	if got, err := say("beside"); err != nil || got != "beside" {
		t.Errorf("beside a quiet stream: %q, %v", got, err)
	}
	time.Sleep(4 * time.Second) // longer than the upstream may be silent to a unary call
	for _, want := range []string{"a", "b"} {
		if err := chat.Send(wrapperspb.String(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := chat.Recv(); err != nil || got.GetValue() != want {
			t.Fatalf("chat: %q, %v", got.GetValue(), err)
		}
	}
	if _, err := say("hang"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a call that hangs: %v, want DEADLINE_EXCEEDED", err)
	}
	if _, err := chat.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream of the activation that hung ended with %v, want UNAVAILABLE", err)
	}
	chat = begin()
	if err := chat.Send(wrapperspb.String("c")); err != nil {
		t.Fatal(err)
	}
	if got, err := chat.Recv(); err != nil || got.GetValue() != "c" {
		t.Fatalf("chat: %q, %v", got.GetValue(), err)
	}
	if r := m.Release(k, wire.ReleaseNow, 10*time.Second); !r.Released {
		t.Errorf("not released: %+v", r)
	}
	if _, err := chat.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v, want UNAVAILABLE", err)
	}
}

// An upstream that is down has executed nothing; a client may ask again.
func TestUpstreamGoesAway(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	l, err := net.Listen("tcp", addr(t))
	if err != nil {
		t.Fatal(err)
	}
	startAgent(m, "one", &upstream{addr: l.Addr().String()}, func(o *agent.Options) { o.Health = "" })
	c := m.Owner(key("1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-m.LaterAt(key("1"), c, "POST", "/add"); a.Status != 503 || a.Code() != "no_host" {
		t.Errorf("status %d %s, %v; want 503 no_host", a.Status, a.Body, a.Err)
	}
}
