package compat

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/skewgate/skewgate/schema"
)

// Exchange is one message that was written with one version's schema, and what
// our reader makes of it with the other's.
type Exchange struct {
	Rule           string // empty: an ordinary sample, not a witness
	Path           string
	Writer, Reader int
	Encoding       Encoding
	Bytes          []byte
	Into           protoreflect.MessageDescriptor
	Got            *dynamicpb.Message
	Err            error
}

// Exchanges lists the witnesses of a check for profile spec, and a message for
// every sample value of every field that was compared.
func Exchanges(ctx context.Context, old, new *schema.Set, opts Options) ([]Exchange, error) {
	opts.Profile = Spec
	k, err := run(ctx, []Version{{Name: "old", Set: old, Worker: true, Object: true}, {Name: "new", Set: new, Worker: true, Object: true}}, nil, opts)
	if err != nil {
		return nil, err
	}
	var out []Exchange
	for _, h := range k.hits {
		if h.proof == nil {
			continue
		}
		x := Exchange{Rule: h.rule.ID, Path: h.path(), Writer: h.writer, Reader: h.reader, Encoding: h.encoding, Bytes: h.proof.bytes, Into: h.fact.in.r}
		u := k.versions[h.reader].universe
		x.Got, x.Err = readAs(x.Bytes, x.Into, u, x.Encoding, Spec, h.fact.kind != fieldRequired)
		out = append(out, x)
	}
	for way, c := range k.judge.comparers {
		for _, enc := range opts.Encodings {
			by := codec{enc, Spec, k.versions[way[0]].universe, k.versions[way[1]].universe, nil}
			for _, n := range c.nodes {
				if n.json == enc.isJSON() && !isEntry(n.w) && !isEntry(n.r) {
					out = append(out, by.samples(n, way)...)
				}
			}
		}
	}
	return out, nil
}

// fewSamples bounds the messages for one field: maps have a pair of values for
// every two that a key and a value have.
const fewSamples = 24

func (c codec) samples(n *node, way [2]int) []Exchange {
	var out []Exchange
	s := sampler{u: c.writer, payload: n.w.FullName()}
	for _, fd := range c.writer.fields(n.w) {
		values := s.values(dynamicpb.NewMessage(n.w), fd, 2)
		for _, v := range values[:min(len(values), fewSamples)] {
			m := dynamicpb.NewMessage(n.w)
			s.fill(m, sampleDepth)
			m.Set(fd, v)
			data, err := c.write(m)
			if err != nil {
				continue // no writer could have written it
			}
			x := Exchange{Path: string(fd.FullName()), Writer: way[0], Reader: way[1], Encoding: c.encoding, Bytes: data, Into: n.r}
			x.Got, x.Err = c.read(data, n.r, true)
			out = append(out, x)
		}
	}
	return out
}

// Universe is what encoders, decoders and protovalidate ask for a set's types.
func Universe(set *schema.Set) *universe { return universeOf(set) }
