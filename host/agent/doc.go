// Package agent is the gate as a process beside a host in any language
// (ownership.md §9). It is a host like any other; the handler of each of its
// objects forwards the event to the upstream on the same machine.
//
// # What the upstream sees
//
// Requests come one at a time per object (unless Options.Concurrency says
// more) with Skewgate-Object, Skewgate-Token, Skewgate-Caller and
// Skewgate-Event. The first event of an activation has Skewgate-Activation:
// new: whatever the upstream still has in memory for that object is of an
// earlier activation and must be dropped. Where the upstream has POST
// /_skewgate/deactivate it is told when an activation ends.
//
// The storage API, on a local address only, is bound to the running event by
// its Skewgate-Event header. What the upstream answers leaves only if its
// writes were accepted and the lease still stands.
//
// # What it cannot do
//
// The upstream's memory is not fenced: two processes may both believe that they hold an object
// until one of them asks the storage API, or answers. Only its answers and writes are stopped.
package agent
