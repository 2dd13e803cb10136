package host_test

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

type (
	text     = wrapperspb.StringValue
	bidi     = grpc.GenericServerStream[text, text]
	anything = any
)

// counterService is a gRPC service over the counters: Add counts one up, Chat
// answers each message with the count after it.
var counterService = grpc.ServiceDesc{
	ServiceName: "test.Counter", HandlerType: (*anything)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Add", Handler: func(_ any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := new(text)
		if err := dec(in); err != nil {
			return nil, err
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/test.Counter/Add"}, func(ctx context.Context, _ any) (any, error) {
			c := host.FromContext(ctx).Value().(*counter)
			if in.GetValue() == "panic" {
				panic("thrown by a test")
			}
			if c.hold != nil && in.GetValue() == "hold" {
				c.hold(nil)
			}
			return addOne(ctx, c)
		})
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "Chat", ClientStreams: true, ServerStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
		s := &bidi{ServerStream: ss}
		for {
			in, err := s.Recv()
			if err != nil {
				return nil
			}
			if in.GetValue() == "panic" {
				panic("thrown by a test")
			}
			n, err := addOne(ss.Context(), host.FromContext(ss.Context()).Value().(*counter))
			if err != nil {
				return err
			}
			if err := s.Send(n); err != nil {
				return err
			}
		}
	}}},
}

func addOne(ctx context.Context, c *counter) (*text, error) {
	if err := c.o.Storage().Put(ctx, "n", []byte(strconv.Itoa(c.n+1))); err != nil {
		return nil, err
	}
	c.n++
	return wrapperspb.String(strconv.Itoa(c.n)), nil
}

// startGRPC runs a host with the service on its listener.
func startGRPC(m *testmesh.Mesh, name string, hold func(*http.Request), edit ...func(*host.Options)) *testmesh.Running {
	m.T.Helper()
	o := m.Options(name)
	for _, e := range edit {
		e(&o)
	}
	h, err := host.New(o)
	if err != nil {
		m.T.Fatal(err)
	}
	h.Handle("Cart", counting(name, hold))
	h.GRPCServer().RegisterService(&counterService, nil)
	return m.Run(o.Listener.Addr().String(), h.Run)
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// stamped puts a gateway's stamp into the metadata.
func stamped(ctx context.Context, m *testmesh.Mesh, k owners.Key, c testmesh.Target) context.Context {
	h := http.Header{}
	m.Stamp(h, k, c)
	for name, v := range h {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), v[0])
	}
	return ctx
}

func add(ctx context.Context, conn *grpc.ClientConn, arg string, opts ...grpc.CallOption) (string, error) {
	out := new(text)
	err := conn.Invoke(ctx, "/test.Counter/Add", wrapperspb.String(arg), out, opts...)
	return out.GetValue(), err
}

// reasonOf gives the code in a status' ErrorInfo.
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

func TestGRPC(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		startGRPC(m, "one", nil)
		k := key("1")
		c := m.Owner(k)
		conn := dial(t, c.Addr)
		ctx := stamped(t.Context(), m, k, c)
		for _, want := range []string{"1", "2"} {
			if got, err := add(ctx, conn, ""); err != nil || got != want {
				t.Fatalf("add: %q, %v; want %s", got, err, want)
			}
		}
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != "3" {
			t.Errorf("the same object over HTTP counts %s, want 3", a.Body)
		}
		m.Release(k, wire.ReleaseNow, time.Minute)
		_, err := add(ctx, conn, "")
		if err == nil || status.Code(err) == codes.OK {
			t.Errorf("a released token: %v", err)
		}
	})
}

// A stream runs beside the queue, passes the gate with each message, and ends with UNAVAILABLE on release.
func TestGRPCStreamEndsOnRelease(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	startGRPC(m, "one", nil)
	k := key("1")
	c := m.Owner(k)
	conn := dial(t, c.Addr)
	s, err := conn.NewStream(stamped(t.Context(), m, k, c), &counterService.Streams[0], "/test.Counter/Chat")
	if err != nil {
		t.Fatal(err)
	}
	chat := &grpc.GenericClientStream[text, text]{ClientStream: s}
	for _, want := range []string{"1", "2"} {
		if err := chat.Send(wrapperspb.String("")); err != nil {
			t.Fatal(err)
		}
		if got, err := chat.Recv(); err != nil || got.GetValue() != want {
			t.Fatalf("chat: %q, %v; want %s", got.GetValue(), err, want)
		}
	}
	if got, err := add(stamped(t.Context(), m, k, c), conn, ""); err != nil || got != "3" {
		t.Errorf("beside the stream: %q, %v; want 3", got, err)
	}
	if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
		t.Errorf("release: %+v", r)
	}
	if _, err := chat.Recv(); status.Code(err) != codes.Unavailable || reasonOf(err) != "owner_moving" {
		t.Errorf("the stream ended with %v, want UNAVAILABLE owner_moving", err)
	}
}

func TestGRPCLateAnswerIsWithheld(t *testing.T) {
	t.Parallel()
	m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
	enter, leave := make(chan struct{}, 1), make(chan struct{})
	startGRPC(m, "one", func(*http.Request) { enter <- struct{}{}; <-leave }, faulty(nil, st))
	k := key("1")
	c := m.Owner(k)
	conn := dial(t, c.Addr)
	late := make(chan error, 1)
	go func() { _, err := add(stamped(t.Context(), m, k, c), conn, "hold"); late <- err }()
	<-enter
	defer st.hold(faults.BeforeRenew)()
	deaf(m, st, c)
	close(leave)
	if err := <-late; status.Code(err) != codes.Aborted || reasonOf(err) != "stale_instance" {
		t.Errorf("late answer: %v, want ABORTED stale_instance", err)
	}
}

// serveBeside runs a host, and the counter on a gRPC server of its own that the interceptors guard; it gives that one's address.
func serveBeside(t *testing.T, m *testmesh.Mesh, o host.Options) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(testenv.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Handle("Cart", counting("one", nil))
	srv := grpc.NewServer(grpc.ChainUnaryInterceptor(h.Unary()), grpc.ChainStreamInterceptor(h.Stream()))
	srv.RegisterService(&counterService, nil)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() { srv.Stop(); <-served })
	m.Run(o.Listener.Addr().String(), h.Run)
	return l.Addr().String()
}

// The interceptors guard a server that is not behind Run's listener.
func TestInterceptorsOnAServerOfOnesOwn(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	addr := serveBeside(t, m, m.Options("one"))
	k := key("1")
	c := m.Owner(k)
	conn := dial(t, addr)
	if got, err := add(stamped(t.Context(), m, k, c), conn, ""); err != nil || got != "1" {
		t.Fatalf("add: %q, %v", got, err)
	}
	other := c
	other.SID = owners.NewSID()
	var trailer metadata.MD
	_, err := add(stamped(t.Context(), m, k, other), conn, "", grpc.Trailer(&trailer))
	if status.Code(err) != codes.Unavailable || len(trailer.Get(wire.HeaderRefusal)) != 1 || !strings.HasPrefix(trailer.Get(wire.HeaderRefusal)[0], "reason=session") {
		t.Errorf("another session: %v with %v; want UNAVAILABLE with a refusal", err, trailer)
	}
	if _, err := add(t.Context(), conn, ""); status.Code(err) != codes.Unavailable {
		t.Errorf("without a stamp: %v, want UNAVAILABLE", err)
	}
	s, err := conn.NewStream(stamped(t.Context(), m, k, c), &counterService.Streams[0], "/test.Counter/Chat")
	if err != nil {
		t.Fatal(err)
	}
	chat := &grpc.GenericClientStream[text, text]{ClientStream: s}
	if err := chat.Send(wrapperspb.String("")); err != nil {
		t.Fatal(err)
	}
	if got, err := chat.Recv(); err != nil || got.GetValue() != "2" {
		t.Errorf("chat: %q, %v; want 2", got.GetValue(), err)
	}
	m.Release(k, wire.ReleaseNow, time.Minute)
	if _, err := chat.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v, want UNAVAILABLE", err)
	}
}
