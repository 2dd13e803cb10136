package admin

import (
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/skewgate/skewgate/schema"
)

// manifestDoc is what the registry keeps of a manifest: who exports and binds
// what. Roots and waivers are about sources and checks, not about versions that run.
type manifestDoc struct {
	APIVersion string              `yaml:"apiVersion"`
	Kind       string              `yaml:"kind"`
	App        string              `yaml:"app"`
	Profile    string              `yaml:"profile,omitempty"`
	Exports    map[string]classDoc `yaml:"exports,omitempty"`
	Binds      map[string]classDoc `yaml:"binds,omitempty"`
}

type classDoc struct {
	Services  []string            `yaml:"services,omitempty"`
	State     any                 `yaml:"state,omitempty"` // messages, or the word opaque
	Encodings []string            `yaml:"encodings,omitempty"`
	Payloads  map[string][]string `yaml:"payloads,omitempty"` // types by Any field
}

// EncodeManifest writes a manifest for a push, from wherever it was read.
func EncodeManifest(m *schema.Manifest) (string, error) {
	doc := manifestDoc{APIVersion: APIVersion, Kind: "App", App: m.App, Profile: m.Profile, Exports: classDocs(m.Exports), Binds: classDocs(m.Binds)}
	b, err := yaml.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("encode manifest: %w", err)
	}
	return string(b), nil
}

func classDocs(classes map[string]schema.Class) map[string]classDoc {
	out := make(map[string]classDoc, len(classes))
	for name, c := range classes {
		d := classDoc{Services: c.Services, Encodings: c.Encodings}
		for _, p := range c.Payloads {
			if d.Payloads == nil {
				d.Payloads = make(map[string][]string, len(c.Payloads))
			}
			d.Payloads[p.Field] = p.Types
		}
		switch {
		case c.Opaque:
			d.State = "opaque"
		case len(c.State) > 0:
			d.State = c.State
		}
		out[name] = d
	}
	return out
}
