package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/skewgate/skewgate/examples/shop/v1/cartpb"
	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
)

// configured are the options that one thinks about before production.
func configured(o host.Options) host.Options {
	o.SecretFile = "/etc/skewgate/secret" // the mesh's, or MTLS below
	o.Storage = ""                        // beside the pins; postgres://…; "none"
	o.Limits = storage.Limits{Value: 64 << 10}
	o.Lease = 15 * time.Second           // a dead host's objects wait so long
	o.Idle = 10 * time.Second            // then an object is let go
	o.Drain = 30 * time.Second           // SIGTERM waits so long for events
	o.Concurrency = 1                    // events of one object at a time
	o.Queue, o.QueueTotal = 1024, 16384  // may wait for one object, for all
	o.MaxActive = 50_000                 // objects in memory; the longest idle one makes room
	o.MaxActivating = 64                 // of them load at a time
	o.ActivateTimeout = 30 * time.Second // each
	o.Logger = slog.Default()
	return o
}

// withCertificates lets in gateways by their certificates, in place of the secret or beside it.
func withCertificates(o host.Options) host.Options {
	o.MTLS = host.MTLS{
		CertFile: "host-a.pem", KeyFile: "host-a.key", CAFile: "ca.pem",
		Gateways: []string{"spiffe://shop.example/gateway"},
	}
	return o
}

// newShop runs several classes in one process.
func newShop(o host.Options) (*host.Host, error) {
	h, err := host.New(o)
	if err != nil {
		return nil, err
	}
	h.Handle("Cart", openCart)
	h.Handle("Room", openRoom)
	h.Handle("Order", openOrder)
	h.HandleGRPC("Basket", openBasket)
	cartpb.RegisterCartServiceServer(h.GRPCServer(), baskets{})
	return h, nil
}

// ready is asked before each renewal: while it says no, no new objects come.
func ready(o host.Options, db interface{ Ping() error }) host.Options {
	o.Ready = func() bool { return db.Ping() == nil }
	return o
}

// besideRun guards a gRPC server that listens elsewhere in the same process.
func besideRun(h *host.Host) *grpc.Server {
	return grpc.NewServer(grpc.ChainUnaryInterceptor(h.Unary()), grpc.ChainStreamInterceptor(h.Stream()))
}

type basket struct {
	store *storage.Storage
	items []*cartpb.Item
	rev   int64
}

func openBasket(_ context.Context, o *host.Object) (any, error) {
	return &basket{store: o.Storage()}, nil
}

type baskets struct {
	cartpb.UnimplementedCartServiceServer
}

func (baskets) AddItem(ctx context.Context, r *cartpb.AddItemRequest) (*cartpb.Cart, error) {
	o := host.FromContext(ctx) // whose event this is
	b := o.Value().(*basket)
	if err := b.store.Put(ctx, "item/"+r.GetSku(), nil); err != nil {
		return nil, err
	}
	b.items = append(b.items, &cartpb.Item{Sku: r.GetSku(), Quantity: r.GetQuantity()})
	b.rev++
	return &cartpb.Cart{Items: b.items, Revision: b.rev}, nil
}

// WatchCart is a stream: it runs beside the one event at a time, so what it shares with events needs a lock.
func (baskets) WatchCart(_ *cartpb.GetCartRequest, s grpc.ServerStreamingServer[cartpb.Cart]) error {
	if err := s.Send(&cartpb.Cart{}); err != nil {
		return err
	}
	<-s.Context().Done() // the client went away, or the object does: it gets UNAVAILABLE and comes again
	return s.Context().Err()
}

// order is an object with a side effect outside of its storage.
type order struct {
	o   *host.Object
	pay func(ctx context.Context, key string) error
}

// pay is the payment provider; the token makes a key that it has not seen.
var pay = func(context.Context, string) error { return nil }

func openOrder(_ context.Context, o *host.Object) (http.Handler, error) {
	return &order{o: o, pay: pay}, nil
}

func (x *order) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if err := x.o.Storage().Put(ctx, "state", []byte("paying")); err != nil { // what is begun is known
		fail(w, err)
		return
	}
	if err := x.o.Confirm(ctx); err != nil { // still ours? a round trip to the store
		fail(w, err)
		return
	}
	if err := x.pay(ctx, x.o.Key().String()); err != nil { // idempotent by its key: the next owner may try it again
		fail(w, err)
		return
	}
	if err := x.o.Storage().Put(ctx, "state", []byte("paid")); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
