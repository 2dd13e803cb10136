package gateway

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/skewgate/skewgate/gateway/routing"
)

func statusOf(st *testpb.EchoStatus) error {
	return status.Error(codes.Code(st.GetCode()), st.GetMessage())
}

func (m *mesh) grpcClient() testpb.TestServiceClient {
	m.t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+m.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { cc.Close() })
	return testpb.NewTestServiceClient(cc)
}

func withCart(t testing.TB, id string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "cart-id", id)
}

func payload(n int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, n)} }

func TestGRPCAllFourKinds(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	c := m.grpcClient()
	ctx := withCart(t, "1")

	var head metadata.MD
	res, err := c.UnaryCall(ctx, &testpb.SimpleRequest{Payload: payload(100_000)}, grpc.Header(&head))
	if err != nil || res.GetHostname() != "a" || len(res.GetPayload().GetBody()) != 100_000 {
		t.Fatalf("unary: %v %v", res.GetHostname(), err)
	}
	if v := head.Get("skewgate-object-version"); len(v) != 1 || v[0] != "shop@v1" {
		t.Fatalf("metadata %v", head)
	}

	out, err := c.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}, {Size: 50_000}, {Size: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 50_000, 3} {
		r, err := out.Recv()
		if err != nil || len(r.GetPayload().GetBody()) != want {
			t.Fatalf("server stream: %v", err)
		}
	}
	if _, err := out.Recv(); err != io.EOF {
		t.Fatalf("server stream's end: %v", err)
	}

	in, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := in.Send(&testpb.StreamingInputCallRequest{Payload: payload(100_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := in.CloseAndRecv(); err != nil || sum.GetAggregatedPayloadSize() != 500_000 {
		t.Fatalf("client stream: %v %v", sum, err)
	}

	bidi, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 { // one at a time: anything held back on the way would block for ever
		if err := bidi.Send(&testpb.StreamingOutputCallRequest{Payload: payload(i * 1000)}); err != nil {
			t.Fatal(err)
		}
		if r, err := bidi.Recv(); err != nil || len(r.GetPayload().GetBody()) != i*1000 {
			t.Fatalf("bidi: %v", err)
		}
	}
	if err := bidi.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := bidi.Recv(); err != io.EOF {
		t.Fatalf("bidi's end: %v", err)
	}
}

// A trailers-only response that leaves as a head and an empty frame is an
// error without a status for the client; with a timer involved only sometimes.
func TestGRPCTrailersOnly(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	c := m.grpcClient()
	ctx := withCart(t, "1")
	for range 60 {
		if _, err := c.UnimplementedCall(ctx, &testpb.Empty{}); status.Code(err) != codes.Unimplemented {
			t.Fatalf("unimplemented method: %v", err)
		}
		st := &testpb.EchoStatus{Code: int32(codes.NotFound), Message: "no such thing: ünïcode %"}
		if _, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: st}); status.Code(err) != codes.NotFound || status.Convert(err).Message() != st.GetMessage() {
			t.Fatalf("status: %v", err)
		}
		s, err := c.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != io.EOF {
			t.Fatalf("empty stream: %v", err)
		}
	}
}

func TestGRPCErrorsCarryErrorInfo(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits = routing.Limits{HoldFor: 50 * time.Millisecond} })
	m.table()
	c := m.grpcClient()
	for _, tc := range []struct {
		ctx    context.Context
		code   codes.Code
		reason string
	}{
		{t.Context(), codes.InvalidArgument, "object_key_missing"},
		{withCart(t, "1"), codes.Unavailable, "no_host"},
	} {
		_, err := c.UnaryCall(tc.ctx, &testpb.SimpleRequest{})
		st := status.Convert(err)
		if st.Code() != tc.code {
			t.Fatalf("%v, want %v", err, tc.code)
		}
		info, ok := st.Details()[0].(*errdetails.ErrorInfo)
		if !ok || info.GetReason() != tc.reason || info.GetDomain() != "skewgate" {
			t.Fatalf("details %v", st.Details())
		}
	}
}

func TestGRPCCancelReachesTheHost(t *testing.T) {
	m := newMesh(t)
	a := m.host("a", "v1")
	m.table()
	c := m.grpcClient()
	ctx, cancel := context.WithCancel(withCart(t, "1"))
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&testpb.StreamingOutputCallRequest{Payload: payload(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "the host hears of it", func() bool { return a.grpc.canceled.Load() == 1 })
	if ev := m.events.wait(t, 1); ev.Code != codeCanceled {
		t.Fatalf("event %+v", ev)
	}
}

// A host that goes away in the middle of a stream is an error with a meaning,
// not a reset that every client library reads in its own way.
func TestGRPCStreamThatBreaksOff(t *testing.T) {
	m := newMesh(t)
	m.fake("a", "v1", func(_ *fakeHost, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write([]byte{0, 0, 0, 0, 0}) // an empty message
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	m.table()
	s, err := m.grpcClient().FullDuplexCall(withCart(t, "1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	st := status.Convert(err)
	if st.Code() != codes.Unavailable || len(st.Details()) == 0 {
		t.Fatalf("%v %v", err, st.Details())
	}
	if info, ok := st.Details()[0].(*errdetails.ErrorInfo); !ok || info.GetReason() != "upstream_failed" || info.GetMetadata()["retryable"] != "if-idempotent" {
		t.Fatalf("%v", st.Details())
	}
	if ev := m.events.wait(t, 1); ev.Code != codeCut {
		t.Fatalf("event %+v", ev)
	}
}
