package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/skewgate/skewgate/wire"
)

// second starts another gateway on the same mesh.
func (m *mesh) second() string {
	g := New(Options{ID: "gw2", Store: m.store, Signer: wire.NewSigner(testSecret), HostRefresh: 20 * time.Millisecond, Logger: m.gw.opt.Logger})
	g.SetTable(m.gw.snap.Load().table)
	addr := serve(m.t, NewServer(g))
	m.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := g.Drain(ctx); err != nil {
			m.t.Error(err)
		}
	})
	return addr
}

// Hosts are replaced one by one under load, through two gateways with caches
// of their own, over HTTP and gRPC: no request fails.
func TestRollingReplacementLosesNothing(t *testing.T) {
	why := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	m := newMesh(t, func(_ *mesh, o *Options) { o.Logger = why })
	hosts := []*testHost{m.host("a", "v1"), m.host("b", "v1")}
	m.table()
	gateways := []string{m.addr, m.second()}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var done, failed atomic.Int64
	fail := func(what string, args ...any) {
		if failed.Add(1) < 5 {
			t.Errorf(what, args...)
		}
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	for w := range 8 {
		addr := gateways[w%2]
		cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		client := testpb.NewTestServiceClient(cc)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint((n*7 + w) % 25)
				switch n % 3 {
				case 0:
					if _, err := client.UnaryCall(withCart(t, id), &testpb.SimpleRequest{Payload: payload(2000)}); err != nil {
						fail("gRPC %s: %v", id, err)
					}
				default:
					req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/carts/"+id+"/echo", strings.NewReader(strings.Repeat("x", 5000)))
					res, err := tr.RoundTrip(req)
					if err != nil {
						fail("POST %s: %v", id, err)
						continue
					}
					b, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if res.StatusCode != 200 || len(b) != 5000 {
						fail("POST %s: %d %.300s", id, res.StatusCode, b)
					}
				}
				done.Add(1)
			}
		})
	}
	for i := range 4 {
		time.Sleep(150 * time.Millisecond)
		next := m.host(fmt.Sprint("n", i), fmt.Sprint("v", i+2))
		hosts[0].stop()
		hosts = append(hosts[1:], next)
	}
	close(stop)
	wg.Wait()
	if failed.Load() != 0 || done.Load() < 100 {
		t.Fatalf("%d of %d requests failed", failed.Load(), done.Load())
	}
}
