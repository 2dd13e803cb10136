// Package schema turns manifests and protobuf sources into a Set: the
// descriptors of one version, with places and a digest. A Pair is two of them,
// loaded together so that what both have in common costs nothing.
//
// The pipeline, one file a step:
//
//	ParseInput   what a person typed → Input                        input.go
//	tree         Input → its .proto files, by import path           tree.go, dir.go, git.go
//	scan         a file → tokens → declarations, with digests       token.go, declare.go
//	reach        wanted services → the declarations they reach      reach.go
//	compile      the files of those → descriptors                   compile.go
//	Set          descriptors that dynamicpb may run, with places    set.go
//
// Images (FileDescriptorSets, buf images) and the registry enter at the end:
// they are compiled already.
//
// Guarantees: descriptors come from protodesc, never from the compiler's own
// (those ignore utf8_validation and LEGACY_REQUIRED, so running messages on
// them gives wrong answers). Nothing is written, nothing is fetched, nothing
// outside an input and its proto paths is read. Any input gives a Set or an
// error: sizes, depths and counts are bounded before a recursive parser sees
// them. What is wrong with a file is a problem.List with file:line:col.
//
// Not guaranteed: a file that nothing wanted reaches is not compiled, so its
// errors are not found.
package schema
