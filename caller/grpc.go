package caller

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

var metadataKey = strings.ToLower(Header)

func (c Caller) outgoing(ctx context.Context) context.Context {
	if c == (Caller{}) {
		return ctx
	}
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md.Get(metadataKey)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, metadataKey, c.String())
}

// Unary says who calls, for grpc.WithChainUnaryInterceptor.
func (c Caller) Unary() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(c.outgoing(ctx), method, req, reply, cc, opts...)
	}
}

// Stream says who calls, for grpc.WithChainStreamInterceptor.
func (c Caller) Stream() grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream(c.outgoing(ctx), desc, cc, method, opts...)
	}
}
