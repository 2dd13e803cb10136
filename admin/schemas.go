package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/rollout/skew"
)

// Schema is one registered version.
type Schema struct {
	App      string    `json:"app"`
	Version  string    `json:"version"`
	Digest   string    `json:"digest"`
	PushedAt time.Time `json:"pushedAt"`
	PushedBy string    `json:"pushedBy"`
	Retired  time.Time `json:"retired,omitzero"` // no longer part of any matrix
	Exports  []string  `json:"exports,omitempty"`
	Binds    []string  `json:"binds,omitempty"`

	DescriptorSet []byte `json:"descriptorSet,omitempty"` // get and push only; a serialized FileDescriptorSet
	Manifest      string `json:"manifest,omitempty"`      // get and push only
}

// schemas keeps them in the store: a hash of what lists need, and a key each
// for the descriptors.
type schemas struct {
	rdb    redis.UniversalClient
	prefix string
}

func (s *schemas) index() string { return s.prefix + "schemas" }
func (s *schemas) body(app, version string) string {
	return s.prefix + "schema:" + app + "@" + version
}

func (s *schemas) list(ctx context.Context) ([]Schema, error) {
	fields, err := s.rdb.HGetAll(ctx, s.index()).Result()
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	out := make([]Schema, 0, len(fields))
	for name, v := range fields {
		var x Schema
		if err := json.Unmarshal([]byte(v), &x); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(x, y Schema) int {
		if c := strings.Compare(x.App, y.App); c != 0 {
			return c
		}
		return skew.CompareVersions(x.Version, y.Version)
	})
	return out, nil
}

// get reads one version with its descriptors; ok is false when there is none.
func (s *schemas) get(ctx context.Context, app, version string) (x Schema, ok bool, err error) {
	v, err := s.rdb.HGet(ctx, s.index(), app+"@"+version).Result()
	if errors.Is(err, redis.Nil) {
		return Schema{}, false, nil
	}
	if err != nil {
		return Schema{}, false, fmt.Errorf("get schema: %w", err)
	}
	if err := json.Unmarshal([]byte(v), &x); err != nil {
		return Schema{}, false, fmt.Errorf("schema %s@%s: %w", app, version, err)
	}
	f, err := s.rdb.HGetAll(ctx, s.body(app, version)).Result()
	if err != nil {
		return Schema{}, false, fmt.Errorf("get schema: %w", err)
	}
	x.DescriptorSet, x.Manifest = []byte(f["set"]), f["manifest"]
	return x, true, nil
}

func (s *schemas) put(ctx context.Context, x Schema) error {
	set, manifest := x.DescriptorSet, x.Manifest
	x.DescriptorSet, x.Manifest = nil, ""
	b, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	pipe := s.rdb.TxPipeline()
	if len(set) > 0 {
		pipe.HSet(ctx, s.body(x.App, x.Version), "set", set, "manifest", manifest)
	}
	pipe.HSet(ctx, s.index(), x.App+"@"+x.Version, b)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store schema: %w", err)
	}
	return nil
}

func (a *api) listSchemas(r *http.Request) (any, error) {
	all, err := a.schemas.list(r.Context())
	if err != nil {
		return nil, err
	}
	app := r.URL.Query().Get("app")
	out := List[Schema]{Items: []Schema{}}
	for _, s := range all {
		if app == "" || s.App == app {
			out.Items = append(out.Items, s)
		}
	}
	return out, nil
}

func (a *api) getSchema(r *http.Request) (any, error) {
	app, version := r.PathValue("app"), r.PathValue("version")
	s, ok, err := a.schemas.get(r.Context(), app, version)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &Error{
			Status: http.StatusNotFound, Code: "unknown_version", Unknown: true,
			Detail: fmt.Sprintf("the registry has no %s@%s", app, version), Next: "skewgate schema list --app " + app,
		}
	}
	return s, nil
}
