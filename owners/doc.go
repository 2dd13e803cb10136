// Package owners keeps the record of who owns which object: sessions of
// hosts, pins of objects, fencing tokens, and the epoch of the store. It runs
// the ownership protocol on one partition of a Redis; the rules are Lua
// scripts in scripts/, each of them atomic and harmless when it is sent twice.
//
// # Model
//
//	session   live → draining → closed     by its own host
//	          live, draining, missing → dead    by a watcher
//	pin       none, released → owned → released; owned by a final session → owned
//	epoch     missing → hold → open
//
// A token is minted at each acquire: max(previous+1, floor+1, token clock),
// where floor is the highest token the caller ever saw for the object and the
// token clock is the time of the store in microseconds plus what watchers added
// to it, so that it never shows less than they saw. Closed and dead are final; a final session's pins may
// be acquired at once.
//
// # Guaranteed
//
//   - Of the callers that expect the same pin record one acquires it; the
//     others get its record.
//   - Tokens of one object rise with each acquire, also over restarts, clock
//     steps and failovers of the store as long as callers pass their floors;
//     also over a loss of all data together with a clock that is set back, as
//     long as some watcher of before watches still.
//   - A session is declared dead only by a watcher whose own clock saw its
//     nonce unchanged for a whole lease; never by expiry, never by the
//     store's clock, never because a key is absent.
//   - Renew and Confirm answer only when Replicas replicas have their write.
//   - After the store lost its data nobody acquires until every lease that may
//     have been granted before has ended.
//
// # Not guaranteed
//
// Owning a pin is no permission to run: that needs the lease of the host, a
// confirmed token and the fence of the storage (package host). A record read
// here may be undone by a failover. What the store answers late, the caller
// must treat as unknown. See DESIGN.md.
package owners
