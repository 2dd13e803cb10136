package schema

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Place is where a declaration stands. Line and Column are 1-based.
type Place struct {
	File   string
	Line   int
	Column int
}

// Set is the schema of one version: descriptors that dynamicpb may run
// (protodesc's own, never the compiler's), and where each is declared.
type Set struct {
	Name     string    // "v41"; label in messages and reports
	Manifest *Manifest // nil when the input has none
}

// Service finds a service by full name, or nil.
func (s *Set) Service(name protoreflect.FullName) protoreflect.ServiceDescriptor { return nil }

// Message finds a message by full name, or nil.
func (s *Set) Message(name protoreflect.FullName) protoreflect.MessageDescriptor { return nil }

// Services lists all services of the input (not of its imports), by name.
func (s *Set) Services() []protoreflect.ServiceDescriptor { return nil }

// Messages lists all messages of the input (not of its imports), nested ones included, map entries not, by name.
func (s *Set) Messages() []protoreflect.MessageDescriptor { return nil }

// Place says where d is declared; looked up on demand.
func (s *Set) Place(d protoreflect.Descriptor) Place { return Place{} }
