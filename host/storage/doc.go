// Package storage is what an object keeps: bytes under keys, ordered by key,
// and fenced, so that a stale instance can neither read nor write
// (ownership.md §3).
//
// # The fence
//
// Beside an object's values stands its [Fence]: token, session, and n, a
// counter of the session that rises with each claim. An activation first
// claims (accepted if its token is higher, or token and session are equal and n is not
// lower), then reads and writes; each access needs exactly the claimed fence
// and is checked in the same step as the access itself. So after a successor's
// claim nothing of a predecessor is read or written, however late it arrives,
// and after a re-activation of the same token (n rose) nothing of the earlier
// activation is.
//
// # Unknown outcomes
//
// A claim or a write is sent once. When its answer is lost nobody knows whether
// it happened; the [Storage] then ends with [ErrUnknown] and refuses everything
// after it. The owner drops what it had in memory, activates again with a
// higher n, and so learns what is true.
//
// # What is guaranteed, and what is not
//
// Accepted accesses of one object have non-decreasing (token, n). A write that
// returned nil is in the state, within what the server's persistence and
// replication give (see [NewRedis] and [OpenPostgres]). Values read once and
// kept in memory are not fenced; a response made from them is checked by the
// host's output gate, not here.
package storage
