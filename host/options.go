package host

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
)

// Options of a Host. Zero values mean the defaults in their comments.
type Options struct {
	App, Version string
	Preview      string // name of the preview that this host belongs to
	Name         string // stable over restarts: the machine's host name

	Store   string // redis://…?replicas=N; the mesh's store
	Storage string // where objects keep their values: "" beside the pins, postgres://…, "none"
	Limits  storage.Limits

	Listen    string       // ":9001"
	Listener  net.Listener // instead of Listen
	Advertise string       // host:port that gateways dial: POD_IP or the machine's name, and the listener's port

	// How the gate knows a gateway (ownership.md §4). With neither a secret nor
	// TLS only peers on the loopback interface are believed.
	SecretFile string // file with the mesh's secret; SKEWGATE_SECRET_FILE
	Secret     []byte
	// MTLS serves over TLS and lets in gateways by their certificates.
	MTLS MTLS
	// TLS serves over TLS of one's own making. With ClientAuth RequireAndVerifyClientCert any verified
	// client certificate is enough; otherwise a secret is needed as well.
	TLS *tls.Config

	Lease       time.Duration // how long this host may go unheard of before its objects are taken over; 15s
	Idle        time.Duration // an object is let go after so long without an event and without a socket; 10s; negative: never
	Drain       time.Duration // how long a drain waits for events; 30s
	Concurrency int           // events at a time per object; 1
	Ready       func() bool   // asked before each renewal; nil means always

	// How many requests may wait, for their turn or for the end of a release. One more is answered
	// `overloaded` (503, RESOURCE_EXHAUSTED) before its body is read; it has not run.
	Queue      int // per object; 1024
	QueueTotal int // of all objects of this host together; 16384

	// How many objects may be active at once; 0: any number. One more lets go of the longest idle one first.
	// While none is idle its requests are answered `overloaded`; nothing of them has run.
	MaxActive int
	// How many activations may claim and load at a time; the others wait for their turn; 64.
	MaxActivating int
	// How long an activation may wait for its turn, and then again how long claim and Activate may take; 30s;
	// negative: no limit. Then its context ends, who waits is answered `overloaded` (its turn has not come) or
	// `upstream_timeout`; nothing of them has run, the pin stays, and the next request tries again.
	ActivateTimeout time.Duration

	Logger *slog.Logger // slog.Default()
	Faults *faults.Host // of this module's own tests
}

// mutualTLS says that TLS proves who the peer is.
func (o Options) mutualTLS() bool {
	return o.TLS != nil && o.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

// ErrOptions says that options cannot be used; the text names each reason.
var ErrOptions = errors.New("host options")

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name, _ = os.Hostname()
	}
	if o.Lease == 0 {
		o.Lease = owners.DefaultLease
	}
	if o.Idle == 0 {
		o.Idle = 10 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	if o.Concurrency == 0 {
		o.Concurrency = 1
	}
	if o.Queue == 0 {
		o.Queue = 1024
	}
	if o.QueueTotal == 0 {
		o.QueueTotal = 16384
	}
	if o.MaxActivating == 0 {
		o.MaxActivating = 64
	}
	if o.ActivateTimeout == 0 {
		o.ActivateTimeout = 30 * time.Second
	}
	if o.Listen == "" {
		o.Listen = ":9001"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.SecretFile == "" && o.Secret == nil {
		o.SecretFile = os.Getenv("SKEWGATE_SECRET_FILE")
	}
	if o.SecretFile != "" && o.Secret == nil {
		b, err := os.ReadFile(o.SecretFile)
		if err != nil {
			return o, fmt.Errorf("%w: mesh secret: %w", ErrOptions, err)
		}
		o.Secret = []byte(strings.TrimSpace(string(b)))
	}
	o, err := o.withTLS()
	return o, errors.Join(err, o.validate())
}

func (o Options) validate() error {
	var errs []error
	must := func(ok bool, msg string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+msg, append([]any{ErrOptions}, args...)...))
		}
	}
	must(o.App != "", "App is empty")
	must(o.Version != "", "Version is empty")
	must(o.Name != "", "Name is empty and the machine has no host name")
	must(o.Store != "", "Store is empty; give redis://host:port")
	must(o.Concurrency > 0, "Concurrency is %d", o.Concurrency)
	must(o.Queue > 0, "Queue is %d", o.Queue)
	must(o.QueueTotal > 0, "QueueTotal is %d", o.QueueTotal)
	must(o.MaxActive >= 0, "MaxActive is %d", o.MaxActive)
	must(o.MaxActivating > 0, "MaxActivating is %d", o.MaxActivating)
	must(o.Drain > 0, "Drain is %v", o.Drain)
	must(o.Storage == "" || o.Storage == "none" || isPostgres(o.Storage), "Storage %q is none of \"\", none, postgres://…", o.Storage)
	must(o.Secret == nil || len(o.Secret) >= 16, "the mesh's secret has %d bytes, at least 16 are needed", len(o.Secret))
	must(o.TLS == nil || o.mutualTLS() || o.Secret != nil, "TLS without client certificates needs a secret as well")
	if err := owners.CheckLeases(owners.Leases{Host: o.Lease, Failover: 0}); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", ErrOptions, err))
	}
	return errors.Join(errs...)
}

func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// advertise is the address that gateways dial.
func (o Options) advertise(l net.Addr) (string, error) {
	if o.Advertise != "" {
		_, port, err := net.SplitHostPort(o.Advertise)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
			return "", fmt.Errorf("%w: Advertise %q is not host:port", ErrOptions, o.Advertise)
		}
		return o.Advertise, nil
	}
	host, port, err := net.SplitHostPort(l.String())
	if err != nil {
		return "", fmt.Errorf("%w: Advertise is empty and the listener's address %q is not host:port", ErrOptions, l)
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		return net.JoinHostPort(host, port), nil
	}
	if ip := os.Getenv("POD_IP"); ip != "" {
		return net.JoinHostPort(ip, port), nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("%w: Advertise is empty, so is POD_IP, and the host name is not known: %w", ErrOptions, err)
	}
	return net.JoinHostPort(name, port), nil
}
