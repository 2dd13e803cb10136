// Package picker lets an Envoy in front send requests straight to the hosts:
// Envoy asks over ext_proc (headers only) where a request shall go, and the
// gateway answers with the same decision and the same pins as in proxy mode.
//
// # One stream is decision and lease
//
// Envoy opens a stream for each request. The answer to its first message names
// the host, twice: in the header that the strict session filter reads, and in
// the metadata of the Gateway API inference extension's endpoint-picker
// protocol. The stream stays open as long as the request lives, sockets
// included, and its end is the request's end, however it came.
//
// # Guarantees
//
//   - A stream never ends before it has been answered: to Envoy that would mean
//     "no objection".
//   - A request of an object whose owner has changed since is cut when the next
//     pick of that object learns of it (revoked). The host's own gate does not
//     depend on this.
//   - What Envoy can send again is refused by a gate with a redirect that Envoy
//     follows by itself, and picked anew from the store; what it cannot is picked
//     from the store in the first place.
//
// # Not guaranteed
//
// Envoy tells what became of a request through its access log, and what it
// says while no gateway listens is lost: tallies are advisory.
package picker
