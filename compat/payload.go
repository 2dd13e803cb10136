package compat

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/skewgate/skewgate/schema"
)

// An Any names the type of what it holds; which types a field holds a manifest
// says (payloads). A payload is compared with the reader's message of the same
// full name: there is no other way by which a reader could find it.

// declarePayloads tells each version what it packs: what its own manifest says
// of a field, else what other versions' manifests say, of the types it has.
func declarePayloads(versions []*version) error {
	sets := make([]*schema.Set, len(versions))
	joined := make(map[string][]string)
	for i, v := range versions {
		sets[i] = v.Set
		for field, types := range v.Set.Manifest.Payloads() {
			joined[field] = append(joined[field], types...)
		}
	}
	if len(joined) == 0 {
		return nil
	}
	if err := schema.CheckPayloads(sets); err != nil {
		return fmt.Errorf("%w", err)
	}
	for _, v := range versions {
		own := v.Set.Manifest.Payloads()
		for field, types := range joined {
			if said, ok := own[field]; ok {
				types = said
			}
			v.universe.declare(v.Set, protoreflect.FullName(field), types)
		}
	}
	return nil
}

func (u *universe) declare(set *schema.Set, field protoreflect.FullName, types []string) {
	var packed []protoreflect.FullName
	for _, t := range types {
		if u.message(protoreflect.FullName(t)) != nil {
			packed = append(packed, protoreflect.FullName(t))
		}
	}
	slices.Sort(packed)
	packed = slices.Compact(packed)
	if u.payloads == nil {
		u.payloads = make(map[protoreflect.FullName][]protoreflect.FullName)
	}
	u.payloads[field] = packed
	if d, err := set.Files().FindDescriptorByName(field); err == nil {
		if fd, ok := d.(protoreflect.FieldDescriptor); ok && fd.IsMap() {
			u.payloads[fd.MapValue().FullName()] = packed
		}
	}
}

// payloads compares what the writer packs into an Any with the reader's
// messages of the same names.
func (c *comparer) payloads(n *node, wf, rf protoreflect.FieldDescriptor) {
	for _, name := range c.writer.payloads[wf.FullName()] {
		wm, rm := c.writer.message(name), c.reader.message(name)
		if rm == nil {
			n.add(fact{kind: payloadMissing, wf: wf, rf: rf, w: wm})
			continue
		}
		n.children = append(n.children, c.node(pair{wm, rm, n.json}))
	}
}

// packing makes a field that holds an Any with a payload in it that has
// something set.
func (s sampler) packing(f *fact) []protoreflect.Value {
	payload := dynamicpb.NewMessage(f.w.(protoreflect.MessageDescriptor))
	s.fill(payload, sampleDepth)
	s.payload = payload.Descriptor().FullName()
	s.typical(payload, 2)
	holder := s.pack(elementOf(f.wf).Message(), payload)
	if holder == nil {
		return nil
	}
	return s.holding(f.in.w, f.wf, protoreflect.ValueOfMessage(holder))
}

// pack puts a payload into an Any of a schema's own copy of that type.
func (s sampler) pack(md protoreflect.MessageDescriptor, payload proto.Message) protoreflect.Message {
	var packed anypb.Any
	if err := anypb.MarshalFrom(&packed, payload, proto.MarshalOptions{Deterministic: true}); err != nil {
		return nil
	}
	holder := dynamicpb.NewMessage(md)
	holder.Set(md.Fields().ByNumber(1), protoreflect.ValueOfString(packed.GetTypeUrl()))
	holder.Set(md.Fields().ByNumber(2), protoreflect.ValueOfBytes(packed.GetValue()))
	return holder
}

// unpack reads the payload of an Any as the reader's code does, with the types
// that its schema has.
func (c codec) unpack(u *universe, holder protoreflect.Message) (protoreflect.Message, error) {
	fields := holder.Descriptor().Fields()
	packed := &anypb.Any{TypeUrl: holder.Get(fields.ByNumber(1)).String(), Value: holder.Get(fields.ByNumber(2)).Bytes()}
	m, err := anypb.UnmarshalNew(packed, proto.UnmarshalOptions{Resolver: u})
	if err != nil {
		return nil, plainError(err)
	}
	if c.profile == Spec && u == c.reader {
		err = c.specified(m.ProtoReflect(), u)
	}
	return m.ProtoReflect(), plainError(err)
}

// specified does to a payload what the specification says of it and Go does
// not.
func (c codec) specified(m protoreflect.Message, u *universe) error {
	if u.checksText {
		if err := checkExtensionText(m); err != nil {
			return err
		}
	}
	if err := closeEnums(m, c.encoding); err != nil {
		return err
	}
	return proto.CheckInitialized(m.Interface()) // closing may have taken what is required
}

// packs says that a writer's Any field is one whose payloads a manifest names,
// so that readers unpack it.
func (o *observer) packs(wf, rf protoreflect.FieldDescriptor) bool {
	return len(o.writer.payloads[wf.FullName()]) > 0 && wf.Message().FullName() == anyName && rf.Message().FullName() == anyName
}

// payload compares what was packed with what is unpacked.
func (o *observer) payload(wf protoreflect.FieldDescriptor, w protoreflect.Message, r protoreflect.Message, rm protoreflect.MessageDescriptor) {
	packed, err := o.unpack(o.writer, w)
	if err != nil || !slices.Contains(o.writer.payloads[wf.FullName()], packed.Descriptor().FullName()) {
		o.message(w, r)
		return
	}
	name := string(packed.Descriptor().FullName())
	got, err := o.unpack(o.reader, r)
	if err != nil {
		o.add(Fails, wf, rm, name, "cannot unpack it: "+err.Error())
		return
	}
	o.message(packed, got)
}
