package compat

import (
	_ "embed"
	"maps"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/schema"
)

// side says which version wrote: a difference that only one of them can show
// has one rule for each, so that FIELD_ADDED and FIELD_REMOVED are two.
type side int

const (
	anyone side = iota
	older
	newer
)

func (s side) covers(newerWrites bool) bool {
	return s == anyone || (s == newer) == newerWrites
}

// Rule is one row of the table of rules. Ids never change meaning.
type Rule struct {
	ID     string
	Title  string // one line, no direction
	Mirror string // the rule of the same change made backwards; empty: this one
	OneWay string // where one of the two directions has no effect: why

	kind     kind
	families []family // of types, for the kinds that have any
	writer   side
	adds     bool // a writer's new element: new code decides whether to use it yet
	effects  func(f *fact, enc Encoding, p Profile) []Effect
	least    Severity // where its effect says too little; empty: the effect's

	says     string // what happens, for people; see words.go for the places in braces
	fix      string // beside "roll out X first": what else helps
	expand   string // release 1, where no order helps
	contract string // release 2
	Why      string // the explanation
	Buf      string // what buf breaking calls it
	Example  Example
}

// Example is a change that shows a rule; each runs.
type Example struct {
	Old, New string              // a proto file's body
	Payloads map[string][]string // of Any fields, for the manifest
}

// validateExample is what examples of constraints import.
//
//go:embed example/buf/validate/validate.proto
var validateExample string

// Files are the files of one side of an example, by their paths.
func (x Example) Files(body string) map[string]string {
	files := map[string]string{"example.proto": ExampleSource(body)}
	if strings.Contains(body, constraintsFile) {
		files[constraintsFile] = validateExample
	}
	if len(x.Payloads) > 0 {
		text := "apiVersion: skewgate/v1\nkind: App\napp: example\nexports:\n  Example:\n    state: [example.M]\n    payloads:\n"
		for _, field := range slices.Sorted(maps.Keys(x.Payloads)) {
			text += "      " + field + ": [" + strings.Join(x.Payloads[field], ", ") + "]\n"
		}
		files[schema.ManifestName] = text
	}
	return files
}

// by gives the effects of each encoding.
func by(binary, json, lenient Effect) func(*fact, Encoding, Profile) []Effect {
	return func(_ *fact, enc Encoding, _ Profile) []Effect {
		e := map[Encoding]Effect{Binary: binary, JSON: json, Lenient: lenient}[enc]
		if e == "" {
			return nil
		}
		return []Effect{e}
	}
}

// always gives the same effect in every encoding.
func always(e Effect) func(*fact, Encoding, Profile) []Effect { return by(e, e, e) }

// Rules lists every rule, by id.
func Rules() []Rule {
	all := slices.Concat(fieldRules, nameRules, typeRules, shapeRules, presenceRules, oneofRules, enumRules, serviceRules, stateRules, payloadRules, formRules, constraintRules)
	slices.SortFunc(all, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// table finds the rule of a fact.
type table struct{ byKind map[kind][]Rule }

func newTable() *table {
	t := &table{byKind: make(map[kind][]Rule)}
	for _, r := range Rules() {
		t.byKind[r.kind] = append(t.byKind[r.kind], r)
	}
	return t
}

// rule gives the row for a fact, given who wrote; nil if none has it.
func (t *table) rule(f *fact, newerWrites bool) *Rule {
	rows := t.byKind[f.kind]
	for i := range rows {
		r := &rows[i]
		if !r.writer.covers(newerWrites) {
			continue
		}
		if len(r.families) == 0 || slices.Contains(r.families, familyOfFact(f)) {
			return r
		}
	}
	return nil
}

// familyOfFact classes what a fact about types is about.
func familyOfFact(f *fact) family {
	if f.kind == fieldShape {
		if shapeOf(f.wf) == mapping || shapeOf(f.rf) == mapping {
			return mapShape
		}
		return listShape
	}
	return familyOf(f.wf, f.rf)
}
