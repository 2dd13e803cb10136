package admin

import (
	"net/http"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
)

// SchemaPush is the body of PUT /v1/schemas/{app}/{version}.
type SchemaPush struct {
	DescriptorSet []byte `json:"descriptorSet"`      // a serialized FileDescriptorSet, with all imports
	Manifest      string `json:"manifest,omitempty"` // skewgate.yaml
	Digest        string `json:"digest,omitempty"`
}

// nameOK accepts what may be an app's or a version's name.
func nameOK(app, version string) error {
	for _, s := range []string{app, version} {
		if err := (owners.Key{Class: s, ID: "x"}).Validate(); err != nil || len(s) > 128 {
			return badRequest("%q is no name of an app or a version", s)
		}
	}
	return nil
}

func (a *api) putSchema(r *http.Request) (any, error) {
	app, version := r.PathValue("app"), r.PathValue("version")
	if err := nameOK(app, version); err != nil {
		return nil, err
	}
	var push SchemaPush
	if err := readBody(r, &push); err != nil {
		return nil, err
	}
	if len(push.DescriptorSet) == 0 {
		return nil, badRequest("the body has no descriptorSet")
	}
	old, exists, err := a.schemas.get(r.Context(), app, version)
	if err != nil {
		return nil, err
	}
	if exists && old.Digest != push.Digest && old.Retired.IsZero() {
		return nil, &Error{
			Status: http.StatusConflict, Code: "schema_differs",
			Detail: app + "@" + version + " is registered with another schema; a version is immutable",
			Next:   "push it under another version, or skewgate schema retire " + app + " " + version,
		}
	}
	x := Schema{
		App: app, Version: version, Digest: push.Digest, PushedAt: time.Now().UTC(), PushedBy: actor(r),
		DescriptorSet: push.DescriptorSet, Manifest: push.Manifest,
	}
	if err := a.schemas.put(r.Context(), x); err != nil {
		return nil, err
	}
	x.DescriptorSet, x.Manifest = nil, ""
	return x, nil
}

func (a *api) retireSchema(r *http.Request) (any, error) {
	app, version := r.PathValue("app"), r.PathValue("version")
	x, ok, err := a.schemas.get(r.Context(), app, version)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, missing("skewgate schema list", "the registry has no %s@%s", app, version)
	}
	if x.Retired.IsZero() {
		x.Retired = time.Now().UTC()
	}
	if err := a.schemas.put(r.Context(), x); err != nil {
		return nil, err
	}
	x.DescriptorSet, x.Manifest = nil, ""
	return x, nil
}

// Matrix is what is known about one class.
type Matrix struct{ *skew.Matrix }

func (a *api) listMatrices(r *http.Request) (any, error) {
	all, err := a.opt.Skew.Matrices(r.Context())
	if err != nil {
		return nil, err
	}
	out := List[Matrix]{Items: []Matrix{}}
	for _, c := range a.opt.Classes() {
		if m := all[c.Name]; m != nil && (r.URL.Query().Get("class") == "" || r.URL.Query().Get("class") == c.Name) {
			out.Items = append(out.Items, Matrix{m})
		}
	}
	return out, nil
}
