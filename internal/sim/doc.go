// Package sim runs the real code of the ownership protocol — owners with its
// scripts, host with its gate, release and storage, gateway — in simulated time
// under faults, and checks the invariants on what happened.
//
// What is real: gateway.Gateway with its owners.Store and owners.Watcher,
// host.Host with host/storage on the same store, all Lua scripts, go-redis with its
// pools, timeouts and re-sends, wire's stamps and refusals.
//
// What is made up: the store is the embedded one with replicas, run ids and a
// clock that can be moved (store.go); connections to it are pipes that delay,
// stall and break (link.go); requests reach a gate by a call instead of a
// socket, after a delay, perhaps late, perhaps with their answer lost (network.go).
//
// Time is that of testing/synctest: it stands still while anybody computes. A
// seed fixes which faults happen when, what clients ask and how long messages
// take. It does not fix the order of goroutines that run at the same
// simulated instant, nor the jitter of the code under test, which has random
// numbers of its own: a seed that found something usually finds it again, not
// always. Built for js/wasm and run by testdata/run.js it fixes these as well:
// one seed, one history (TestReplay). docs/ownership-proof.md has the results.
//
// A crash cuts a host off from everything for ever and gives its address away;
// what its goroutines do afterwards reaches nobody and is not judged. A pause
// holds a host at its next message and at the fault points of internal/faults.
package sim
