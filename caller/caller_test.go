package caller

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestIdentify(t *testing.T) {
	for _, tc := range []struct{ env, app, version, want string }{
		{"", "web", "v1", "web@v1"},
		{"batch@v9", "web", "v1", "web@v1"},
		{"batch@v9", "", "", "batch@v9"},
		{"batch@v9", "web", "", "web@v9"},
		{"", "we b", "v1", ""},
		{"", "web", "v1@2", ""},
		{"", "web", strings.Repeat("v", 200), ""},
	} {
		t.Setenv(Env, tc.env)
		c, err := Identify(tc.app, tc.version)
		if tc.want == "" {
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%+v: %v, %v; want an error", tc, c, err)
			}
			continue
		}
		if err != nil || c.String() != tc.want {
			t.Errorf("%+v: %v, %v", tc, c, err)
		}
	}
}

func TestBuildInfo(t *testing.T) {
	rev := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	for _, tc := range []struct {
		info debug.BuildInfo
		want Caller
	}{
		{debug.BuildInfo{Main: debug.Module{Path: "example.com/team/web", Version: "v1.2.3"}}, Caller{"web", "v1.2.3"}},
		{debug.BuildInfo{Main: debug.Module{Path: "example.com/team/web", Version: "(devel)"}, Settings: []debug.BuildSetting{rev}}, Caller{"web", "0123456789ab"}},
		{debug.BuildInfo{}, Caller{}},
	} {
		if got := fromBuild(&tc.info, true); got != tc.want {
			t.Errorf("%v, want %v", got, tc.want)
		}
	}
}

func TestTransport(t *testing.T) {
	seen := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get(Header) }))
	defer srv.Close()
	client := &http.Client{Transport: &Transport{Caller: Caller{"web", "v1"}}}
	for set, want := range map[string]string{"": "web@v1", "other@v2": "other@v2"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
		if set != "" {
			req.Header.Set(Header, set)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := <-seen; got != want {
			t.Errorf("server saw %q, want %q", got, want)
		}
		if req.Header.Get(Header) != set {
			t.Error("the caller's own request was changed")
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestInterceptors(t *testing.T) {
	seen := make(chan []string, 1)
	srv := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md.Get(metadataKey)
		return nil
	}))
	l := bufconn.Listen(1 << 16)
	go func() { _ = srv.Serve(l) }()
	defer srv.Stop()
	me := Caller{"web", "v1"}
	cc, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithChainUnaryInterceptor(me.Unary()), grpc.WithChainStreamInterceptor(me.Stream()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	call := func(ctx context.Context, method string, unary bool) []string {
		if unary {
			_ = cc.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}) // the answer does not matter; what arrived does
			return <-seen
		}
		st, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.CloseSend(); err != nil {
			t.Fatal(err)
		}
		return <-seen
	}
	set := metadata.AppendToOutgoingContext(t.Context(), metadataKey, "other@v2")
	for _, unary := range []bool{true, false} {
		if got := call(t.Context(), "/a.B/C", unary); len(got) != 1 || got[0] != "web@v1" {
			t.Errorf("unary %v: server saw %q", unary, got)
		}
		if got := call(set, "/a.B/C", unary); len(got) != 1 || got[0] != "other@v2" {
			t.Errorf("unary %v, set already: server saw %q", unary, got)
		}
	}
}
