// Package forward sends one HTTP request to one upstream and brings the answer
// back: HTTP/1.1, HTTP/2 without TLS (h2c), gRPC with trailers (trailers-only
// responses too), WebSocket and other upgrades. It is a leaf that knows nothing
// of objects; gateway and agent decide where to send and what to make of the
// answer.
//
// # Guarantees
//
//   - One call of [Forwarder.Do] sends a request at most once. Nothing below it
//     retries: net/http's own replay of idempotent requests is switched off.
//   - [NotSent] means that the upstream provably did not start: no connection,
//     not one byte written, REFUSED_STREAM, or a stream above GOAWAY's last one.
//     Whatever is not proved is [Unknown].
//   - Hop-by-hop fields and those named in Connection go no further, in either
//     direction, in 1xx and 101 responses too.
//   - Nothing is held back: each read from one side is written and flushed to
//     the other, trailers included, and the end of either side is passed on.
//   - Of an upgrade no byte of the client reaches the upstream before its 101.
//
// # Not guaranteed
//
// Header order and case, the division of a body into chunks or frames, and the
// code of an HTTP/2 reset are not kept. The choice of upstream protocol is: a
// gRPC or Connect stream that came over HTTP/2 leaves over HTTP/2, everything
// else over HTTP/1.1.
package forward
