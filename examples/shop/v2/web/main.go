// Command web is the worker of version v2.
package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/skewgate/skewgate/examples/shop/v2/cartpb"
	"github.com/skewgate/skewgate/examples/shop/web"
)

func main() {
	web.Main("v2", func(c grpc.ClientConnInterface) web.API { return api{cartpb.NewCartServiceClient(c)} })
}

type api struct{ carts cartpb.CartServiceClient }

func (a api) Add(ctx context.Context, sku string) (int64, error) {
	return revision(a.carts.AddItem(ctx, &cartpb.AddItemRequest{Sku: sku, Quantity: 1, PriceCents: 499}))
}

func (a api) Get(ctx context.Context) (int64, error) {
	return revision(a.carts.GetCart(ctx, &cartpb.GetCartRequest{}))
}

func (a api) Coupon() func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		return revision(a.carts.ApplyCoupon(ctx, &cartpb.ApplyCouponRequest{Code: "TEN"}))
	}
}

func (a api) Watch(ctx context.Context, see func(int64)) error {
	stream, err := a.carts.WatchCart(ctx, &cartpb.GetCartRequest{})
	if err != nil {
		return err
	}
	for {
		c, err := stream.Recv()
		if err != nil {
			return err
		}
		see(c.GetRevision())
	}
}

func revision(c *cartpb.Cart, err error) (int64, error) { return c.GetRevision(), err }
