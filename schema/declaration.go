package schema

import (
	"crypto/sha256"
	"strings"
)

// declKind is what a declaration declares.
type declKind uint8

const (
	declMessage declKind = iota + 1
	declEnum
	declService
	declMethod
	declExtension // one field of an extend block
)

// tokenDigest identifies a sequence of tokens. It decides that two
// declarations are equal and need no check, so it is cryptographic: nobody can
// hide a change behind a collision.
type tokenDigest [16]byte

func digestOf(data []byte) tokenDigest {
	sum := sha256.Sum256(data)
	return tokenDigest(sum[:16])
}

// declaration is a message, enum, service, method or extension of a file. A
// nested message or enum is a declaration of its own; the one around it has
// neither its tokens nor its references.
type declaration struct {
	kind       declKind
	name       string // full name
	start, end int    // offsets in the file's text
	parent     int    // index in the file, -1 at the top
	digest     tokenDigest
	refs       []string // types named by fields and methods, extendees, relevant options; as written

	group                      bool // a message that is a field of its parent too
	extendable                 bool // a message with extension ranges
	clientStream, serverStream bool // of a method, whose first refs are its request and response
}

// importDecl is one import statement.
type importDecl struct {
	path       string
	public     bool
	start, end int
	pathAt     int // offset of the string
}

// span is a part of a file's text.
type span struct{ start, end int }

// fileDecls is what the scanner knows of a file.
type fileDecls struct {
	pkg     string
	imports []importDecl
	decls   []declaration
	options []span // custom options that no rule reads, with their brackets or statements
	extends []span // extend blocks, in order
	header  []span // syntax or edition, package, features
	// headerExtension: a feature of the file is an extension.
	headerExtension bool
	// odd: the scanner met what it does not understand. The compiler will
	// mostly refuse it; until then the file counts as one whole.
	odd bool
	// context is what the file says about all its declarations: syntax or
	// edition, and features.
	context []byte
}

// relevantOption tells whether any rule reads a custom option: those of
// buf.validate. A name may be written relative to the package, so in doubt it
// is relevant.
func relevantOption(name, pkg string) bool {
	return strings.Contains(name, "validate") || pkg == "buf" || strings.HasPrefix(pkg, "buf.")
}

// builtinTypes are the scalar types of fields.
func isBuiltinType(name string) bool {
	switch name {
	case "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64",
		"fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes":
		return true
	}
	return false
}
