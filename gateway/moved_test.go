package gateway

import (
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// A stream that a planned move closes is no failure of the version that it ran
// on: a bake would stop a rollout for what the rollout does.
func TestStreamClosedByAMoveIsMovedNotFailed(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	open := func() testpb.TestService_FullDuplexCallClient {
		s, err := m.grpcClient().FullDuplexCall(withCart(t, "1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	m.release("1")
	if _, err := s.Recv(); err == nil {
		t.Fatal("the stream goes on after its object was let go")
	}
	if ev := m.events.wait(t, 1); ev.Code != CodeMoved || ev.ObjectVersion != "v1" {
		t.Errorf("a stream that was moved is recorded as %q on %q", ev.Code, ev.ObjectVersion)
	}
}

// What an app itself answers stays what it is.
func TestGRPCCode(t *testing.T) {
	for _, tc := range []struct{ status, details, want string }{
		{"0", "", ""},
		{"", "", ""},
		{"5", "", ""},
		{"14", "", "grpc_14"},
		{"14", "not base64 !", "grpc_14"},
		{"14", "AAAA", "grpc_14"},
	} {
		if got := GRPCCode(tc.status, tc.details); got != tc.want {
			t.Errorf("status %q, details %q: %q, want %q", tc.status, tc.details, got, tc.want)
		}
	}
}
