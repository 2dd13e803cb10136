// Package mesh reads the mesh file: what an operator says about a mesh, its
// store, listeners, leases and classes of objects (docs/mesh.md has every key).
//
// Guarantees: a Mesh that Parse or Load returned is complete (defaults filled
// in), consistent (no service or path belongs to two classes, leases satisfy
// the protocol's inequalities) and never changes. An error is a problem.List
// that names file, line and column of everything that is wrong in the stage
// that failed: first the form (keys, units, kinds), then the meaning.
// Not looked at: whether a port is free, a store reachable, a certificate
// valid. serve and doctor find that out.
//
// Watch hands on a new Mesh when the file changes and keeps the last good one
// when the new text is wrong.
package mesh
