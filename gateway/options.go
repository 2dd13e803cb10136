package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Store is what a gateway needs of the ownership store; *owners.Store is one.
type Store interface {
	Pin(ctx context.Context, k owners.Key) (owners.Pin, owners.Session, bool, error)
	Acquire(ctx context.Context, a owners.Acquire) (owners.Pin, bool, error)
	Sessions(ctx context.Context) ([]owners.Session, error)
}

// Watcher is told of sessions that a pin names and nobody has a record of, and
// knows which ones may run events; *owners.Watcher is one.
type Watcher interface {
	// Snapshot gives the sessions that may run events, as last read, and the age of that.
	Snapshot() ([]owners.Session, time.Duration)
	Suspect(sid string)
}

// Budget bounds planned moves over all gateways; rollout has one.
type Budget interface {
	// Take asks for one move of an object of class. False means: not now.
	Take(ctx context.Context, class string) (bool, error)
}

// Releaser asks a gate to give an object up; *wire.ReleaseClient is one.
type Releaser interface {
	Release(ctx context.Context, addr string, r wire.ReleaseRequest) (wire.ReleaseReply, error)
}

// Forwarder makes one attempt at one upstream; *forward.Forwarder is one.
type Forwarder interface {
	Do(ctx context.Context, w http.ResponseWriter, r *http.Request, a forward.Attempt) forward.Result
	Close()
}

// Recorder takes the record of each finished request. Record must not block
// and may keep the event.
type Recorder interface {
	Record(*Event)
}

// Options of a Gateway. Store and Signer are required where a class is owned;
// zero values of the rest mean what their comments say.
type Options struct {
	ID             string // of this gateway, in logs
	Store          Store
	Signer         *wire.Signer
	Watcher        Watcher               // nil: nobody is told, and an unreachable host's objects are read again and again
	Recorder       Recorder              // nil: nothing is recorded
	Budget         Budget                // nil: moves are not bounded
	Releaser       Releaser              // nil: upgrade-on-call refuses
	Logger         *slog.Logger          // nil: silent
	Registry       prometheus.Registerer // nil: metrics are kept and shown to nobody
	TrustedCallers []netip.Prefix        // peers whose Skewgate-Caller and X-Forwarded-* are believed
	CallerIDs      *routing.SPIFFE       // nil: Skewgate-Caller of trusted peers says who calls; else certificates do
	VersionHeader  string                // response header with the version, observe mode; Skewgate-Object-Version
	Forward        forward.Options       // its TLS is for hosts; upstreams of observed classes are spoken to without
	Hosts          Forwarder             // the way to hosts; nil: one made of Forward
	CachedPins     int                   // 262144
	StoreCalls     int                   // at a time; 256
	HostRefresh    time.Duration         // at most one reading of all sessions in so long; 250ms
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Signer == nil {
		o.Signer = wire.NewSigner(nil)
	}
	if o.VersionHeader == "" {
		o.VersionHeader = wire.HeaderObjectVersion
	}
	if o.Hosts == nil {
		o.Hosts = forward.New(o.Forward)
	}
	if o.CachedPins == 0 {
		o.CachedPins = 1 << 18
	}
	if o.StoreCalls == 0 {
		o.StoreCalls = 256
	}
	if o.HostRefresh == 0 {
		o.HostRefresh = 250 * time.Millisecond
	}
	return o
}
