// Package skew answers who talks to whom, at which versions, now and lately,
// from what gateways saw and not from what somebody recorded.
//
// # Writing
//
// Each gateway has one [Tallies]. Every finished call goes into memory, in a
// bucket of the running minute and one of the running hour, and about once a
// second what changed is written to the store under keys of that gateway
// alone. A row is written whole, as it stands, so writing it twice does no
// harm; nobody else writes it, so nothing needs a lock. Minute buckets are
// kept for a little over an hour, hour buckets for a little over a week.
//
// # Reading
//
// A [Reader] merges the buckets of all gateways, dead ones too. Any process
// with the store can answer for the whole mesh.
//
// # What an answer is worth
//
// Every [Answer] says how old it is, from how many of the expected gateways,
// from when on there is evidence, and how many calls were folded into "other"
// because a cap was reached. A gateway that cannot reach the store goes on
// serving, so one that fell silent without saying goodbye stays expected for
// [ForgetAfter]; while it does, no question is answered with yes.
//
// Bounded: at most Options.MaxRows rows per bucket, object ids are never kept
// (distinct objects are counted by a sketch, about ±1.6 %).
//
// Lost when a gateway is killed: what it had not written yet, about a second.
package skew
