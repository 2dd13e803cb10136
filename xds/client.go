package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/skewgate/skewgate/gateway/routing"
)

// Options of a Client.
type Options struct {
	Addr    string      // of control, host:port
	NodeID  string      // names this gateway in `skewgate proxies`; unique in the mesh
	TLS     *tls.Config // nil: plain text
	Logger  *slog.Logger
	OnTable func(*routing.Table) // each accepted change, one at a time, in order

	Registry prometheus.Registerer // nil: metrics are shown to nobody
}

// Client keeps a routing.Table up to date from control.
type Client struct {
	opt Options

	mu    sync.Mutex // guards state only
	state State
}

// State says how current the last good Table is.
type State struct {
	Connected bool      // a stream to control stands and has answered
	Since     time.Time // of Connected being as it is
	Version   string    // of the last good Table; "" before the first
	TableAt   time.Time // when the last good Table came; zero before the first
	Tables    int       // how many came
	Refused   []Refusal // types whose last response was refused, by type
	LastError string    // why the last stream ended
}

// Refusal is a response that was not taken over.
type Refusal struct {
	Type   string // CDS, EDS, RDS
	At     time.Time
	Reason string
}

// Age is how long the Table may have been out of date: nothing while a stream
// stands and nothing was refused.
func (s State) Age(now time.Time) time.Duration {
	oldest := now
	if !s.Connected {
		oldest = s.Since
	}
	for _, r := range s.Refused {
		if r.At.Before(oldest) {
			oldest = r.At
		}
	}
	return now.Sub(oldest)
}

// NewClient makes a client; Run does the work.
func NewClient(o Options) (*Client, error) {
	switch {
	case o.Addr == "":
		return nil, errors.New("xds client: no address of control")
	case o.NodeID == "":
		return nil, errors.New("xds client: no node id")
	case o.OnTable == nil || o.Logger == nil:
		return nil, errors.New("xds client: OnTable and Logger are needed")
	}
	c := &Client{opt: o, state: State{Since: time.Now()}}
	c.register(o.Registry)
	return c, nil
}

// State gives a copy.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.Refused = append([]Refusal(nil), s.Refused...)
	return s
}

// Run holds a stream to control until ctx ends, and connects again whenever it
// is lost. It returns ctx's error.
func (c *Client) Run(ctx context.Context) error {
	conn, err := grpc.NewClient(c.opt.Addr, c.dialOptions()...)
	if err != nil {
		return fmt.Errorf("xds client: %w", err)
	}
	defer func() { _ = conn.Close() }() // only says that it is closed already
	service := discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	held := newHeld()
	pause := newBackoff()
	for ctx.Err() == nil {
		conn.ResetConnectBackoff() // the pauses are ours
		err := c.stream(ctx, service, held, pause.reset)
		if ctx.Err() != nil {
			break
		}
		c.lost(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause.next()):
		}
	}
	return ctx.Err()
}

func (c *Client) dialOptions() []grpc.DialOption {
	creds := insecure.NewCredentials()
	if c.opt.TLS != nil {
		creds = credentials.NewTLS(c.opt.TLS)
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.5, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponse)),
		grpc.WithNoProxy(),
	}
}

// maxResponse bounds a response; 10,000 hosts are about 3 MB.
const maxResponse = 64 << 20

func (c *Client) node() *corev3.Node {
	return &corev3.Node{Id: c.opt.NodeID, Cluster: RoleGateway, UserAgentName: "skewgate"}
}

// table takes over a Table that was accepted.
func (c *Client) table(t *routing.Table) {
	c.mu.Lock()
	c.state.Version, c.state.TableAt = t.Version(), time.Now()
	c.state.Tables++
	c.mu.Unlock()
	c.opt.OnTable(t)
}

func (c *Client) connected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state.Connected {
		c.state.Connected, c.state.Since, c.state.LastError = true, time.Now(), ""
		c.opt.Logger.Info("connected to control", "addr", c.opt.Addr)
	}
}

func (c *Client) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Connected {
		c.state.Since = time.Now()
		c.opt.Logger.Warn("lost control; the last good table stays", "addr", c.opt.Addr, "version", c.state.Version, "error", err)
	} else if c.state.LastError == "" {
		c.opt.Logger.Warn("cannot reach control; trying on", "addr", c.opt.Addr, "error", err)
	}
	c.state.Connected, c.state.LastError = false, fmt.Sprint(err)
}

// judged keeps or clears the refusal of a type.
func (c *Client) judged(typeURL string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.state.Refused[:0:0]
	for _, r := range c.state.Refused {
		if r.Type != ShortType(typeURL) {
			kept = append(kept, r)
		} else if err != nil {
			kept = append(kept, Refusal{Type: r.Type, At: r.At, Reason: err.Error()}) // refused since then
			err = nil
		}
	}
	if err != nil {
		kept = append(kept, Refusal{Type: ShortType(typeURL), At: time.Now(), Reason: err.Error()})
	}
	c.state.Refused = kept
}
