package compat

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// plainDocuments are JSON documents of every form that well-known types have.
// What a writer's type takes of them it can also write.
var plainDocuments = []string{
	`"x"`, `1`, `{}`, `[]`, `true`, `null`, `""`, `0`, `-1`, `1.5`, `"1.5s"`, `"2026-01-02T03:04:05Z"`, `"a,b"`, `"aB"`, `"abcd"`, `"7"`, `"NaN"`, `"Infinity"`,
	`1e300`, `"4294967297"`, `"9223372036854775807"`, `"18446744073709551615"`, `"-9223372036854775808"`, `2147483648`, `-2147483648`, `16777217`, `"/w=="`,
	`[1]`, `["x"]`, `[null]`, `[{}]`, `[[]]`, `{"x": 1}`, `{"x": "x"}`, `{"x": null}`, `{"x": {}}`, `{"x": {"x": 1}}`,
	`[1, 2]`, `{"x": [1]}`,
}

// anyDocuments are what an Any can hold whatever its schema has.
var anyDocuments = []string{
	`{}`, `{"@type": "type.googleapis.com/google.protobuf.Any"}`, `{"@type": "type.googleapis.com/google.protobuf.Any", "value": {}}`,
}

// fewKeys bounds the fields of a reader for which documents are made.
const fewKeys = 24

// documents are JSON documents of a writer's type at which readers of a message
// decide: the plain ones, and under each of its keys a value of each kind.
func documents(w, r protoreflect.MessageDescriptor) []string {
	out := plainDocuments
	if w != nil && w.FullName() == anyName {
		out = anyDocuments
	}
	if r == nil || isJSONSpecial(r) {
		return out
	}
	for i := range min(r.Fields().Len(), fewKeys) {
		key := strconv.Quote(r.Fields().Get(i).JSONName())
		for _, value := range []string{`"x"`, `1`, `true`, `null`, `0`, `""`, `{}`, `[]`, `[1]`, `["x"]`, `[{}]`, `{"x": 1}`, `{"x": "x"}`, `1.5`, `1e300`} {
			out = append(out[:len(out):len(out)], "{"+key+": "+value+"}")
		}
	}
	return out
}

// wholes makes messages of a writer's type for a reader of another one: with
// each value of each field, and all that documents say.
func (s sampler) wholes(w, r protoreflect.MessageDescriptor) []*dynamicpb.Message {
	var out []*dynamicpb.Message
	for _, v := range s.messages(w, 2) {
		out = append(out, v.Message().Interface().(*dynamicpb.Message))
	}
	for _, text := range documents(w, r) {
		if m, ok := s.parsed(w, text); ok {
			out = append(out, m)
		}
	}
	return out
}

// parsed reads a document as a message of the writer's, if it is one.
func (s sampler) parsed(w protoreflect.MessageDescriptor, text string) (*dynamicpb.Message, bool) {
	m := dynamicpb.NewMessage(w)
	if s.budget != nil && !s.budget.spend(1, w) {
		return nil, false
	}
	if (protojson.UnmarshalOptions{Resolver: s.u, AllowPartial: true}).Unmarshal([]byte(text), m) != nil {
		return nil, false
	}
	s.fill(m, sampleDepth)
	return m, true
}

// held makes messages in which a field holds what documents say of the type
// that the reader has there.
func (s sampler) held(f *fact) []*dynamicpb.Message {
	key := f.wf.JSONName()
	if f.wf.IsExtension() {
		key = "[" + string(f.wf.FullName()) + "]"
	}
	var out []*dynamicpb.Message
	for _, text := range documents(elementOf(f.wf).Message(), elementOf(f.rf).Message()) {
		for _, shaped := range []string{text, "[" + text + "]", `{"1": ` + text + `}`, `{"true": ` + text + `}`} {
			if shaped != text && (shapeOf(f.wf) == single || shapeOf(f.wf) == list != strings.HasPrefix(shaped, "[")) {
				continue
			}
			if m, ok := s.parsed(f.in.w, "{"+strconv.Quote(key)+": "+shaped+"}"); ok && m.Has(f.wf) {
				base := s.base(f)
				proto.Merge(base, m)
				out = append(out, base)
			}
		}
	}
	return out
}
