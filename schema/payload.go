package schema

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/problem"
)

// What an Any holds no schema says. A manifest may: payloads lead from the
// message that has the field to the messages that it holds, as if the field
// had their types.

// addPayloads makes edges of payloads. Call it before digests are made.
func (g *graph) addPayloads(payloads map[string][]string) {
	for _, field := range slices.Sorted(maps.Keys(payloads)) {
		holder := parentName(field)
		if len(g.byName[field]) > 0 { // an extension
			holder = field
		}
		g.payloads[holder] = append(g.payloads[holder], payloads[field]...)
	}
}

// payloadHolders are the declarations with fields whose payloads are known:
// wanted, so that what a manifest says of them can be checked.
func (g *graph) payloadHolders() []node {
	var holders []node
	for _, name := range slices.Sorted(maps.Keys(g.payloads)) {
		holders = append(holders, g.byName[name]...)
	}
	return holders
}

// joinPayloads adds payloads to others; types stay sorted, each once.
func joinPayloads(to, from map[string][]string) {
	for field, types := range from {
		joined := append(slices.Clone(to[field]), types...)
		slices.Sort(joined)
		to[field] = slices.Compact(joined)
	}
}

// anyName is the full name of Any.
const anyName = protoreflect.FullName("google.protobuf.Any")

// CheckPayloads holds what manifests say of payloads against the schemas of
// all versions: a field must exist in one of them and be an Any wherever it
// does, a type must exist in one. All that is wrong is one problem.List.
func CheckPayloads(sets []*Set) error {
	var problems problem.List
	for _, s := range sets {
		if s.Manifest == nil {
			continue
		}
		for _, section := range []map[string]Class{s.Manifest.Exports, s.Manifest.Binds} {
			for _, name := range slices.Sorted(maps.Keys(section)) {
				for _, p := range section[name].Payloads {
					problems = append(problems, checkPayload(p, sets)...)
				}
			}
		}
	}
	slices.SortStableFunc(problems, func(a, b problem.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems).Err() // with --manifest all versions have the same one
}

func checkPayload(p Payload, sets []*Set) problem.List {
	var problems problem.List
	complain := func(at problem.Problem, message, hint string) {
		at.Message, at.Hint = message, hint
		problems = append(problems, at)
	}
	found := false
	for _, s := range sets {
		d := s.find(protoreflect.FullName(p.Field))
		if d == nil {
			continue
		}
		found = true
		if fd, ok := d.(protoreflect.FieldDescriptor); !ok || !holdsAny(fd) {
			complain(p.places[0], fmt.Sprintf("%s is not a field of type google.protobuf.Any", p.Field), "payloads are said of Any fields only, single, repeated or values of a map")
			break
		}
	}
	if !found {
		complain(p.places[0], fmt.Sprintf("payloads: there is no field %s", p.Field), problem.Suggest(p.Field, anyFields(sets)))
	}
	for i, t := range p.Types {
		if !slices.ContainsFunc(sets, func(s *Set) bool { return s.Message(protoreflect.FullName(t)) != nil }) {
			complain(p.places[1+i], fmt.Sprintf("payloads of %s: there is no message %s", p.Field, t)+inAny(sets), "its file must be in the input, or be imported by it")
		}
	}
	return problems
}

// inAny says where was looked, when that is more than one place.
func inAny(sets []*Set) string {
	if len(sets) > 1 {
		return " in any version"
	}
	return ""
}

func holdsAny(fd protoreflect.FieldDescriptor) bool {
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	return fd.Message() != nil && fd.Message().FullName() == anyName
}

// anyFields lists the Any fields of all versions, to guess what was meant.
func anyFields(sets []*Set) []string {
	var names []string
	for _, s := range sets {
		for _, m := range s.Messages() {
			for i := range m.Fields().Len() {
				if fd := m.Fields().Get(i); holdsAny(fd) && !slices.Contains(names, string(fd.FullName())) {
					names = append(names, string(fd.FullName()))
				}
			}
		}
	}
	return names
}
