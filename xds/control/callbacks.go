package control

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skewgate/skewgate/xds"
)

// callbacks feed acks from both protocols.
func (s *Server) callbacks() serverv3.Callbacks {
	opened := func(delta bool) func(context.Context, int64, string) error {
		return func(_ context.Context, id int64, _ string) error {
			if !s.ready.Load() {
				return status.Error(codes.Unavailable, "control is not ready: its store has not answered yet")
			}
			s.acks.open(streamKey{delta, id})
			return nil
		}
	}
	closed := func(delta bool) func(int64, *corev3.Node) {
		return func(id int64, _ *corev3.Node) { s.acks.close(streamKey{delta, id}) }
	}
	return serverv3.CallbackFuncs{
		StreamOpenFunc:        opened(false),
		DeltaStreamOpenFunc:   opened(true),
		StreamClosedFunc:      closed(false),
		DeltaStreamClosedFunc: closed(true),
		StreamRequestFunc: func(id int64, r *discoveryv3.DiscoveryRequest) error {
			return s.heard(streamKey{false, id}, request{
				node: r.GetNode(), typeURL: r.GetTypeUrl(), nonce: r.GetResponseNonce(), nack: nackText(r.GetErrorDetail()),
				subscribe: r.GetResourceNames(), whole: true,
			})
		},
		StreamDeltaRequestFunc: func(id int64, r *discoveryv3.DeltaDiscoveryRequest) error {
			return s.heard(streamKey{true, id}, request{
				node: r.GetNode(), typeURL: r.GetTypeUrl(), nonce: r.GetResponseNonce(), nack: nackText(r.GetErrorDetail()),
				subscribe: r.GetResourceNamesSubscribe(), unsubscribe: r.GetResourceNamesUnsubscribe(),
				known: slices.Collect(maps.Keys(r.GetInitialResourceVersions())),
			})
		},
		StreamResponseFunc: func(_ context.Context, id int64, _ *discoveryv3.DiscoveryRequest, r *discoveryv3.DiscoveryResponse) {
			s.acks.response(streamKey{false, id}, r.GetTypeUrl(), sent{nonce: r.GetNonce(), version: r.GetVersionInfo(), names: sotwNames(r)})
		},
		StreamDeltaResponseFunc: func(id int64, _ *discoveryv3.DeltaDiscoveryRequest, r *discoveryv3.DeltaDiscoveryResponse) {
			s.acks.response(streamKey{true, id}, r.GetTypeUrl(), sent{nonce: r.GetNonce(), version: r.GetSystemVersionInfo(), names: deltaNames(r)})
		},
	}
}

// heard records a request; a type that is not served is no reason to end the
// stream for the others, but go-control-plane knows no other answer.
func (s *Server) heard(k streamKey, r request) error {
	switch r.typeURL {
	case xds.TypeCluster, xds.TypeEndpoint, xds.TypeRoute, xds.TypeListener:
	default:
		return status.Errorf(codes.InvalidArgument, "type %s is not served here", r.typeURL)
	}
	if r.nack != "" {
		s.metrics.nacks.WithLabelValues(xds.ShortType(r.typeURL)).Inc()
		s.opt.Logger.Error("a client refused its configuration; a restart of it would fail",
			"node", s.acks.node(k), "type", xds.ShortType(r.typeURL), "reason", r.nack)
	}
	s.acks.request(k, r)
	return nil
}

// nackText is empty for an acknowledgement only.
func nackText(e *statuspb.Status) string {
	if e != nil && e.GetMessage() == "" {
		return "refused without a reason"
	}
	return e.GetMessage()
}

// cacheLog is go-control-plane's logger; what it calls info is our debug.
type cacheLog struct{ log *slog.Logger }

func (l cacheLog) Debugf(string, ...any) {}
func (l cacheLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(fmt.Sprintf(format, args...))
	}
}
func (l cacheLog) Warnf(format string, args ...any)  { l.log.Warn(fmt.Sprintf(format, args...)) }
func (l cacheLog) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }
