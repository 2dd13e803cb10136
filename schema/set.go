package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Place is where a declaration stands. Line and Column are 1-based; 0 when
// only the file is known.
type Place struct {
	File   string
	Line   int
	Column int
}

// Set is the schema of one version: descriptors that dynamicpb may run
// (protodesc's own, never the compiler's), and where each is declared. It is
// immutable and safe for concurrent use.
//
// A Set has what was wanted and what that reaches; see Options.Want. A Set of
// a Pair may leave out more: see Pair.
type Set struct {
	Name     string    // "v41"; label in messages and reports
	Manifest *Manifest // nil when the input has none

	files    *protoregistry.Files
	protos   []*descriptorpb.FileDescriptorProto
	own      map[string]bool // paths of files that are the input's, not its imports'
	services []protoreflect.ServiceDescriptor
	messages []protoreflect.MessageDescriptor
	places   placer
	partial  bool // some methods are shown without their types

	known map[declKind][]string // names of the input's own, where one that was wanted is not there
}

// placer finds declarations in sources.
type placer interface {
	place(d protoreflect.Descriptor) Place
}

// FromDescriptorSet makes a Set of compiled files. The set must be complete:
// each import is in it, or is one of the well-known types. Its files are the
// input's own, but for those that own (when not nil) says are imports.
func FromDescriptorSet(name string, set *descriptorpb.FileDescriptorSet, own func(path string) bool) (*Set, error) {
	s := &Set{Name: name, own: map[string]bool{}, protos: set.GetFile(), places: infoPlacer{}}
	for _, file := range s.protos {
		if own == nil || own(file.GetName()) {
			s.own[file.GetName()] = true
		}
	}
	if err := s.link(); err != nil {
		return nil, err
	}
	return s, nil
}

// link makes descriptors of the protos. protodesc must not end the process
// whatever is in them.
func (s *Set) link() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("link descriptors: %v", r)
		}
	}()
	if err := checkPublicImports(s.protos); err != nil {
		return fmt.Errorf("link descriptors: %w", err)
	}
	options := protodesc.FileOptions{AllowUnresolvable: s.partial}
	s.files, err = options.NewFiles(&descriptorpb.FileDescriptorSet{File: s.protos})
	if err != nil {
		return fmt.Errorf("link descriptors: %w", err)
	}
	if err := checkKnownTypes(s.files); err != nil {
		return fmt.Errorf("link descriptors: %w", err)
	}
	s.index()
	return nil
}

func (s *Set) index() {
	s.files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !s.own[file.Path()] {
			return true
		}
		for i := range file.Services().Len() {
			s.services = append(s.services, file.Services().Get(i))
		}
		s.messages = appendMessages(s.messages, file.Messages())
		return true
	})
	slices.SortFunc(s.services, func(a, b protoreflect.ServiceDescriptor) int { return cmp.Compare(a.FullName(), b.FullName()) })
	slices.SortFunc(s.messages, func(a, b protoreflect.MessageDescriptor) int { return cmp.Compare(a.FullName(), b.FullName()) })
}

func appendMessages(to []protoreflect.MessageDescriptor, from protoreflect.MessageDescriptors) []protoreflect.MessageDescriptor {
	for i := range from.Len() {
		m := from.Get(i)
		if m.IsMapEntry() {
			continue
		}
		to = appendMessages(append(to, m), m.Messages())
	}
	return to
}

// Service finds a service by full name, or nil.
func (s *Set) Service(name protoreflect.FullName) protoreflect.ServiceDescriptor {
	d, _ := s.find(name).(protoreflect.ServiceDescriptor)
	return d
}

// Message finds a message by full name, or nil.
func (s *Set) Message(name protoreflect.FullName) protoreflect.MessageDescriptor {
	d, _ := s.find(name).(protoreflect.MessageDescriptor)
	return d
}

func (s *Set) find(name protoreflect.FullName) protoreflect.Descriptor {
	if s.files == nil {
		return nil
	}
	d, err := s.files.FindDescriptorByName(name)
	if err != nil {
		return nil
	}
	return d
}

// Services lists all services of the input (not of its imports), by name.
func (s *Set) Services() []protoreflect.ServiceDescriptor { return s.services }

// Messages lists all messages of the input (not of its imports), nested ones included, map entries not, by name.
func (s *Set) Messages() []protoreflect.MessageDescriptor { return s.messages }

// ServiceNames lists the full names of the input's services, by name: all of
// them where a name that was wanted is not there, for who says what there is instead; else those of the Set.
func (s *Set) ServiceNames() []string {
	names := slices.Clone(s.known[declService])
	for _, d := range s.services {
		names = append(names, string(d.FullName()))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// MessageNames is the same for messages.
func (s *Set) MessageNames() []string {
	names := slices.Clone(s.known[declMessage])
	for _, d := range s.messages {
		names = append(names, string(d.FullName()))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Files has every file of the set, imports included: a resolver of messages,
// extensions and enums by name.
func (s *Set) Files() *protoregistry.Files { return s.files }

// DescriptorSet is what the set was made of, complete with imports, in the
// order of paths, without source info. It is a copy.
func (s *Set) DescriptorSet() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range s.protos {
		c := proto.CloneOf(file)
		c.SourceCodeInfo = nil
		set.File = append(set.File, c)
	}
	slices.SortFunc(set.File, func(a, b *descriptorpb.FileDescriptorProto) int { return strings.Compare(a.GetName(), b.GetName()) })
	return set
}

// Place says where d is declared; looked up on demand. Line and column are
// those of the declaration's first word.
func (s *Set) Place(d protoreflect.Descriptor) Place {
	if d == nil || s.places == nil {
		return Place{}
	}
	return s.places.place(d)
}

// infoPlacer uses the source info of a compiled file, when it was kept.
type infoPlacer struct{}

func (infoPlacer) place(d protoreflect.Descriptor) Place {
	file := d.ParentFile()
	if file == nil {
		return Place{}
	}
	at := file.SourceLocations().ByDescriptor(d)
	if len(at.Path) == 0 && at.EndLine == 0 && at.EndColumn == 0 {
		return Place{File: file.Path()}
	}
	return Place{File: file.Path(), Line: at.StartLine + 1, Column: at.StartColumn + 1}
}
