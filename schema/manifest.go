// Package schema turns manifests and protobuf sources into a Set of
// descriptors with places and a digest (compat.md §5).
package schema

import "time"

// Manifest is an app's skewgate.yaml (compat.md §5).
type Manifest struct {
	APIVersion string
	Kind       string
	App        string
	Roots      []string // schema.roots
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
	Expires            time.Time
	Line               int // in the manifest
}
