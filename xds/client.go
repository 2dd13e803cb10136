package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
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
	Addrs   []string    // of control, host:port each: when one is lost the next is asked
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
	case len(o.Addrs) == 0 || slices.Contains(o.Addrs, ""):
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

// Run holds a stream to control until ctx ends. When it is lost, or cannot be
// had, the next address is asked; after the last one it is the first one's turn
// again. Which one is asked first depends on the node, so that gateways spread
// over the controls. Run returns ctx's error.
func (c *Client) Run(ctx context.Context) error {
	held := newHeld()
	pause := newBackoff()
	first := crc32.ChecksumIEEE([]byte(c.opt.NodeID))
	for turn := first; ctx.Err() == nil; turn++ {
		addr := c.opt.Addrs[int(turn%uint32(len(c.opt.Addrs)))]
		err := c.ask(ctx, addr, held, pause.reset)
		if ctx.Err() != nil {
			break
		}
		c.lost(addr, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause.next()):
		}
	}
	return ctx.Err()
}

// ask holds a stream to the control at addr until it is lost.
func (c *Client) ask(ctx context.Context, addr string, h *held, healthy func()) error {
	conn, err := grpc.NewClient(addr, c.dialOptions()...)
	if err != nil {
		return fmt.Errorf("xds client: %w", err)
	}
	defer func() { _ = conn.Close() }() // only says that it is closed already
	return c.stream(ctx, discoveryv3.NewAggregatedDiscoveryServiceClient(conn), h, func() {
		c.connected(addr)
		healthy()
	})
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

func (c *Client) connected(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state.Connected {
		c.state.Connected, c.state.Since, c.state.LastError = true, time.Now(), ""
		c.opt.Logger.Info("connected to control", "addr", addr)
	}
}

func (c *Client) lost(addr string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Connected {
		c.state.Since = time.Now()
		c.opt.Logger.Warn("lost control; the last good table stays", "addr", addr, "version", c.state.Version, "error", err)
	} else if c.state.LastError == "" {
		c.opt.Logger.Warn("cannot reach control; trying on", "addr", addr, "error", err)
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
