package schema

import (
	"context"
	"fmt"
)

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
	Digest        string // Set.Digest when it was pushed; empty where nobody knows
}

func readRegistry(ctx context.Context, in Input, opts Options) (Pushed, error) {
	if opts.Registry == nil {
		return Pushed{}, unknownf("%s is unknown: there is no registry to ask\n    → name a running mesh with --admin URL; if a path was meant, there is none of this name", in.Text)
	}
	pushed, err := opts.Registry.Get(ctx, in.App, in.Version)
	if err != nil {
		return Pushed{}, fmt.Errorf("get %s from the registry: %w", in.Text, err)
	}
	return pushed, nil
}

// check holds what came against the digest of what was pushed: a version never
// changes, so another digest is damage, or another server.
func (p Pushed) check(in Input, s *Set) error {
	if p.Digest == "" {
		return nil
	}
	digest, err := s.Digest()
	if err != nil {
		return err
	}
	if digest != p.Digest {
		return inputError(in.Text, "use the skewgate that the mesh runs; if it is the same, push it again: skewgate schema retire, then skewgate schema push",
			"is not what was pushed: the digest of what the registry gives is %s, of what was pushed it was %.80s", digest, p.Digest)
	}
	return nil
}
