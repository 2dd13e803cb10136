package xds

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ads is a control that says what the test says.
type ads struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	streams chan *adsPeer
}

// adsPeer is one stream, seen from control.
type adsPeer struct {
	t        *testing.T
	requests chan *discoveryv3.DeltaDiscoveryRequest
	stream   discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	end      chan struct{}
	nonce    int
}

func (a *ads) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	p := &adsPeer{requests: make(chan *discoveryv3.DeltaDiscoveryRequest, 100), stream: stream, end: make(chan struct{})}
	a.streams <- p
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			p.requests <- r
		}
	}()
	select {
	case <-p.end:
	case <-stream.Context().Done():
	}
	return nil
}

func startADS(t *testing.T) (*ads, string) {
	t.Helper()
	a := &ads{streams: make(chan *adsPeer, 10)}
	l := testenv.Listen(t)
	serve(t, a, l)
	return a, l.Addr().String()
}

func serve(t *testing.T, a *ads, l net.Listener) *grpc.Server {
	s := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, a)
	var work sync.WaitGroup
	work.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); work.Wait() })
	return s
}

func (a *ads) next(t *testing.T) *adsPeer {
	t.Helper()
	select {
	case p := <-a.streams:
		p.t = t
		return p
	case <-time.After(20 * time.Second):
		t.Fatal("no stream")
		return nil
	}
}

// heard waits for the next request of a type.
func (p *adsPeer) heard(typeURL string) *discoveryv3.DeltaDiscoveryRequest {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case r := <-p.requests:
			if r.GetTypeUrl() == typeURL {
				return r
			}
		case <-deadline:
			p.t.Fatalf("no %s request", ShortType(typeURL))
		}
	}
}

type named struct {
	name, version string
	m             proto.Message
}

// say sends a response and gives the answer to it.
func (p *adsPeer) say(typeURL string, removed []string, items ...named) *discoveryv3.DeltaDiscoveryRequest {
	p.t.Helper()
	p.nonce++
	resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, Nonce: strings.Repeat("n", p.nonce), RemovedResources: removed}
	for _, i := range items {
		a, err := anypb.New(i.m)
		if err != nil {
			p.t.Fatal(err)
		}
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: i.name, Version: i.version, Resource: a})
	}
	if err := p.stream.Send(resp); err != nil {
		p.t.Fatal(err)
	}
	for {
		if r := p.heard(typeURL); r.GetResponseNonce() == resp.GetNonce() {
			return r
		}
	}
}

// everything says a whole Spec.
func (p *adsPeer) everything(s routing.Spec) {
	p.t.Helper()
	r := Encode(s)
	var cds, eds, rds []named
	for n, m := range r.Clusters {
		cds = append(cds, named{n, "1", m})
	}
	for n, m := range r.Endpoints {
		eds = append(eds, named{n, "1", m})
	}
	for n, m := range r.Routes {
		rds = append(rds, named{n, "1", m})
	}
	for _, answer := range []*discoveryv3.DeltaDiscoveryRequest{p.say(TypeCluster, nil, cds...), p.say(TypeEndpoint, nil, eds...), p.say(TypeRoute, nil, rds...)} {
		if answer.GetErrorDetail() != nil {
			p.t.Fatalf("refused: %v", answer.GetErrorDetail())
		}
	}
}

// tables collects what a client hands on.
type tables struct {
	mu  sync.Mutex
	all []*routing.Table
}

func (ts *tables) add(t *routing.Table) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.all = append(ts.all, t)
}

func (ts *tables) count() int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return len(ts.all)
}

func (ts *tables) last() routing.Spec {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.all[len(ts.all)-1].Spec()
}

func runClient(t *testing.T, addrs ...string) (*Client, *tables) {
	t.Helper()
	ts := &tables{}
	c, err := NewClient(Options{Addrs: addrs, NodeID: "gw-1", Logger: slog.New(slog.DiscardHandler), OnTable: ts.add})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return c, ts
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func routesOf(s routing.Spec) *routev3.RouteConfiguration { return Encode(s).Routes[RouteName] }

func TestClientHandsOnOneWholeTable(t *testing.T) {
	a, addr := startADS(t)
	c, ts := runClient(t, addr)
	p := a.next(t)
	if r := p.heard(TypeCluster); r.GetNode().GetId() != "gw-1" || r.GetNode().GetCluster() != RoleGateway || !slices.Equal(r.GetResourceNamesSubscribe(), []string{"*"}) {
		t.Errorf("first request %v", r)
	}
	p.everything(shop())
	until(t, "the first table", func() bool { return ts.count() == 1 })
	if got, want := ts.last(), shopSorted(); len(got.Hosts) != len(want.Hosts) || got.Version != want.Version || len(got.Matrix) != 1 {
		t.Errorf("table of %+v", got)
	}
	if s := c.State(); !s.Connected || s.Tables != 1 || s.Version != "c1" || len(s.Refused) != 0 {
		t.Errorf("state %+v", s)
	}
}

func TestAResponseIsTakenWholeOrNotAtAll(t *testing.T) {
	a, addr := startADS(t)
	c, ts := runClient(t, addr)
	p := a.next(t)
	p.everything(shop())
	until(t, "the first table", func() bool { return ts.count() == 1 })

	r := Encode(shop())
	moved := shop()
	moved.Hosts[2].Ready = true
	good := Encode(moved).Endpoints["shop@v42"]
	wrong := overTheWire(t, r).Endpoints["shop@v41"]
	wrong.Endpoints[0].LbEndpoints[0].Metadata = nil
	wrong.Endpoints[0].LbEndpoints[1].Metadata.FilterMetadata[MetadataKey].Fields["state"] = nil

	answer := p.say(TypeEndpoint, nil, named{"shop@v42", "2", good}, named{"shop@v41", "2", wrong})
	for _, want := range []string{"shop@v41 endpoint 0: has no socket address", `shop@v41 endpoint 1: state "" is not known`} {
		if !strings.Contains(answer.GetErrorDetail().GetMessage(), want) {
			t.Errorf("reason %q is missing in: %v", want, answer.GetErrorDetail())
		}
	}
	if ts.count() != 1 {
		t.Fatal("a part of a refused response was taken over")
	}
	s := c.State()
	if len(s.Refused) != 1 || s.Refused[0].Type != "EDS" || s.Age(time.Now().Add(time.Minute)) < time.Minute {
		t.Errorf("state %+v", s)
	}

	// Control counts the good part as delivered and corrects only the wrong
	// one: both must be there now.
	answer = p.say(TypeEndpoint, nil, named{"shop@v41", "3", r.Endpoints["shop@v41"]})
	if answer.GetErrorDetail() != nil {
		t.Fatalf("the correction was refused: %v", answer.GetErrorDetail())
	}
	until(t, "the second table", func() bool { return ts.count() == 2 })
	for _, h := range ts.last().Hosts {
		if h.Session == "a3" && !h.Ready {
			t.Error("the good part of the refused response is lost")
		}
	}
	if s := c.State(); len(s.Refused) != 0 {
		t.Errorf("still refused: %+v", s)
	}
}

func TestWhatMakesNoTableIsRefused(t *testing.T) {
	a, addr := startADS(t)
	_, ts := runClient(t, addr)
	p := a.next(t)
	p.everything(shop())
	twice := shop()
	twice.Classes = append(twice.Classes, twice.Classes[0])
	for name, wrong := range map[string]named{
		"contradiction": {RouteName, "2", routesOf(twice)},
		"wrong name":    {"other", "2", routesOf(shop())},
		"wrong type":    {RouteName, "2", Encode(shop()).Clusters["shop@v41"]},
	} {
		if answer := p.say(TypeRoute, nil, wrong); answer.GetErrorDetail().GetMessage() == "" {
			t.Errorf("%s: accepted", name)
		}
		if answer := p.say(TypeRoute, []string{"other"}, named{RouteName, "3", routesOf(shop())}); answer.GetErrorDetail() != nil {
			t.Errorf("after %s: the right one was refused: %v", name, answer.GetErrorDetail())
		}
	}
	if answer := p.say(TypeRoute, []string{RouteName}); answer.GetErrorDetail() != nil {
		t.Logf("removal of all routes: %v", answer.GetErrorDetail())
	}
	if ts.count() != 1 || len(ts.last().Classes) != len(shop().Classes) {
		t.Errorf("%d tables", ts.count())
	}
}

func TestReconnectSaysWhatIsHeld(t *testing.T) {
	a, addr := startADS(t)
	c, ts := runClient(t, addr)
	p := a.next(t)
	p.everything(shop())
	until(t, "the first table", func() bool { return ts.count() == 1 })
	close(p.end)
	p = a.next(t)
	if s := c.State(); s.Connected {
		t.Errorf("state before control said anything: %+v", s)
	}
	cds, rds, eds := p.heard(TypeCluster), p.heard(TypeRoute), p.heard(TypeEndpoint)
	if len(cds.GetInitialResourceVersions()) != len(Encode(shop()).Clusters) || rds.GetInitialResourceVersions()[RouteName] != "1" {
		t.Errorf("held: %v, %v", cds.GetInitialResourceVersions(), rds.GetInitialResourceVersions())
	}
	if eds.GetInitialResourceVersions()["shop@v41"] != "1" || !slices.Contains(eds.GetResourceNamesSubscribe(), "shop@v41") {
		t.Errorf("endpoints held: %v", eds)
	}
	p.say(TypeCluster, nil) // nothing changed
	until(t, "the connection", func() bool { return c.State().Connected })
	if ts.count() != 1 {
		t.Error("an unchanged mesh made a new table")
	}
}

func TestClustersThatGoTakeTheirHostsAlong(t *testing.T) {
	a, addr := startADS(t)
	_, ts := runClient(t, addr)
	p := a.next(t)
	p.everything(shop())
	until(t, "the first table", func() bool { return ts.count() == 1 })
	if answer := p.say(TypeCluster, []string{"chat@1"}); answer.GetErrorDetail() != nil {
		t.Fatal(answer.GetErrorDetail())
	}
	if r := p.heard(TypeEndpoint); !slices.Equal(r.GetResourceNamesUnsubscribe(), []string{"chat@1"}) {
		t.Errorf("endpoints request %v", r)
	}
	until(t, "the second table", func() bool { return ts.count() == 2 })
	for _, h := range ts.last().Hosts {
		if h.Session == "b1" {
			t.Error("its host is still there")
		}
	}
}

// Control never answers for a cluster that it does not have: a table must come nevertheless.
func TestMissingEndpointsDoNotHoldTheFirstTable(t *testing.T) {
	a, addr := startADS(t)
	_, ts := runClient(t, addr)
	p := a.next(t)
	r := Encode(shop())
	p.say(TypeCluster, nil, named{"shop@v41", "1", r.Clusters["shop@v41"]}, named{"chat@1", "1", r.Clusters["chat@1"]})
	p.say(TypeRoute, nil, named{RouteName, "1", r.Routes[RouteName]}, named{MatrixName, "1", r.Routes[MatrixName]})
	p.say(TypeEndpoint, nil, named{"shop@v41", "1", r.Endpoints["shop@v41"]})
	until(t, "a table", func() bool { return ts.count() == 1 })
	if n := len(ts.last().Hosts); n != 2 {
		t.Errorf("%d hosts, want 2", n)
	}
}

func TestBackoffGrowsIsBoundedAndJittered(t *testing.T) {
	b := newBackoff()
	var most time.Duration
	for range 100 {
		d := b.next()
		if d <= 0 || d > b.most+b.least {
			t.Fatalf("pause of %s", d)
		}
		most = max(most, d)
	}
	if most < b.most/2 {
		t.Errorf("pauses never grew beyond %s", most)
	}
	b.reset()
	if d := b.next(); d > 2*b.least {
		t.Errorf("first pause is %s", d)
	}
}
