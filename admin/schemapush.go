package admin

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/schema"
)

// SchemaPush is the body of PUT /v1/schemas/{app}/{version}.
type SchemaPush struct {
	DescriptorSet []byte `json:"descriptorSet"`      // a serialized FileDescriptorSet, with all imports
	Manifest      string `json:"manifest,omitempty"` // skewgate.yaml
}

// nameOK accepts what may be an app's or a version's name.
func nameOK(names ...string) error {
	for _, s := range names {
		if err := (owners.Key{Class: s, ID: "x"}).Validate(); err != nil || len(s) > 128 {
			return badRequest("%q is no name of an app or a version", s)
		}
	}
	return nil
}

// putSchema registers a version and computes the matrices anew. A version is
// immutable: the same schema again only computes again, another is refused.
func (a *api) putSchema(r *http.Request) (any, error) {
	app, version := r.PathValue("app"), r.PathValue("version")
	if err := nameOK(app, version); err != nil {
		return nil, err
	}
	var push SchemaPush
	if err := readBody(r, &push); err != nil {
		return nil, err
	}
	x := Schema{
		App: app, Version: version, PushedAt: time.Now().UTC(), PushedBy: actor(r), DescriptorSet: push.DescriptorSet, Manifest: push.Manifest,
	}
	loaded, err := load(x, a.opt.Classes())
	if err != nil {
		return nil, err
	}
	if err := schema.CheckPayloads([]*schema.Set{loaded.Set}); err != nil {
		return nil, badRequest("%v", err)
	}
	if x.Digest, err = loaded.Set.Digest(); err != nil {
		return nil, fmt.Errorf("digest of %s@%s: %w", app, version, err)
	}
	for name := range loaded.Set.Manifest.Exports {
		x.Exports = append(x.Exports, name)
	}
	for name := range loaded.Set.Manifest.Binds {
		x.Binds = append(x.Binds, name)
	}
	return a.changeSchema(r.Context(), app, version, func(old Schema, exists bool) (Schema, error) {
		if exists && old.Retired.IsZero() {
			if old.Digest != x.Digest || old.Manifest != x.Manifest {
				return x, &Error{
					Status: http.StatusConflict, Code: "schema_differs",
					Detail: fmt.Sprintf("%s@%s is registered with another schema or manifest, and a version is immutable", app, version),
					Next:   fmt.Sprintf("push it as another version, or first: skewgate schema retire %s %s", app, version),
				}
			}
			x.PushedAt, x.PushedBy = old.PushedAt, old.PushedBy
		}
		return x, nil
	})
}

// retireSchema takes a version out of the matrices; it stays readable.
func (a *api) retireSchema(r *http.Request) (any, error) {
	app, version := r.PathValue("app"), r.PathValue("version")
	return a.changeSchema(r.Context(), app, version, func(old Schema, exists bool) (Schema, error) {
		if !exists {
			return old, missing("skewgate schema list", "the registry has no %s@%s", app, version)
		}
		if old.Retired.IsZero() {
			old.Retired = time.Now().UTC()
		}
		return old, nil
	})
}

// changeSchema replaces one version and all matrices. Nothing is stored when
// the versions cannot be compared. One change at a time, over all replicas.
func (a *api) changeSchema(ctx context.Context, app, version string, edit func(old Schema, exists bool) (Schema, error)) (any, error) {
	unlock, err := a.schemas.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, exists, err := a.schemas.get(ctx, app, version)
	if err != nil {
		return nil, err
	}
	x, err := edit(old, exists)
	if err != nil {
		return nil, err
	}
	matrices, err := a.matricesWith(ctx, x)
	if err != nil {
		return nil, err
	}
	if err := a.schemas.put(ctx, x); err != nil {
		return nil, err
	}
	if err := skew.StoreMatrices(ctx, a.opt.Store.Redis(), a.opt.Store.Prefix(), matrices); err != nil {
		return nil, err
	}
	x.DescriptorSet, x.Manifest = nil, ""
	return x, nil
}

// matricesWith computes the matrices as they are once x is stored.
func (a *api) matricesWith(ctx context.Context, x Schema) (skew.Matrices, error) {
	all, err := a.schemas.list(ctx)
	if err != nil {
		return nil, err
	}
	var live []Schema
	if x.Retired.IsZero() {
		live = append(live, x)
	}
	for _, s := range all {
		if !s.Retired.IsZero() || s.App == x.App && s.Version == x.Version {
			continue
		}
		full, ok, err := a.schemas.get(ctx, s.App, s.Version)
		if err != nil {
			return nil, err
		}
		if ok {
			live = append(live, full)
		}
	}
	return matricesOf(ctx, live, a.opt.Classes())
}

// How long a change may hold the registry, and how long another waits for it.
const (
	lockFor  = 2 * time.Minute
	lockWait = 15 * time.Second
)

var unlockScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// lock keeps two changes from each computing without the other.
func (s *schemas) lock(ctx context.Context) (unlock func(), err error) {
	key, me := s.prefix+"schemas:lock", rand.Text()
	for deadline := time.Now().Add(lockWait); ; {
		ok, err := s.rdb.SetNX(ctx, key, me, lockFor).Result()
		if err != nil {
			return nil, fmt.Errorf("lock registry: %w", err)
		}
		if ok {
			break
		}
		if time.Now().After(deadline) {
			return nil, &Error{Status: http.StatusConflict, Code: "conflict", Detail: "another schema is being pushed", Next: "repeat"}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = unlockScript.Run(last, s.rdb, []string{key}, me).Err() // it expires
	}, nil
}

// Matrix is what is known about one class.
type Matrix struct{ *skew.Matrix }

func (a *api) listMatrices(r *http.Request) (any, error) {
	all, err := a.opt.Skew.Matrices(r.Context())
	if err != nil {
		return nil, err
	}
	class := r.URL.Query().Get("class")
	out := List[Matrix]{Items: []Matrix{}}
	for _, name := range all.Classes() {
		if class == "" || class == name {
			out.Items = append(out.Items, Matrix{all[name]})
		}
	}
	return out, nil
}
