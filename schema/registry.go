package schema

import "context"

// Registry has the schemas of versions that were pushed to a running mesh.
// Its own side is in package admin; a check without a mesh has none.
type Registry interface {
	// Get gives one version. An error wraps ErrUnknown when the registry can
	// say that there is no such version.
	Get(ctx context.Context, app, version string) (Pushed, error)
	// Versions lists an app's versions, the newest first.
	Versions(ctx context.Context, app string) ([]string, error)
}

// Pushed is one version in a registry.
type Pushed struct {
	DescriptorSet []byte // a serialized FileDescriptorSet, complete with imports; may be gzip
	Manifest      []byte // skewgate.yaml; empty without one
	Digest        string // Set.Digest when it was pushed
}
