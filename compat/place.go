package compat

import (
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// universe is one version's schema as encoders and decoders need it: its
// extensions by what they extend, its messages by name for Any.
type universe struct {
	message    func(protoreflect.FullName) protoreflect.MessageDescriptor
	extensions map[protoreflect.FullName]*extensions // by what they extend
	byName     map[protoreflect.FullName]protoreflect.ExtensionType

	// payloads are the types that the version packs into each of its Any
	// fields, as far as a manifest says so; of a map also by the field of its
	// values.
	payloads map[protoreflect.FullName][]protoreflect.FullName

	checksText  bool // there are extensions whose text must be UTF-8
	constrained bool // the schema has buf.validate rules
	validators  validators

	enumIndex   sync.Map // names by number, of each enum that was asked for
	enumEffects sync.Map // Effect by enumNumbers
	absences    sync.Map // []absence by absenceKey
}

func newUniverse(message func(protoreflect.FullName) protoreflect.MessageDescriptor, exts []protoreflect.ExtensionDescriptor) *universe {
	u := &universe{
		message:    message,
		extensions: make(map[protoreflect.FullName]*extensions),
		byName:     make(map[protoreflect.FullName]protoreflect.ExtensionType),
	}
	for _, xd := range exts {
		xt := dynamicpb.NewExtensionType(xd)
		of := xd.ContainingMessage().FullName()
		if u.extensions[of] == nil {
			u.extensions[of] = &extensions{index: make(map[protoreflect.FieldNumber]int)}
		}
		u.extensions[of].add(xt.TypeDescriptor())
		u.byName[xd.FullName()] = xt
		u.checksText = u.checksText || xd.Kind() == protoreflect.StringKind && checksUTF8(xd)
	}
	return u
}

// extensions are those of one message, by declaration. Of two with the same
// number the first counts.
type extensions struct {
	list  []protoreflect.ExtensionTypeDescriptor
	index map[protoreflect.FieldNumber]int // in list
}

func (x *extensions) add(xd protoreflect.ExtensionTypeDescriptor) {
	if _, twice := x.index[xd.Number()]; !twice {
		x.index[xd.Number()] = len(x.list)
	}
	x.list = append(x.list, xd)
}

// extension finds an extension of a message by number: where it stands in what
// extensionsOf lists, and itself; nil when there is none.
func (u *universe) extension(of protoreflect.FullName, n protoreflect.FieldNumber) (int, protoreflect.ExtensionTypeDescriptor) {
	if x := u.extensions[of]; x != nil {
		if i, ok := x.index[n]; ok {
			return i, x.list[i]
		}
	}
	return -1, nil
}

// extensionsOf lists the extensions of a message by declaration.
func (u *universe) extensionsOf(md protoreflect.MessageDescriptor) []protoreflect.ExtensionTypeDescriptor {
	if x := u.extensions[md.FullName()]; x != nil {
		return x.list
	}
	return nil
}

// sameExtension finds the extension of a message with the full name of
// another, or nil.
func (u *universe) sameExtension(md protoreflect.MessageDescriptor, name protoreflect.FullName) protoreflect.FieldDescriptor {
	if xt := u.byName[name]; xt != nil && xt.TypeDescriptor().ContainingMessage().FullName() == md.FullName() {
		return xt.TypeDescriptor()
	}
	return nil
}

// FindExtensionByName and the four methods below make a universe the resolver
// of proto and protojson.
func (u *universe) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if xt := u.byName[name]; xt != nil {
		return xt, nil
	}
	return nil, protoregistry.NotFound
}

func (u *universe) FindExtensionByNumber(message protoreflect.FullName, n protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if _, xd := u.extension(message, n); xd != nil {
		return xd.Type(), nil
	}
	return nil, protoregistry.NotFound
}

func (u *universe) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if u.message != nil {
		if md := u.message(name); md != nil {
			return dynamicpb.NewMessageType(md), nil
		}
	}
	return nil, protoregistry.NotFound
}

func (u *universe) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	for i := len(url) - 1; i >= 0; i-- {
		if url[i] == '/' {
			return u.FindMessageByName(protoreflect.FullName(url[i+1:]))
		}
	}
	return u.FindMessageByName(protoreflect.FullName(url))
}

// fields lists the fields of a message, extensions included, by declaration.
func (u *universe) fields(md protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	regular := md.Fields()
	exts := u.extensionsOf(md)
	out := make([]protoreflect.FieldDescriptor, 0, regular.Len()+len(exts))
	for i := range regular.Len() {
		out = append(out, regular.Get(i))
	}
	for _, xd := range exts {
		out = append(out, xd)
	}
	return out
}

// declared is where a field of a message stands in what fields lists, and the
// field as that has it.
func (u *universe) declared(md protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor) (int, protoreflect.FieldDescriptor) {
	if !fd.IsExtension() {
		return fd.Index(), md.Fields().Get(fd.Index())
	}
	if i, xd := u.extension(md.FullName(), fd.Number()); xd != nil {
		return md.Fields().Len() + i, xd
	}
	return md.Fields().Len() + int(fd.Number()), fd
}

// byNumber finds a field or extension by number, or nil.
func (u *universe) byNumber(md protoreflect.MessageDescriptor, n protoreflect.FieldNumber) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByNumber(n); fd != nil {
		return fd
	}
	if !md.ExtensionRanges().Has(n) {
		return nil
	}
	if _, xd := u.extension(md.FullName(), n); xd != nil {
		return xd
	}
	return nil
}

// named finds the field that people would call the same thing as fd, or nil.
func (u *universe) named(md protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if !fd.IsExtension() {
		if same := md.Fields().ByName(fd.Name()); same != nil {
			return same
		}
		return nil
	}
	return u.sameExtension(md, fd.FullName())
}

// byKey finds the field that a ProtoJSON reader puts the writer's key into, or nil.
func (u *universe) byKey(md protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if fd.IsExtension() {
		if xd := u.sameExtension(md, fd.FullName()); xd != nil && md.ExtensionRanges().Has(xd.Number()) {
			return xd
		}
		return nil
	}
	if same := md.Fields().ByJSONName(fd.JSONName()); same != nil {
		return same
	}
	if same := md.Fields().ByTextName(fd.JSONName()); same != nil {
		return same
	}
	return nil
}

// identity says how a writer's field stands in the reader's message.
type identity int

const (
	same    identity = iota // the reader puts it where it belongs
	unknown                 // the reader has no such field, under no name and no number
	renamed                 // same number and kind, another name
	moved                   // the reader has the name under another number
	reused                  // the reader has the number for something else
	taken                   // JSON: the reader has the key for something else
)

// placing is where a writer's field lands in the reader's message, and what
// the names say about where it should.
type placing struct {
	identity identity
	peer     protoreflect.FieldDescriptor // the field whose decoder gets the bytes; nil if none does
	meant    protoreflect.FieldDescriptor // moved, renamed, reused, taken: the other field the names or numbers point to, if there is one
}

// place matches a writer's field with the reader's message: by number in
// binary, by accepted key in JSON. It is the one definition of "the same
// field"; what compares messages and what judges descriptors both use it.
func place(w, r *universe, wf protoreflect.FieldDescriptor, rm protoreflect.MessageDescriptor, json bool) placing {
	number := r.byNumber(rm, wf.Number())
	if json {
		return placeByKey(w, r, wf, rm, number)
	}
	name := r.named(rm, wf)
	switch {
	case number == nil && name == nil:
		return placing{identity: unknown}
	case number == nil:
		return placing{identity: moved, meant: name}
	case isEntry(rm) || isEntry(wf.ContainingMessage()) || sameName(wf, number):
		return placing{identity: same, peer: number}
	case name != nil:
		return placing{identity: moved, peer: number, meant: name}
	case takenOver(w, wf, number) || !sameThing(wf, number):
		return placing{identity: reused, peer: number, meant: number}
	default:
		return placing{identity: renamed, peer: number, meant: number}
	}
}

func placeByKey(w, r *universe, wf protoreflect.FieldDescriptor, rm protoreflect.MessageDescriptor, number protoreflect.FieldDescriptor) placing {
	if key := r.byKey(rm, wf); key != nil {
		if mine, other := keyTaken(w, r, wf, key); other {
			return placing{identity: taken, peer: key, meant: mine}
		}
		return placing{identity: same, peer: key}
	}
	if name := r.named(rm, wf); name != nil {
		return placing{identity: renamed, meant: name}
	}
	switch {
	case number == nil:
		return placing{identity: unknown}
	case takenOver(w, wf, number) || !sameName(wf, number) && !sameThing(wf, number):
		return placing{identity: reused, meant: number}
	default:
		return placing{identity: renamed, meant: number}
	}
}

// keyTaken says that the field to which the reader gives the writer's key is
// not the writer's field: neither name nor number agree, and the reader knows
// that one (mine) under another key, or the writer knows the key's field as
// another one. A new field that takes over the key of one that is gone is that
// field to whoever speaks JSON.
func keyTaken(w, r *universe, wf, key protoreflect.FieldDescriptor) (mine protoreflect.FieldDescriptor, other bool) {
	if wf.IsExtension() || key.IsExtension() || isEntry(wf.ContainingMessage()) || isEntry(key.ContainingMessage()) ||
		sameName(wf, key) || wf.Number() == key.Number() {
		return nil, false
	}
	if mine = r.named(key.ContainingMessage(), wf); mine != nil {
		return mine, true
	}
	return nil, w.named(wf.ContainingMessage(), key) != nil || w.byNumber(wf.ContainingMessage(), key.Number()) != nil
}

// takenOver says that the reader's field at this number is one that the writer
// knows under another number.
func takenOver(w *universe, wf, number protoreflect.FieldDescriptor) bool {
	other := w.named(wf.ContainingMessage(), number)
	return other != nil && other.Number() != wf.Number()
}

func sameName(a, b protoreflect.FieldDescriptor) bool {
	if a.IsExtension() && b.IsExtension() {
		return a.FullName() == b.FullName()
	}
	if a.IsExtension() != b.IsExtension() {
		return a.Kind() == b.Kind() // an extension that became a field keeps its number, not its full name
	}
	return a.Name() == b.Name()
}

// sameThing says that a field with another name is still of the same kind, so
// that it reads as a rename.
func sameThing(a, b protoreflect.FieldDescriptor) bool {
	return shapeOf(a) == shapeOf(b) && a.Kind() == b.Kind() || isMessage(a) && isMessage(b) && shapeOf(a) == shapeOf(b)
}

func isEntry(md protoreflect.MessageDescriptor) bool { return md != nil && md.IsMapEntry() }
