package fleet

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/owners"
)

// Child runs this process as a host, a bare upstream or a reverse proxy when
// the program started itself as one, and then ends it. Otherwise it does nothing.
func Child() {
	if len(os.Args) < 2 {
		return
	}
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "-as-host":
		err = serveHost(args)
	case "-as-upstream":
		err = http.ListenAndServe(args[0], http.HandlerFunc(Answer))
	case "-as-proxy":
		err = serveProxy(args[0], args[1])
	default:
		return
	}
	fmt.Fprintln(os.Stderr, os.Args[1], err)
	os.Exit(1)
}

// Answer is the event of every object here: two bytes, after ?ms= of waiting.
func Answer(w http.ResponseWriter, r *http.Request) {
	if ms, err := strconv.Atoi(r.URL.Query().Get("ms")); err == nil {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
	_, _ = w.Write([]byte("ok")) // a client that is gone has no use for it
}

func serveHost(args []string) error {
	f := flag.NewFlagSet("-as-host", flag.ContinueOnError)
	name, listen := f.String("name", "", ""), f.String("listen", "", "")
	store, file := f.String("store", "", ""), f.String("secret", "", "")
	lease := f.Duration("lease", owners.DefaultLease, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	h, err := host.New(host.Options{
		App: "shop", Version: "v1", Name: *name, Store: *store, SecretFile: *file, Listen: *listen, Advertise: *listen,
		Lease: *lease, Idle: 10 * time.Minute, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) { return http.HandlerFunc(Answer), nil })
	return h.Run(context.Background())
}

// serveProxy is the least that stands between a client and a host: httputil.ReverseProxy.
func serveProxy(listen, upstream string) error {
	p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream})
	p.Transport = &http.Transport{MaxIdleConnsPerHost: 1024}
	return http.ListenAndServe(listen, p)
}

// Upstream starts a bare upstream: the same answer with nothing around it.
func Upstream(ctx context.Context) (*rig.Process, error) {
	return startSelf(ctx, "-as-upstream")
}

// ReverseProxy starts one before the upstream.
func ReverseProxy(ctx context.Context, upstream string) (*rig.Process, error) {
	return startSelf(ctx, "-as-proxy", upstream)
}

func startSelf(ctx context.Context, as string, args ...string) (*rig.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	return rig.Start(ctx, addr, append([]string{self, as, addr}, args...)...)
}
