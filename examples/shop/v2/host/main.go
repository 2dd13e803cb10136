// Command host runs carts of version v2.
package main

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/skewgate/skewgate/examples/shop/cart"
	"github.com/skewgate/skewgate/examples/shop/v2/cartpb"
)

func main() {
	cart.Main("v2", codec{}, func(r grpc.ServiceRegistrar) { cartpb.RegisterCartServiceServer(r, service{}) })
}

// service is shop.v1.CartService as v2 knows it.
type service struct {
	cartpb.UnimplementedCartServiceServer
}

func (service) AddItem(ctx context.Context, r *cartpb.AddItemRequest) (*cartpb.Cart, error) {
	s, err := cart.Of(ctx).Add(ctx, cart.Item{SKU: r.GetSku(), Quantity: r.GetQuantity(), PriceCents: r.GetPriceCents()})
	return reply(s, err)
}

func (service) GetCart(ctx context.Context, _ *cartpb.GetCartRequest) (*cartpb.Cart, error) {
	return reply(cart.Of(ctx).State(), nil)
}

func (service) WatchCart(_ *cartpb.GetCartRequest, stream grpc.ServerStreamingServer[cartpb.Cart]) error {
	changes, stop := cart.Of(stream.Context()).Watch()
	defer stop()
	for {
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case s := <-changes:
			msg, err := reply(s, nil)
			if err != nil {
				return err
			}
			if err := stream.Send(msg); err != nil {
				return err
			}
		}
	}
}

func (service) ApplyCoupon(ctx context.Context, r *cartpb.ApplyCouponRequest) (*cartpb.Cart, error) {
	s, err := cart.Of(ctx).ApplyCoupon(ctx, r.GetCode())
	return reply(s, err)
}

func reply(s cart.State, err error) (*cartpb.Cart, error) {
	if errors.Is(err, cart.ErrBadItem) {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &cartpb.Cart{Items: toItems(s.Items), TotalCents: int32(s.TotalCents), Revision: s.Revision, Coupon: s.Coupon}, nil
}

// codec keeps a cart as v2's CartState: a total of 64 bits, and the coupon.
type codec struct{}

func (codec) Marshal(s cart.State) ([]byte, error) {
	return proto.Marshal(&cartpb.CartState{Items: toItems(s.Items), Revision: s.Revision, TotalCents: s.TotalCents, Coupon: s.Coupon})
}

func (codec) Unmarshal(data []byte) (cart.State, error) {
	var m cartpb.CartState
	err := proto.Unmarshal(data, &m)
	return cart.State{Items: fromItems(m.GetItems()), Revision: m.GetRevision(), TotalCents: m.GetTotalCents(), Coupon: m.GetCoupon()}, err
}

func toItems(items []cart.Item) []*cartpb.Item {
	out := make([]*cartpb.Item, len(items))
	for i, it := range items {
		out[i] = &cartpb.Item{Sku: it.SKU, Quantity: it.Quantity, PriceCents: it.PriceCents}
	}
	return out
}

func fromItems(items []*cartpb.Item) []cart.Item {
	out := make([]cart.Item, len(items))
	for i, it := range items {
		out[i] = cart.Item{SKU: it.GetSku(), Quantity: it.GetQuantity(), PriceCents: it.GetPriceCents()}
	}
	return out
}
