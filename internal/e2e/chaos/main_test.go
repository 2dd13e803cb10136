// Package chaos runs the built binary as gateways, control and agents, hosts by
// library in processes of their own, and a real Redis; hurts them while clients
// write and read through the gateways; and decides from what the clients were
// told whether every object was one list: linearizable, with no acknowledged
// write lost. docs/ownership-faults.md has the table of faults and bounds.
package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
)

// roleEnv makes the test binary a host or an upstream; the rest of its
// configuration is in the variables below.
const (
	roleEnv   = "SKEWGATE_CHAOS_ROLE" // host, upstream
	brokenEnv = "SKEWGATE_CHAOS_BROKEN"
	stopEnv   = "SKEWGATE_CHAOS_STOP" // a faults.Point at which the process stops itself after SIGUSR1
)

var skewgate string // the binary

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "host":
		os.Exit(exit(runHost()))
	case "upstream":
		os.Exit(exit(runUpstream()))
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("4") // these tests wait for leases, they do not compute
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "skewgate-chaos")
	if err != nil {
		return exit(err)
	}
	defer os.RemoveAll(dir)
	skewgate = filepath.Join(dir, "skewgate")
	if out, err := exec.Command("go", "build", "-o", skewgate, "github.com/skewgate/skewgate/cmd/skewgate").CombinedOutput(); err != nil {
		return exit(fmt.Errorf("go build: %w\n%s", err, out))
	}
	return m.Run()
}

func exit(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// runHost is an object host by library.
func runHost() error {
	lease, err := time.ParseDuration(os.Getenv("LEASE"))
	if err != nil {
		return err
	}
	o := host.Options{
		App: "chaos", Version: "v1", Name: os.Getenv("NAME"), Store: os.Getenv("STORE"), Storage: os.Getenv("VALUES"),
		Listen: os.Getenv("LISTEN"), Advertise: os.Getenv("ADVERTISE"), SecretFile: os.Getenv("SECRET"),
		Lease: lease, Idle: 3 * time.Second, Drain: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Faults: &faults.Host{Off: map[faults.Protection]bool{}},
	}
	if ca := os.Getenv("CA"); ca != "" {
		o.MTLS = host.MTLS{CertFile: os.Getenv("CERT"), KeyFile: os.Getenv("KEY"), CAFile: ca, Gateways: []string{gatewayName}}
	}
	if broken := os.Getenv(brokenEnv); broken != "" {
		breakHost(o.Faults, broken)
	}
	if at := os.Getenv(stopEnv); at != "" {
		o.Faults.At = stopOnce(faults.Point(at))
	}
	h, err := host.New(o)
	if err != nil {
		return err
	}
	h.Handle("List", activate(o.Name))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return h.Run(ctx)
}

// breakHost takes away what broken names, separated by commas: protections of
// the host, and "fence".
func breakHost(f *faults.Host, broken string) {
	for _, p := range strings.Split(broken, ",") {
		if p == "fence" {
			f.Storage = func(d storage.Driver) storage.Driver { return unfenced{d} }
			continue
		}
		f.Off[faults.Protection(p)] = true
	}
}

// unfenced gives every activation the same fence, so that none is refused.
type unfenced struct{ storage.Driver }

var anybody = storage.Fence{Token: 1, Session: "anybody", N: 1}

func (u unfenced) Claim(ctx context.Context, o string, _ storage.Fence) (storage.Snapshot, error) {
	return u.Driver.Claim(ctx, o, anybody)
}

func (u unfenced) Read(ctx context.Context, o string, _ storage.Fence, keys []string) (storage.Values, error) {
	return u.Driver.Read(ctx, o, anybody, keys)
}

func (u unfenced) Write(ctx context.Context, o string, _ storage.Fence, b storage.Batch) error {
	return u.Driver.Write(ctx, o, anybody, b)
}

// stopOnce stops the process, as SIGSTOP from outside would, when it reaches p
// for the first time after it was sent SIGUSR1.
func stopOnce(p faults.Point) func(faults.Point, string) {
	var armed atomic.Bool
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() { // for as long as the process lives
		for range signals {
			armed.Store(true)
		}
	}()
	return func(at faults.Point, _ string) {
		if at == p && armed.CompareAndSwap(true, false) {
			fmt.Println("stopped at", p)
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			time.Sleep(5 * time.Millisecond) // the signal may take effect after the call
		}
	}
}

// runUpstream is a host that speaks plain HTTP, for an agent.
func runUpstream() error {
	u := &upstream{name: os.Getenv("NAME"), storage: "http://" + os.Getenv("STORAGE"), lists: map[string]*list{}}
	srv := &http.Server{Addr: os.Getenv("LISTEN"), Handler: u, ReadHeaderTimeout: time.Minute}
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
