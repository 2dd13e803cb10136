package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/schema"
)

// meshRegistry reads APP@VERSION from a running mesh. It asks for nothing
// until such an input is given.
type meshRegistry struct{ api *api }

// Get gives one version.
func (r *meshRegistry) Get(ctx context.Context, app, version string) (schema.Pushed, error) {
	client, err := r.api.client()
	if err != nil {
		return schema.Pushed{}, err
	}
	s, err := client.Schema(ctx, app, version)
	if err != nil {
		return schema.Pushed{}, unknownVersion(err, app, version)
	}
	if s.App != app || s.Version != version {
		return schema.Pushed{}, fmt.Errorf("%s answered with %.80q@%.80q\n    → is that the admin API of a mesh? --admin URL or SKEWGATE_ADMIN says where it is", client.URL, s.App, s.Version)
	}
	return schema.Pushed{DescriptorSet: s.DescriptorSet, Manifest: []byte(s.Manifest), Digest: s.Digest}, nil
}

// Versions lists an app's versions, the newest first.
func (r *meshRegistry) Versions(ctx context.Context, app string) ([]string, error) {
	client, err := r.api.client()
	if err != nil {
		return nil, err
	}
	all, err := client.Schemas(ctx, app)
	if err != nil {
		return nil, fmt.Errorf("list versions of %s: %w", app, err)
	}
	var names []string
	for i := len(all.Items) - 1; i >= 0; i-- {
		names = append(names, all.Items[i].Version)
	}
	return names, nil
}

// unknownVersion tells "the registry has no such version" from "the registry
// cannot be asked".
func unknownVersion(err error, app, version string) error {
	var e *admin.Error
	if errors.As(err, &e) && e.Status == 404 {
		return fmt.Errorf("%s@%s: %w in the registry\n    → skewgate schema list shows what is registered", app, version, schema.ErrUnknown)
	}
	return apiError(err) // the caller says what was asked for
}
