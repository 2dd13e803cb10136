// Package host is what a Go object host links: a session, the gate, fenced
// storage (ownership.md §3, §4). Twenty lines of user code make a host:
//
//	h, err := host.New(host.Options{App: "shop", Version: "v42", Store: "redis://127.0.0.1:6379", Listen: ":9001"})
//	…
//	h.Handle("Cart", func(ctx context.Context, o *host.Object) (http.Handler, error) { … })
//	log.Fatal(h.Run(ctx))
//
// # Model
//
// A host has a session with a lease, which it renews. A gateway stamps each
// request with the object, the session and the fencing token of the pin it
// knows. The gate (gate.go has the table) lets a request in only if the lease
// stands, the session is this one, and the token is not over. The first request under a token activates
// the object: CONFIRM the pin at the store, CLAIM the storage, load. Then
// events run, one at a time per object unless Options.Concurrency says more,
// in the order in which they arrived.
//
//	absent ── first request ──▶ confirming ── OK ──▶ claiming, loading ──▶ ready ── idle, RELEASE, drain ──▶ released
//	              │ NO, unknown           │ refused, unknown        │ storage refuses, outcome unknown, lapse
//	              ▼                       ▼                         ▼
//	           refused                 dropped                   revoked: contexts end, answers are withheld
//
// # Guarantees
//
//   - No event starts outside of the host's lease, under a token that was given
//     up here, or before the storage was claimed.
//   - An answer leaves only when the event's writes were accepted and the lease
//     still stands; else the client gets stale_instance, or a reset stream if part of it has left.
//   - A release waits until nothing of the object runs. Requests that arrive meanwhile are answered after
//     it, by a refusal that the gateway resends to the new owner.
//   - Requests that wait are bounded in number, per object and in all; over HTTP their bodies are not read before their turn.
//   - A lease that has passed ends everything: contexts, queues, sockets (1012). The host goes on under a
//     new session with nothing of the old.
//
// # Non-guarantees
//
//   - A process that stops between the gate and the first line of a handler
//     runs that handler when it wakes; only storage (and Object.Confirm) can tell it.
//   - What a stale event did outside of its storage cannot be undone.
//   - With Storage "none" there is no fence: the gate is all there is.
package host
