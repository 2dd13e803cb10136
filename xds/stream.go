package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/skewgate/skewgate/gateway/routing"
)

// endpointsPatience is how long the first Table waits for endpoints that
// control has not sent: it has none for a cluster that just went away.
const endpointsPatience = 500 * time.Millisecond

type adsStream = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

// stream runs one ADS stream until it ends. Everything below runs on this
// goroutine; one more reads.
func (c *Client) stream(ctx context.Context, service discoveryv3.AggregatedDiscoveryServiceClient, h *held, healthy func()) error {
	ctx, cancel := context.WithCancel(ctx)
	ads, err := service.DeltaAggregatedResources(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("open stream: %w", err)
	}
	responses, failed := make(chan *discoveryv3.DeltaDiscoveryResponse), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		receive(ctx, ads, responses, failed)
	}()
	defer func() { cancel(); <-done }()

	s := &session{client: c, ads: ads, held: h, refused: map[string]*discoveryv3.DeltaDiscoveryResponse{}}
	if err := s.subscribe(); err != nil {
		return cause(err, responses, failed)
	}
	patience := time.NewTimer(endpointsPatience)
	defer patience.Stop()
	for {
		select {
		case resp := <-responses:
			healthy()
			if err := s.take(resp); err != nil {
				return cause(err, responses, failed)
			}
			if s.waiting() {
				patience.Reset(endpointsPatience)
			}
		case <-patience.C:
			if err := s.settle(true); err != nil {
				c.opt.Logger.Error("the resources of control make no table", "error", err)
			}
		case err := <-failed:
			return err
		}
	}
}

func receive(ctx context.Context, ads adsStream, responses chan<- *discoveryv3.DeltaDiscoveryResponse, failed chan<- error) {
	for {
		resp, err := ads.Recv()
		if err != nil {
			failed <- err
			return
		}
		select {
		case responses <- resp:
		case <-ctx.Done():
			failed <- ctx.Err()
			return
		}
	}
}

// cause waits for why the stream ended: a failed Send only says that it did.
func cause(err error, responses <-chan *discoveryv3.DeltaDiscoveryResponse, failed <-chan error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	for {
		select {
		case <-responses:
		case err := <-failed:
			return err
		}
	}
}

// session is one stream's state.
type session struct {
	client     *Client
	ads        adsStream
	held       *held
	subscribed []string                                       // EDS, sorted
	refused    map[string]*discoveryv3.DeltaDiscoveryResponse // by type: sent, and not taken over
}

// subscribe opens the three subscriptions and says what is held already, so
// that only what changed is sent.
func (s *session) subscribe() error {
	for _, req := range []*discoveryv3.DeltaDiscoveryRequest{
		{Node: s.client.node(), TypeUrl: TypeCluster, ResourceNamesSubscribe: []string{"*"}, InitialResourceVersions: s.held.versions[TypeCluster]},
		{TypeUrl: TypeRoute, ResourceNamesSubscribe: []string{RouteName, MatrixName}, InitialResourceVersions: s.held.versions[TypeRoute]},
	} {
		if err := s.ads.Send(req); err != nil {
			return err
		}
	}
	if names := s.held.edsClusters(); len(names) > 0 {
		s.subscribed = names
		return s.ads.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: TypeEndpoint, ResourceNamesSubscribe: names, InitialResourceVersions: s.held.versions[TypeEndpoint]})
	}
	return nil
}

// take judges one response, answers it, and follows what it changes.
func (s *session) take(resp *discoveryv3.DeltaDiscoveryResponse) error {
	err := s.adopt(resp)
	s.client.judged(resp.GetTypeUrl(), err)
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}
	if err != nil {
		s.client.opt.Logger.Error("refused what control sent; the last good table stays",
			"type", ShortType(resp.GetTypeUrl()), "version", resp.GetSystemVersionInfo(), "error", err)
		answer.ErrorDetail = &statuspb.Status{Code: int32(codes.InvalidArgument), Message: bounded(err.Error())}
	}
	if err := s.ads.Send(answer); err != nil {
		return err
	}
	return s.follow()
}

// adopt takes a response over if it makes a Table, or is not yet enough for
// one. Control counts a refused response as delivered and sends only what
// changes after it, so what was refused is tried again under the next one.
func (s *session) adopt(resp *discoveryv3.DeltaDiscoveryResponse) error {
	typeURL := resp.GetTypeUrl()
	sum := merge(s.refused[typeURL], resp)
	next, err := s.held.with(sum)
	if err == nil {
		before := *s.held
		*s.held = *next
		if err = s.settle(s.held.table != nil); err != nil {
			*s.held = before
		}
	}
	if err != nil {
		s.refused[typeURL] = sum
		return err
	}
	delete(s.refused, typeURL)
	return nil
}

// merge puts a response on top of an earlier one of its type.
func merge(under, over *discoveryv3.DeltaDiscoveryResponse) *discoveryv3.DeltaDiscoveryResponse {
	if under == nil {
		return over
	}
	replaced := map[string]bool{}
	for _, r := range over.GetResources() {
		replaced[r.GetName()] = true
	}
	for _, name := range over.GetRemovedResources() {
		replaced[name] = true
	}
	out := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl:          under.GetTypeUrl(),
		Resources:        slices.Clone(over.GetResources()),
		RemovedResources: slices.Clone(over.GetRemovedResources()),
	}
	for _, r := range under.GetResources() {
		if !replaced[r.GetName()] {
			out.Resources = append(out.Resources, r)
		}
	}
	for _, name := range under.GetRemovedResources() {
		if !replaced[name] {
			out.RemovedResources = append(out.RemovedResources, name)
		}
	}
	return out
}

// settle builds a Table from what is held and hands it on. It does nothing
// while parts are missing.
func (s *session) settle(early bool) error {
	if !s.held.complete(early) {
		return nil
	}
	t, err := s.held.build()
	if err != nil {
		return err
	}
	if s.held.table != nil && sameSpec(s.held.table, t) {
		return nil
	}
	s.held.table = t
	s.client.table(t)
	return nil
}

func (s *session) waiting() bool { return s.held.table == nil }

// follow keeps the EDS subscription equal to the clusters.
func (s *session) follow() error {
	want := s.held.edsClusters()
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: TypeEndpoint}
	for _, name := range want {
		if _, old := slices.BinarySearch(s.subscribed, name); !old {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
		}
	}
	for _, name := range s.subscribed {
		if _, still := slices.BinarySearch(want, name); !still {
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, name)
		}
	}
	if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) == 0 {
		return nil
	}
	s.subscribed = want
	s.held.forget(req.ResourceNamesUnsubscribe)
	if refused := s.refused[TypeEndpoint]; refused != nil {
		gone := &discoveryv3.DeltaDiscoveryResponse{RemovedResources: req.ResourceNamesUnsubscribe}
		s.refused[TypeEndpoint] = merge(refused, gone)
	}
	return s.ads.Send(req)
}

// bounded keeps a refusal below what gRPC peers accept in one message.
func bounded(s string) string {
	const most = 16 << 10
	if len(s) <= most {
		return s
	}
	return s[:most] + "… and more"
}

func sameSpec(a, b *routing.Table) bool { return reflect.DeepEqual(a.Spec(), b.Spec()) }
