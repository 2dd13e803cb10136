package compat

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// observation is one thing that came out other than it went in.
type observation struct {
	field  protoreflect.FieldDescriptor   // the writer's; nil: the message as a whole
	in     protoreflect.MessageDescriptor // the reader's message
	effect Effect
	wrote  string // for people
	reads  string
}

// observer compares what was written with what was read. It works on messages
// alone: it knows what "the same" means (place.go, sameValue), and no rule.
type observer struct {
	codec
	found []observation
}

// observe lists what differs between a message and its decoded form.
func (c codec) observe(w, r protoreflect.Message) []observation {
	o := &observer{codec: c}
	if c.encoding.isJSON() && formsDiffer(w.Descriptor(), r.Descriptor()) {
		o.whole(w, r)
		return o.found
	}
	o.message(w, r)
	return o.found
}

func (o *observer) add(e Effect, fd protoreflect.FieldDescriptor, in protoreflect.MessageDescriptor, wrote, reads string) {
	o.found = append(o.found, observation{field: fd, in: in, effect: e, wrote: wrote, reads: reads})
}

func (o *observer) message(w, r protoreflect.Message) {
	rm := r.Descriptor()
	if o.encoding.isJSON() && (isJSONSpecial(w.Descriptor()) || isJSONSpecial(rm)) {
		return // their JSON form is compared as a whole by the field that holds them
	}
	wm := w.Descriptor()
	look := make(map[int]protoreflect.FieldDescriptor) // by place in the declaration
	w.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		rank, wf := o.writer.declared(wm, fd)
		look[rank] = wf
		return true
	})
	for _, a := range o.absences(wm, rm) {
		if look[a.rank] == nil && !r.Has(a.rf) {
			look[a.rank] = a.wf
		}
	}
	for _, rank := range slices.Sorted(maps.Keys(look)) {
		wf := look[rank]
		at := place(o.writer, o.reader, wf, rm, o.encoding.isJSON())
		if w.Has(wf) {
			o.present(w, r, wf, at)
		} else {
			o.add(Semantic, wf, rm, "unset: "+showScalar(wf, wf.Default()), "unset: "+showScalar(at.peer, at.peer.Default()))
		}
	}
}

// absence is a field that means something else on the other side when it is unset.
type absence struct {
	rank   int // place in the declaration
	wf, rf protoreflect.FieldDescriptor
}

// absenceKey is what absences are the same for.
type absenceKey struct {
	w, r   protoreflect.MessageDescriptor
	reader *universe
	json   bool
}

// absences lists the fields of a message for which unset is not the same on
// both sides. A message of thousands of fields is looked through for each of
// its witnesses, so this is found once.
func (c codec) absences(wm, rm protoreflect.MessageDescriptor) []absence {
	key := absenceKey{wm, rm, c.reader, c.encoding.isJSON()}
	if known, ok := c.writer.absences.Load(key); ok {
		return known.([]absence)
	}
	var out []absence
	for rank, wf := range c.writer.fields(wm) {
		if wf.Cardinality() == protoreflect.Required || shapeOf(wf) != single || isMessage(wf) {
			continue
		}
		at := place(c.writer, c.reader, wf, rm, c.encoding.isJSON())
		if at.identity != same && at.identity != renamed || at.peer == nil || shapeOf(at.peer) != single || isMessage(at.peer) {
			continue
		}
		if !c.writer.sameDefault(wf, at.peer) {
			out = append(out, absence{rank, wf, at.peer})
		}
	}
	c.writer.absences.Store(key, out)
	return out
}

func (o *observer) present(w, r protoreflect.Message, wf protoreflect.FieldDescriptor, at placing) {
	wv := w.Get(wf)
	rm := r.Descriptor()
	switch {
	case at.identity == unknown:
		effect := Drop
		if o.oneofUnset(wf, r) {
			effect = Presence
		}
		o.add(effect, wf, rm, show(wf, wv), o.unknownText())
	case at.peer == nil && at.identity == reused: // JSON: the name is gone
		o.add(Drop, wf, rm, show(wf, wv), o.unknownText())
	case at.peer == nil:
		o.add(Loss, wf, rm, show(wf, wv), string(at.meant.Name())+" unset")
	case at.identity == moved || at.identity == reused || at.identity == taken:
		o.misplaced(wf, wv, at.peer, r)
	default:
		o.field(wf, wv, at.peer, r)
	}
}

// misplaced looks at a value that lands under another name.
func (o *observer) misplaced(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	text := string(rf.Name()) + " = " + show(rf, r.Get(rf))
	switch {
	case r.Has(rf):
		o.add(Value, wf, r.Descriptor(), show(wf, wv), text)
	case shapeOf(wf) == single && !isMessage(wf) && isZero(wv):
		o.add(Presence, wf, r.Descriptor(), show(wf, wv), text)
	default:
		o.add(Loss, wf, r.Descriptor(), show(wf, wv), string(rf.Name())+" unset")
	}
}

// oneofUnset says that the reader knows the oneof that wf belongs to, not wf,
// and now sees none of its members set.
func (o *observer) oneofUnset(wf protoreflect.FieldDescriptor, r protoreflect.Message) bool {
	od := readerOneof(o.writer, o.reader, wf, r.Descriptor(), o.encoding.isJSON())
	return od != nil && r.WhichOneof(od) == nil
}

// readerOneof is the reader's oneof that holds the other members of the oneof
// of a field that the reader does not know, or nil.
func readerOneof(w, r *universe, wf protoreflect.FieldDescriptor, rm protoreflect.MessageDescriptor, json bool) protoreflect.OneofDescriptor {
	od := wf.ContainingOneof()
	if od == nil || od.IsSynthetic() {
		return nil
	}
	for i := range od.Fields().Len() {
		sibling := od.Fields().Get(i)
		if sibling == wf {
			continue
		}
		at := place(w, r, sibling, rm, json)
		if at.peer == nil || at.identity != same && at.identity != renamed {
			continue
		}
		if in := at.peer.ContainingOneof(); in != nil && !in.IsSynthetic() {
			return in
		}
	}
	return nil
}

func (o *observer) unknownText() string {
	if o.encoding.keepsUnknown() {
		return "kept as an unknown field"
	}
	return "ignored"
}

// field compares a set field with the reader's field that its bytes went to.
func (o *observer) field(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	if o.encoding.isJSON() && specialPair(wf, rf) {
		o.special(wf, wv, rf, r)
		return
	}
	switch {
	case shapeOf(wf) == single && shapeOf(rf) == single:
		o.single(wf, wv, rf, r)
	case shapeOf(wf) == mapping && shapeOf(rf) == mapping:
		o.mapping(wf, wv.Map(), rf, r)
	default:
		o.sequence(wf, wv, rf, r)
	}
}

func (o *observer) single(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	rm := r.Descriptor()
	rv := r.Get(rf)
	if isMessage(wf) && isMessage(rf) {
		if !r.Has(rf) {
			o.add(Loss, wf, rm, showOne(wf, wv), string(rf.Name())+" unset")
			return
		}
		o.messages(wf, wv, rf, rv, rm)
		return
	}
	if !r.Has(rf) {
		o.missing(wf, wv, rf, r)
		return
	}
	o.value(wf, wv, rf, rv, rm)
}

// messages compares what two fields hold. Where one of them is a well-known
// type that the other is not, what differs inside is one difference of the
// field: there is nothing by which parts correspond.
func (o *observer) messages(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, rv protoreflect.Value, rm protoreflect.MessageDescriptor) {
	if o.packs(wf, rf) {
		o.payload(wf, wv.Message(), rv.Message(), rm)
		return
	}
	if !opaquePair(wf, rf) {
		o.message(wv.Message(), rv.Message())
		return
	}
	effect := Effect("")
	for _, inner := range o.observe(wv.Message(), rv.Message()) {
		if effect == "" || inner.effect == Value {
			effect = Loss
			if inner.effect == Value {
				effect = Value
			}
		}
	}
	if effect != "" {
		o.add(effect, wf, rm, showOne(wf, wv), showOne(rf, rv))
	}
}

// missing judges a value that was set and does not read as set.
func (o *observer) missing(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	rm := r.Descriptor()
	if rf.HasPresence() {
		o.add(Loss, wf, rm, showOne(wf, wv), string(rf.Name())+" unset")
		return
	}
	switch {
	case isMessage(wf) && proto.Size(wv.Message().Interface()) == 0 || !isMessage(wf) && isZero(wv):
		if wf.Cardinality() != protoreflect.Required {
			o.add(Presence, wf, rm, showOne(wf, wv), string(rf.Name())+" unset")
		}
	case o.encoding == Binary && accepts(rf, writtenWire(wf)) && isNumeric(wf) && isNumeric(rf):
		o.add(lossOrValue(rf), wf, rm, showOne(wf, wv), showOne(rf, r.Get(rf)))
	default:
		o.add(Loss, wf, rm, showOne(wf, wv), string(rf.Name())+" unset")
	}
}

// value compares one element.
func (o *observer) value(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, rv protoreflect.Value, rm protoreflect.MessageDescriptor) {
	switch {
	case isMessage(wf) && isMessage(rf):
		o.messages(wf, wv, rf, rv, rm)
	case isMessage(wf) || isMessage(rf):
		if !sameWrapped(wf, wv, rf, rv) {
			o.add(Value, wf, rm, showOne(wf, wv), showOne(rf, rv))
		}
	case wf.Kind() == protoreflect.EnumKind && rf.Kind() == protoreflect.EnumKind:
		if e := o.writer.sameEnum(wf.Enum(), wv.Enum(), rf.Enum(), rv.Enum()); e != "" {
			o.add(e, wf, rm, showOne(wf, wv), showOne(rf, rv))
		}
	case !sameScalar(wf, wv, rf, rv):
		o.add(lossOrValue(rf), wf, rm, showOne(wf, wv), showOne(rf, rv))
	case rf.Kind() == protoreflect.EnumKind && rf.Enum().Values().ByNumber(rv.Enum()) == nil:
		o.add(Semantic, wf, rm, showOne(wf, wv), showOne(rf, rv))
	}
}

// lossOrValue names what a changed value is: a bool has merged many into one.
func lossOrValue(rf protoreflect.FieldDescriptor) Effect {
	if rf.Kind() == protoreflect.BoolKind {
		return Loss
	}
	return Value
}

// sequence compares fields of which at least one is a list, or a map on one side.
func (o *observer) sequence(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	rm := r.Descriptor()
	written := elements(wf, wv)
	if shapeOf(rf) == single {
		o.last(wf, wv, written, rf, r)
		return
	}
	read := elements(rf, r.Get(rf))
	if o.encoding == Binary && elementWire(wf) != elementWire(rf) {
		o.garbled(wf, wv, rf, r)
		return
	}
	if len(written) != len(read) {
		o.add(Loss, wf, rm, show(wf, wv), show(rf, r.Get(rf)))
		return
	}
	if wf.IsMap() != rf.IsMap() {
		o.entries(wf, wv, written, rf, read, r)
		return
	}
	for i := range written {
		o.value(wf, written[i], rf, read[i], rm)
	}
}

// last compares many written values with the one that a reader keeps.
func (o *observer) last(wf protoreflect.FieldDescriptor, wv protoreflect.Value, written []protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	rm := r.Descriptor()
	switch {
	case elementWire(wf) != elementWire(rf) || wf.IsPacked():
		o.garbled(wf, wv, rf, r)
	case len(written) > 1:
		o.add(Loss, wf, rm, show(wf, wv), show(rf, r.Get(rf)))
	case isMessage(rf) && isMessage(wf):
		if !r.Has(rf) {
			o.add(Loss, wf, rm, show(wf, wv), string(rf.Name())+" unset")
			return
		}
		if we, re := entryValues(wf, rf); we != nil {
			if !o.entry(written[0].Message(), r.Get(rf).Message(), we, re) {
				o.add(Value, wf, rm, show(wf, wv), show(rf, r.Get(rf)))
			}
			return
		}
		o.messages(wf, written[0], rf, r.Get(rf), rm)
	case !r.Has(rf):
		o.missing(wf, written[0], rf, r)
	default:
		o.value(wf, written[0], rf, r.Get(rf), rm)
	}
}

// garbled looks at bytes of one kind that were parsed as another.
func (o *observer) garbled(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	if r.Has(rf) {
		o.add(Value, wf, r.Descriptor(), show(wf, wv), show(rf, r.Get(rf)))
		return
	}
	o.add(Loss, wf, r.Descriptor(), show(wf, wv), string(rf.Name())+" unset")
}

// entries compares map entries with messages of the same shape. A map has no
// order: each written one must be among those read.
func (o *observer) entries(wf protoreflect.FieldDescriptor, wv protoreflect.Value, written []protoreflect.Value, rf protoreflect.FieldDescriptor, read []protoreflect.Value, r protoreflect.Message) {
	if !isMessage(wf) || !isMessage(rf) {
		o.garbled(wf, wv, rf, r)
		return
	}
	we, re := entryValues(wf, rf)
	for _, w := range written {
		if !slices.ContainsFunc(read, func(v protoreflect.Value) bool { return o.entry(w.Message(), v.Message(), we, re) }) {
			o.add(Value, wf, r.Descriptor(), show(wf, wv), show(rf, r.Get(rf)))
			return
		}
	}
}

func (o *observer) mapping(wf protoreflect.FieldDescriptor, written protoreflect.Map, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	rm := r.Descriptor()
	read := r.Get(rf).Map()
	if written.Len() != read.Len() {
		o.add(Loss, wf, rm, showMap(wf, written), showMap(rf, read))
		return
	}
	for _, k := range sortedKeys(written) {
		rk, ok := findKey(wf, k, rf, read)
		if !ok {
			o.add(Value, wf, rm, showMap(wf, written), showMap(rf, read))
			return
		}
		o.mapValue(wf, written.Get(k), rf, read.Get(rk), rm)
	}
}

// mapValue compares the values of one key. An entry whose value the reader
// could not take has the default: that is loss, not another value.
func (o *observer) mapValue(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, rv protoreflect.Value, rm protoreflect.MessageDescriptor) {
	we, re := wf.MapValue(), rf.MapValue()
	arrives := o.encoding.isJSON() || accepts(re, elementWire(we))
	if !arrives {
		if isMessage(we) || isMessage(re) || !sameScalar(we, wv, re, rv) {
			o.add(Loss, wf, rm, show(we, wv), show(re, rv))
		}
		return
	}
	before := len(o.found)
	o.value(we, wv, re, rv, rm)
	for i := before; i < len(o.found); i++ {
		if o.found[i].field == we {
			o.found[i].field = wf
		}
	}
}
