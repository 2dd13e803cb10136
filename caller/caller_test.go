package caller

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

func TestIdentityPrecedence(t *testing.T) {
	t.Setenv(env, "env@v1")
	if got := Identity("code@v2"); got != "code@v2" {
		t.Errorf("explicit: %q", got)
	}
	if got := Identity(""); got != "env@v1" {
		t.Errorf("environment: %q", got)
	}
}

func TestRoundTripperSetsHeaderOnACopy(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get(header) }))
	defer srv.Close()
	req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: RoundTripper("web@v7", nil)}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got != "web@v7" {
		t.Errorf("server saw %q", got)
	}
	if req.Header.Get(header) != "" {
		t.Error("the caller's own request was changed")
	}
}

func TestInterceptorsReplaceTheCaller(t *testing.T) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), key, "old@v0", "cart-id", "1")
	check := func(ctx context.Context) {
		t.Helper()
		md, _ := metadata.FromOutgoingContext(ctx)
		if got := md.Get(key); len(got) != 1 || got[0] != "web@v7" {
			t.Errorf("caller is %q", got)
		}
		if got := md.Get("cart-id"); len(got) != 1 {
			t.Errorf("other metadata is %q", got)
		}
	}
	err := Unary("web@v7")(ctx, "/m", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		check(ctx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Stream("web@v7")(ctx, nil, nil, "/m", func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
		check(ctx)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
