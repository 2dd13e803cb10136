package cart

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/owners"
)

// Main runs a shop host of one version until SIGTERM. register adds the
// version's gRPC service.
func Main(version string, codec Codec, register func(grpc.ServiceRegistrar)) {
	o := host.Options{App: "shop", Version: version}
	flag.StringVar(&o.Store, "store", "redis://127.0.0.1:6379", "where sessions, pins and carts are kept")
	flag.StringVar(&o.Listen, "listen", "127.0.0.1:9001", "where the gateway reaches this host")
	flag.StringVar(&o.Name, "name", "", "stable name of this host; the machine's by default")
	flag.StringVar(&o.SecretFile, "secret-file", "", "the mesh's secret")
	flag.DurationVar(&o.Lease, "lease", 15*time.Second, "how long this host may go unheard of before its carts are taken over")
	flag.DurationVar(&o.Idle, "idle", 10*time.Second, "how long a cart without a request stays in memory")
	flag.Parse()
	owners.LogRedis(slog.Default())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, codec, register)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop "+version+":", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o host.Options, codec Codec, register func(grpc.ServiceRegistrar)) error {
	h, err := host.New(o)
	if err != nil {
		return err
	}
	h.Handle("Cart", func(ctx context.Context, object *host.Object) (http.Handler, error) {
		return Load(ctx, object, codec)
	})
	register(h.GRPCServer())
	return h.Run(ctx)
}

// Of gives the cart that the running event is for.
func Of(ctx context.Context) *Cart { return host.FromContext(ctx).Value().(*Cart) }
