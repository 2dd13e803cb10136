package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

var testSecret = []byte("a secret for tests")

// mesh is a store, hosts and one gateway, all real, in this process.
type mesh struct {
	t        testing.TB
	url      string
	embedded *owners.Embedded
	store    *countingStore
	gw       *Gateway
	addr     string // of the gateway
	events   recorder
	deployed []routing.Weighted
	classes  []routing.Class
	matrix   []routing.Incompatible
	hosts    map[string]*testHost
}

// countingStore counts what a gateway asks of the store; it may fail, and stand still.
type countingStore struct {
	*owners.Store
	calls atomic.Int64
	fail  atomic.Bool
	still sync.RWMutex // whoever locks it lets no call through

	at, most atomic.Int64 // calls for pins under way
}

// enter counts one call for a pin that is under way.
func (s *countingStore) enter() (leave func()) {
	s.calls.Add(1)
	n := s.at.Add(1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	s.still.RLock()
	return func() {
		s.still.RUnlock()
		s.at.Add(-1)
	}
}

func (s *countingStore) Pin(ctx context.Context, k owners.Key) (owners.Pin, owners.Session, bool, error) {
	defer s.enter()()
	if s.fail.Load() {
		return owners.Pin{}, owners.Session{}, false, owners.ErrUnavailable
	}
	return s.Store.Pin(ctx, k)
}

func (s *countingStore) Acquire(ctx context.Context, a owners.Acquire) (owners.Pin, bool, error) {
	defer s.enter()()
	return s.Store.Acquire(ctx, a)
}

func (s *countingStore) Sessions(ctx context.Context) ([]owners.Session, error) {
	s.calls.Add(1)
	return s.Store.Sessions(ctx)
}

type recorder struct {
	mu  sync.Mutex
	all []*Event
}

func (r *recorder) Record(e *Event) {
	r.mu.Lock()
	r.all = append(r.all, e)
	r.mu.Unlock()
}

// wait gives the newest event once there are n.
func (r *recorder) wait(t testing.TB, n int) *Event {
	t.Helper()
	var e *Event
	eventually(t, fmt.Sprintf("%d events", n), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.all) < n {
			return false
		}
		e = r.all[len(r.all)-1]
		return true
	})
	return e
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never came about: %s", what)
}

var cartClass = routing.Class{
	Name: "Cart", App: "shop", Mode: routing.ModeOwn, Services: []string{"grpc.testing.TestService"},
	Routes: []string{"/carts/{id}/**"}, IDHeader: "cart-id",
	Limits: routing.Limits{HoldFor: 30 * time.Second}, // a machine that does other work is slow
}

// newMesh starts a store and a gateway; change may alter the gateway's options.
func newMesh(t testing.TB, change ...func(*mesh, *Options)) *mesh {
	t.Helper()
	em, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { em.Close() })
	store, err := owners.Open(t.Context(), owners.Options{URL: em.URL(), Timeout: 6 * time.Second}) // a machine that does other work is slow
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	m := &mesh{
		t: t, url: em.URL(), embedded: em, store: &countingStore{Store: store},
		classes: []routing.Class{cartClass}, hosts: map[string]*testHost{},
	}
	o := Options{
		ID: "gw", Store: m.store, Signer: wire.NewSigner(testSecret), Recorder: &m.events,
		TrustedCallers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Releaser:       &wire.ReleaseClient{Signer: wire.NewSigner(testSecret)}, HostRefresh: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(m, &o)
	}
	m.gw = New(o)
	m.addr = serve(t, NewServer(m.gw))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := m.gw.Drain(ctx); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return m
}

func serve(t testing.TB, srv *http.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return l.Addr().String()
}

// table makes the configuration of what the store says now.
func (m *mesh) table() {
	m.t.Helper()
	sessions, err := m.store.Store.Sessions(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	spec := routing.Spec{
		Classes: m.classes, Apps: []routing.App{{Name: "shop", Deployment: m.deployed}},
		Hosts: mergeHosts(nil, sessions), Matrix: m.matrix,
	}
	table, err := routing.NewTable(spec)
	if err != nil {
		m.t.Fatal(err)
	}
	m.gw.SetTable(table)
}

// testHost is a real host whose objects tell who they are.
type testHost struct {
	name, version, addr string
	stop                func()
	acts                atomic.Int64
	grpc                *testService
}

type cart struct {
	h *testHost
	o *host.Object
}

// ServeHTTP answers with the host's name; /echo gives the body back, /ws talks.
func (c *cart) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/echo"):
		_, _ = io.Copy(w, r.Body)
	case strings.HasSuffix(r.URL.Path, "/headers"):
		for name, v := range r.Header {
			fmt.Fprintf(w, "%s: %s\n", name, strings.Join(v, "|"))
		}
	case strings.HasSuffix(r.URL.Path, "/ws"):
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		for {
			kind, msg, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if err := conn.Write(r.Context(), kind, append([]byte(c.h.name+":"), msg...)); err != nil {
				return
			}
		}
	case strings.HasSuffix(r.URL.Path, "/slow"):
		time.Sleep(300 * time.Millisecond)
		fmt.Fprint(w, c.h.name)
	default:
		fmt.Fprint(w, c.h.name)
	}
}

func (m *mesh) host(name, version string, change ...func(*host.Options)) *testHost {
	m.t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Port(m.t)))
	if err != nil {
		m.t.Fatal(err)
	}
	th := &testHost{name: name, version: version, addr: l.Addr().String()}
	o := host.Options{
		App: "shop", Version: version, Name: name, Store: m.url, Listener: l, Advertise: th.addr, Secret: testSecret,
		Lease: 20 * time.Second, Drain: 5 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	h, err := host.New(o)
	if err != nil {
		m.t.Fatal(err)
	}
	h.Handle("Cart", func(_ context.Context, o *host.Object) (http.Handler, error) {
		th.acts.Add(1)
		return &cart{th, o}, nil
	})
	th.grpc = &testService{host: name}
	testpb.RegisterTestServiceServer(h.GRPCServer(), th.grpc)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	th.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("host %s: %v", name, err)
		}
	})
	m.t.Cleanup(th.stop)
	eventually(m.t, "host "+name+" registered", func() bool {
		all, _ := m.store.Store.Sessions(context.Background())
		for _, s := range all {
			if s.Addr == th.addr && s.State == owners.Live && s.Ready {
				return true
			}
		}
		return false
	})
	m.hosts[name] = th
	return th
}

// testService is grpc's own interop service: all four kinds of call.
type testService struct {
	testpb.UnimplementedTestServiceServer
	host     string
	canceled atomic.Int64 // streams whose client went away
}

func (s *testService) UnaryCall(_ context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if st := r.GetResponseStatus(); st != nil {
		return nil, statusOf(st)
	}
	return &testpb.SimpleResponse{Hostname: s.host, Payload: r.GetPayload()}, nil
}

func (s *testService) StreamingOutputCall(r *testpb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	for _, p := range r.GetResponseParameters() {
		if err := out.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *testService) StreamingInputCall(in grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	sum := 0
	for {
		r, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(r.GetPayload().GetBody())
	}
}

func (s *testService) FullDuplexCall(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for {
		r, err := st.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			s.canceled.Add(1)
			return err
		}
		if rs := r.GetResponseStatus(); rs != nil {
			return statusOf(rs)
		}
		if err := st.Send(&testpb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}
