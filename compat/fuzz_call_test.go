package compat

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// callType is the type of a request or a response: a message of the schema, or
// a well-known type.
func (g *schemaMaker) callType() *string {
	if g.oneIn(2) {
		return proto.String(".google.protobuf." + pick(g, wellKnownTypes))
	}
	return proto.String(fmt.Sprintf(".t.M%d", g.IntN(messageNames)))
}

func (g *schemaMaker) addMethod(s *descriptorpb.ServiceDescriptorProto) {
	g.fresh++
	s.Method = append(s.Method, &descriptorpb.MethodDescriptorProto{
		Name: proto.String(fmt.Sprintf("A%d", g.fresh)), InputType: g.callType(), OutputType: g.callType(),
		ClientStreaming: proto.Bool(g.oneIn(4)), ServerStreaming: proto.Bool(g.oneIn(4)),
	})
}

func (g *schemaMaker) service() *descriptorpb.ServiceDescriptorProto {
	s := &descriptorpb.ServiceDescriptorProto{Name: proto.String("S")}
	for range 1 + g.IntN(3) {
		g.addMethod(s)
	}
	return s
}

func (g *schemaMaker) changeService(s *descriptorpb.ServiceDescriptorProto) {
	m := pick(g, s.Method)
	switch g.IntN(7) {
	case 0:
		g.addMethod(s)
	case 1:
		if len(s.Method) > 1 {
			s.Method = slices.DeleteFunc(s.Method, func(x *descriptorpb.MethodDescriptorProto) bool { return x == m })
		}
	case 2:
		m.ClientStreaming = proto.Bool(!m.GetClientStreaming())
	case 3:
		m.ServerStreaming = proto.Bool(!m.GetServerStreaming())
	case 4:
		m.OutputType = g.callType()
	default:
		m.InputType = g.callType()
	}
}

// calls runs messages through every request and response of every method that
// both sides have, and holds who may call whom against what was seen.
func (d *fuzzDirection) calls() {
	w, r := d.versions[d.w].Set, d.versions[1-d.w].Set
	for _, s := range w.Services() {
		other := r.Service(s.FullName())
		if other == nil {
			continue
		}
		for i := range s.Methods().Len() {
			mine := s.Methods().Get(i)
			theirs := other.Methods().ByName(mine.Name())
			if theirs == nil {
				d.mustNotMeet(d.w, 1-d.w, mine, "is missing")
				continue
			}
			if mine.IsStreamingClient() && !theirs.IsStreamingClient() {
				d.mustNotMeet(d.w, 1-d.w, mine, "takes one message")
			}
			if mine.IsStreamingServer() && !theirs.IsStreamingServer() {
				d.mustNotMeet(1-d.w, d.w, mine, "answers with a stream")
			}
			d.call(mine, theirs, mine.Input(), theirs.Input(), d.w, 1-d.w)
			d.call(mine, theirs, mine.Output(), theirs.Output(), 1-d.w, d.w)
		}
	}
}

// call runs messages of one request or response.
func (d *fuzzDirection) call(mine, theirs protoreflect.Descriptor, w, r protoreflect.MessageDescriptor, worker, object int) {
	before := d.errors
	d.root(root{w: w, r: r, call: mine, serve: theirs})
	if d.errors > before {
		d.mustNotMeet(worker, object, mine, "was seen to go wrong")
	}
}

// mustNotMeet fails when a check lets two versions meet that do not get on.
func (d *fuzzDirection) mustNotMeet(worker, object int, m protoreflect.Descriptor, why string) {
	if d.answer == nil || d.run.without != "" || d.answer.total.bad[[2]int{worker, object}] {
		return
	}
	d.run.failures++
	d.run.t.Errorf("seed %d, %s: %s %s, and a %s worker may meet a %s object", d.seed, d.encoding, m.FullName(), why, d.versions[worker].Name, d.versions[object].Name)
}

// whole checks two random schemas as Check does.
func (run *fuzzRun) whole(g *schemaMaker, versions []*version, enc Encoding, profile Profile) *check {
	k := &check{opts: Options{Encodings: []Encoding{enc}, Profile: profile}, grids: make(map[*class]*grid)}
	k.prepare([]Version{
		{Name: "old", Set: versions[0].Set, Worker: true, Object: true},
		{Name: "new", Set: versions[1].Set, Worker: true, Object: true},
	})
	g.anyPayloads(k.versions)
	if err := k.choose(); err != nil {
		run.t.Fatal(err)
	}
	journeys, err := k.compare(run.t.Context())
	if err != nil {
		run.t.Fatal(err)
	}
	if err := k.prove(run.t.Context(), journeys); err != nil {
		run.t.Fatal(err)
	}
	k.meet()
	return k
}
