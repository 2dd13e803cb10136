package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
)

// Clients that are not ours read what control serves: grpc-go, Node's grpc,
// and (envoy_test.go) the real Envoy.

// grpcHost answers every method with its name.
func grpcHost(t *testing.T, name string) (addr string) {
	t.Helper()
	l := testenv.Listen(t)
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		return stream.SendMsg(wrapperspb.String(name))
	}))
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Errorf("host %s: %v", name, err)
		}
	})
	t.Cleanup(func() { s.Stop(); work.Wait() })
	return l.Addr().String()
}

const method = "/shop.v1.CartService/Get"

func bootstrapJSON(control, node string) string {
	return fmt.Sprintf(`{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": %q, "locality": {"region": "test", "zone": "test"}}
	}`, control, node)
}

func grpcClient(t *testing.T, control string) *grpc.ClientConn {
	t.Helper()
	resolver, err := grpcxds.NewXDSResolverWithConfigForTesting([]byte(bootstrapJSON(control, "grpc-go-1")))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///shop.v1.CartService", grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func call(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out := &wrapperspb.StringValue{}
	err := conn.Invoke(ctx, method, &emptypb.Empty{}, out, grpc.WaitForReady(false))
	return out.GetValue(), err
}

// ownRace is grpc-go's: ClientConn.applyServiceConfigAndBalancer swaps the
// config selector in before the balancer has a picker for a new cluster, so a
// call in between fails whatever control does (grpc-java had the same, see
// grpc/grpc-java#11947). A cluster that control took away says something else.
const ownRace = "unknown cluster selected for RPC"

// Versions come and go under a running grpc client without one failed call:
// clusters and endpoints before the routes to them, routes before removal.
func TestGRPCGoFollowsARolloutWithoutAFailure(t *testing.T) {
	w := newWorld()
	w.host("a", grpcHost(t, "v41"), "v41")
	w.deploy(routing.Weighted{Version: "v41", Weight: 1, Salt: "x"})
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)
	conn := grpcClient(t, c.addr)

	var newest atomic.Value
	newest.Store("")
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var calls, races atomic.Int64
	load.Go(func() {
		racing := false
		for ctx.Err() == nil {
			got, err := call(context.Background(), conn)
			if err != nil && strings.Contains(err.Error(), ownRace) {
				if !racing {
					races.Add(1)
				}
				racing = true
				continue
			}
			racing = false
			if err != nil {
				t.Errorf("call %d failed: %v", calls.Load(), err)
				return
			}
			calls.Add(1)
			newest.Store(got)
		}
	})
	defer load.Wait()
	defer cancel()
	answers := func(name string) func() bool {
		return func() bool { return newest.Load() == name || t.Failed() }
	}
	eventually(t, "v41 to answer", answers("v41"))
	for i := 42; i < 46; i++ {
		v := fmt.Sprint("v", i)
		w.host(v, grpcHost(t, v), v)
		w.deploy(routing.Weighted{Version: v, Weight: 1, Salt: "x"})
		eventually(t, v+" to answer", answers(v))
		old := fmt.Sprint("v", i-1)
		w.remove(old)
		w.remove("a")
		eventually(t, old+" to be removed", func() bool {
			c.pub.mu.Lock()
			defer c.pub.mu.Unlock()
			_, there := c.pub.standard.clusters.on["shop@"+old]
			return !there || t.Failed()
		})
	}
	if calls.Load() < 100 || races.Load() > 4 {
		t.Errorf("%d calls; %d moments of grpc-go's own race in 4 switches", calls.Load(), races.Load())
	}
	eventually(t, "grpc-go to be listed", func() bool {
		for _, p := range c.Proxies() {
			if p.Node == "grpc-go-1" && statuses(p) == "CDS:SYNCED EDS:SYNCED LDS:SYNCED RDS:SYNCED" {
				return true
			}
		}
		return false
	})
}

// Without the order, calls fail: the test above can tell.
func TestBreakBeforeMakeIsSeen(t *testing.T) {
	w := newWorld()
	w.host("a", grpcHost(t, "v41"), "v41")
	w.deploy(routing.Weighted{Version: "v41", Weight: 1, Salt: "x"})
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)
	conn := grpcClient(t, c.addr)
	if got, err := call(t.Context(), conn); err != nil || got != "v41" {
		t.Fatalf("%s, %v", got, err)
	}
	c.pub.mu.Lock()
	err := c.pub.standard.clusters.put(nil, []string{"shop@v41"})
	c.pub.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a failed call", func() bool {
		_, err := call(t.Context(), conn)
		return err != nil
	})
}

func TestGRPCNodeFollowsControl(t *testing.T) {
	modules := nodeModules(t)
	w := newWorld()
	w.host("a", grpcHost(t, "v41"), "v41")
	w.host("b", grpcHost(t, "v42"), "v42")
	w.deploy(routing.Weighted{Version: "v41", Weight: 1, Salt: "x"}, routing.Weighted{Version: "v42", Weight: 0, Salt: "y"})
	c := start(t, w, "")
	eventually(t, "control to be ready", c.Ready)

	script, err := filepath.Abs("testdata/client.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Env = append(cmd.Environ(), "NODE_PATH="+modules, "GRPC_XDS_BOOTSTRAP_CONFIG="+bootstrapJSON(c.addr, "grpc-js-1"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out safeBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })

	lastLine := func() string {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return lines[len(lines)-1]
	}
	ask := func(want string) {
		eventually(t, "50 answers from "+want+"; last: "+out.String(), func() bool {
			before := out.Len()
			if _, err := io.WriteString(in, "50\n"); err != nil {
				t.Fatalf("node ended: %v\n%s", err, out.String())
			}
			eventually(t, "an answer of node: "+out.String(), func() bool { return out.Len() > before && strings.HasSuffix(out.String(), "\n") })
			return lastLine() == want+"=50"
		})
	}
	ask("v41")
	w.deploy(routing.Weighted{Version: "v41", Weight: 0, Salt: "x"}, routing.Weighted{Version: "v42", Weight: 1, Salt: "y"})
	ask("v42")
}

// nodeModules gives where tools/xds-node.sh put Node's xDS client.
func nodeModules(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.tools/xds-node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("node is not installed: apt-get install nodejs npm, then tools/xds-node.sh")
	}
	if _, err := http.Dir(dir).Open("@grpc/grpc-js-xds/package.json"); err != nil {
		t.Fatalf("Node's xDS client is not installed: run tools/xds-node.sh (%v)", err)
	}
	return dir
}

// safeBuffer is a buffer that a process writes while a test reads.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *safeBuffer) Len() int { return len(s.String()) }
