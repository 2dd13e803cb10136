package schema

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/problem"
)

// ManifestName is the manifest's file name at the root of an input.
const ManifestName = "skewgate.yaml"

// Manifest is an app's skewgate.yaml (compat.md §5).
type Manifest struct {
	File       string // as it is shown to people
	APIVersion string
	Kind       string
	App        string
	Roots      []string // schema.roots: directories that imports start from; at least one
	Profile    string   // spec (default) or go
	Exports    map[string]Class
	Binds      map[string]Class
	Compat     Policy
}

// Class is one exported or bound class.
type Class struct {
	Services  []string
	State     []string // full message names; nil with Opaque
	Opaque    bool     // state: opaque
	Encodings []string // binary (default), json, json-lenient
	Payloads  []Payload
	Line      int // in the manifest
}

// Payload says what a field of type google.protobuf.Any holds.
type Payload struct {
	Field  string            // full name, such as shop.v1.Event.detail
	Types  []string          // full names of messages
	places []problem.Problem // where the field stands, then each type; they say nothing yet
}

// Policy is the manifest's compat section.
type Policy struct {
	Window  string // auto, objects-first, workers-first, mixed
	FailOn  string // error, warning
	Waivers []Waiver
}

// Waiver excuses one finding until a day.
type Waiver struct {
	Rule, Path, Reason string
	Expires            time.Time // the start of the day (UTC) from which it no longer holds
	Line               int       // in the manifest
}

// The words of a manifest.
var (
	Profiles  = []string{"spec", "go"}
	Encodings = []string{"binary", "json", "json-lenient"}
	Windows   = []string{"auto", "objects-first", "workers-first", "mixed"}
	FailOns   = []string{"error", "warning"}
)

// Want is what the manifest's classes name, of the given classes only when
// there are any.
func (m *Manifest) Want(classes ...string) *Want {
	w := &Want{}
	for _, section := range []map[string]Class{m.Exports, m.Binds} {
		for _, name := range slices.Sorted(maps.Keys(section)) {
			if len(classes) == 0 || slices.Contains(classes, name) {
				w.Services = append(w.Services, section[name].Services...)
				w.Messages = append(w.Messages, section[name].State...)
			}
		}
	}
	return w
}

// Payloads is what the fields of type Any hold, by full name: of one field all
// that any class says.
func (m *Manifest) Payloads() map[string][]string {
	payloads := map[string][]string{}
	if m == nil {
		return payloads
	}
	for _, section := range []map[string]Class{m.Exports, m.Binds} {
		for _, class := range section {
			for _, p := range class.Payloads {
				joinPayloads(payloads, map[string][]string{p.Field: p.Types})
			}
		}
	}
	return payloads
}

// The file's own shape.
type (
	manifestFile struct {
		APIVersion string                `yaml:"apiVersion"`
		Kind       string                `yaml:"kind"`
		App        string                `yaml:"app"`
		Schema     manifestSchema        `yaml:"schema"`
		Profile    string                `yaml:"profile"`
		Exports    map[string]exportFile `yaml:"exports"`
		Binds      map[string]bindFile   `yaml:"binds"`
		Compat     policyFile            `yaml:"compat"`
	}
	manifestSchema struct {
		Roots []string `yaml:"roots"`
	}
	exportFile struct {
		Services  []string            `yaml:"services"`
		State     stateFile           `yaml:"state"`
		Encodings []string            `yaml:"encodings"`
		Payloads  map[string][]string `yaml:"payloads"`
		Line      int                 `yaml:",line"`
	}
	bindFile struct {
		Services  []string            `yaml:"services"`
		Encodings []string            `yaml:"encodings"`
		Payloads  map[string][]string `yaml:"payloads"`
		Line      int                 `yaml:",line"`
	}
	policyFile struct {
		Window  string       `yaml:"window"`
		FailOn  string       `yaml:"failOn"`
		Waivers []waiverFile `yaml:"waivers"`
	}
	waiverFile struct {
		Rule    string `yaml:"rule"`
		Path    string `yaml:"path"`
		Reason  string `yaml:"reason"`
		Expires day    `yaml:"expires"`
		Line    int    `yaml:",line"`
	}
)

// stateFile is "opaque" or a list of message names.
type stateFile struct {
	opaque   bool
	messages []string
}

// UnmarshalYAML reads either form.
func (s *stateFile) UnmarshalYAML(decode func(any) error) error {
	var word string
	if decode(&word) == nil {
		if word != "opaque" {
			return fmt.Errorf("want opaque or a list of messages, not %q", word)
		}
		s.opaque = true
		return nil
	}
	return decode(&s.messages)
}

type day struct{ time.Time }

// UnmarshalText reads YYYY-MM-DD.
func (d *day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return fmt.Errorf("want a day as YYYY-MM-DD, not %q", text)
	}
	d.Time = t
	return nil
}

// ParseManifest reads a manifest strictly: all that is wrong with it is in one
// problem.List, each with its line. Defaults are filled in.
func ParseManifest(file string, data []byte) (*Manifest, error) {
	var raw manifestFile
	places, err := problem.DecodeYAMLPlaces(file, data, &raw)
	if err != nil {
		return nil, fmt.Errorf("%w", err)
	}
	check := manifestCheck{places: places}
	m := &Manifest{
		File: file, APIVersion: raw.APIVersion, Kind: raw.Kind, App: raw.App,
		Roots:   check.roots(raw.Schema.Roots),
		Profile: check.word(raw.Profile, "spec", Profiles, "profile"),
		Exports: map[string]Class{}, Binds: map[string]Class{},
		Compat: Policy{
			Window: check.word(raw.Compat.Window, "auto", Windows, "compat", "window"),
			FailOn: check.word(raw.Compat.FailOn, "error", FailOns, "compat", "failOn"),
		},
	}
	check.head(raw)
	for name, e := range raw.Exports {
		m.Exports[name] = check.class("exports", name, Class{Services: e.Services, State: e.State.messages, Opaque: e.State.opaque, Encodings: e.Encodings, Payloads: check.payloads("exports", name, e.Payloads), Line: e.Line})
	}
	for name, b := range raw.Binds {
		m.Binds[name] = check.class("binds", name, Class{Services: b.Services, Encodings: b.Encodings, Payloads: check.payloads("binds", name, b.Payloads), Line: b.Line})
	}
	for i, w := range raw.Compat.Waivers {
		m.Compat.Waivers = append(m.Compat.Waivers, check.waiver(i, w))
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// validName is a protobuf full name.
func validName(s string) bool { return protoreflect.FullName(s).IsValid() && len(s) <= 1024 }
