// Package compat answers one question: if a writer of version A and a reader
// of version B exchange a message, what happens? Windows, orders, plans and
// gates are composed from that answer.
//
// # Who writes, who reads
//
// A class is protobuf services (its API) and messages that its objects persist
// (its state). Workers call objects. Bytes go three ways:
//
//	request    a worker writes, an object reads
//	response   an object writes, a worker reads
//	state      an object of one version wrote it, code of another loads it
//
// # The path of a check
//
//	classes     who exports, who binds, in which encodings       class.go
//	facts       what differs, writer against reader              fact.go, facts_*.go
//	rules       what a difference means: rows of a table         rule.go, rules_*.go
//	witness     a message that shows it, written and read        witness.go, codec.go, observe.go
//	hits        facts with effects, per leg and direction        judge.go
//	grouping    one change is one finding                        group.go
//	window      which pairs may meet, which order is safe        window.go
//	plan        what to do in which order                        plan.go
//
// # Guarantees
//
// Every finding was executed: its witness passes writer to writer and shows
// the fault writer to reader (a method that is missing is looked up instead).
// Comparison is by field number, or by accepted JSON name, never by message
// name. The same inputs give the same bytes.
//
// # Not guaranteed
//
// Schemas say what can be decoded, not what code does with it: that a reader
// can do without a field, or that a new meaning of old bytes is understood, is
// not in them. A writer is taken to write what its schema allows: enum fields
// hold numbers that it lists (ENUM_CLOSED is about the others).
package compat
