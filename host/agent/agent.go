package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/host"
)

// Options of an agent.
type Options struct {
	Host     host.Options // App, Version, Store, Listen, …; Ready is the agent's
	Classes  []string
	Upstream string // http://127.0.0.1:9000
	Storage  string // where the storage API listens, a loopback address; "" means nowhere
	Health   string // path at the upstream that says whether it is ready; "" means that it accepts connections

	// How long the upstream may neither take more of a request nor begin its answer; 1m, negative: for ever.
	// Then the client gets upstream_timeout and the object's next event runs. It is not for streams.
	ResponseTimeout time.Duration
}

const defaultResponseTimeout = time.Minute

// ErrOptions says that options cannot be used.
var ErrOptions = errors.New("agent options")

// agent is what the objects of one process share.
type agent struct {
	addr    string // of the upstream
	forward *forward.Forwarder
	events  *events
	client  *http.Client // for health and deactivate
	health  string
	silent  time.Duration // Options.ResponseTimeout
	log     *slog.Logger

	mu           sync.Mutex
	ready        bool
	noDeactivate bool // the upstream has no such path
}

// Run waits until the upstream is healthy, then is a host until ctx ends, a
// signal comes, or an operator drains it.
func Run(ctx context.Context, o Options) error {
	a, l, err := newAgent(o)
	if err != nil {
		return err
	}
	o.Host.Ready = a.isReady
	h, err := host.New(o.Host)
	if err != nil {
		return errors.Join(err, closeListener(l))
	}
	for _, class := range o.Classes {
		h.Handle(class, a.activate)
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer a.forward.Close()
	defer a.client.CloseIdleConnections()
	defer stop()
	first := make(chan struct{})
	wg.Go(func() { a.watchHealth(watching, first) })
	if l != nil {
		srv := &http.Server{Handler: newStorageAPI(a.events, o.Host.Limits), ReadHeaderTimeout: 10 * time.Second}
		wg.Go(func() { _ = srv.Serve(l) }) // ends with Close
		defer srv.Close()
	}
	select {
	case <-first:
	case <-ctx.Done():
		return nil
	}
	return h.Run(ctx)
}

func newAgent(o Options) (*agent, net.Listener, error) {
	u, err := url.Parse(o.Upstream)
	switch {
	case err != nil || u.Scheme != "http" || u.Host == "":
		return nil, nil, fmt.Errorf("%w: upstream %q is not http://host:port", ErrOptions, o.Upstream)
	case u.Path != "" && u.Path != "/":
		return nil, nil, fmt.Errorf("%w: upstream %q has a path; requests keep their own", ErrOptions, o.Upstream)
	case len(o.Classes) == 0:
		return nil, nil, fmt.Errorf("%w: no class", ErrOptions)
	case o.Health != "" && o.Health[0] != '/':
		return nil, nil, fmt.Errorf("%w: health path %q does not begin with /", ErrOptions, o.Health)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "80")
	}
	l, err := listenLocal(o.Storage)
	if err != nil {
		return nil, nil, err
	}
	log := o.Host.Logger
	if log == nil {
		log = slog.Default()
	}
	return &agent{
		silent: cmp.Or(o.ResponseTimeout, defaultResponseTimeout),
		addr:   u.Host, forward: forward.New(forward.Options{}), events: newEvents(), health: o.Health, log: log,
		client: &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: callTimeout},
	}, l, nil
}

// listenLocal opens the storage API's address, which must be a loopback one:
// whoever reaches it and knows the id of a running event may write.
func listenLocal(addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: storage %q is not host:port", ErrOptions, addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%w: storage %q is not a loopback address; use 127.0.0.1", ErrOptions, addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open storage API: %w", err)
	}
	return l, nil
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}
