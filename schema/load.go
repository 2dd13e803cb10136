package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// Options say how inputs are loaded. The zero value is usable.
type Options struct {
	Name         string    // of the Set; the input's own name without one
	ProtoPath    []string  // directories where imports are looked up after the input
	ManifestFile string    // instead of skewgate.yaml at the input's root
	Registry     Registry  // for APP@VERSION; nil: there is none
	Stdin        io.Reader // for -
	Parallelism  int       // 0: as many as there are processors

	// Want says what is to be checked, given the input's manifest (nil when it
	// has none). A nil func, or a nil Want, is everything that the manifest's
	// classes name; without a manifest, all services of the input.
	Want func(*Manifest) *Want

	// Payloads is what fields of type Any hold, by full name, beside what the
	// input's own manifest says: other versions' manifests may say more.
	Payloads map[string][]string

	// Full switches every shortcut off: all files are compiled, and a Pair
	// knows of nothing that is unchanged. Findings must not depend on it.
	Full bool
}

// Want names what a Set must have.
type Want struct {
	All      bool     // every service and every message of the input
	Services []string // full names; one that does not exist is no error
	Messages []string
}

func (o Options) parallelism() int {
	if o.Parallelism > 0 {
		return o.Parallelism
	}
	return runtime.GOMAXPROCS(0)
}

func (o Options) want(m *Manifest) *Want {
	if o.Want != nil {
		if w := o.Want(m); w != nil {
			return w
		}
	}
	if m != nil && len(m.Exports)+len(m.Binds) > 0 {
		return m.Want()
	}
	return nil
}

// wantsEverything: all services, or all there is.
func (o Options) wantsEverything(m *Manifest) bool {
	w := o.want(m)
	return w == nil || w.All
}

func (o Options) name(in Input) string {
	switch {
	case o.Name != "":
		return o.Name
	case in.label() != "":
		return in.label()
	}
	return in.Text
}

// Load loads one input.
func Load(ctx context.Context, in Input, opts Options) (*Set, error) {
	switch in.Kind {
	case KindImage, KindStdin, KindRegistry:
		return loadImage(ctx, in, opts)
	}
	g, err := openGraph(ctx, in, opts)
	if err != nil {
		return nil, err
	}
	set, err := g.side.compileAll(ctx, g, opts.Full)
	if err := errors.Join(err, g.side.close()); err != nil {
		return nil, err
	}
	return set, nil
}

// readManifest gives the manifest of an input, nil when it has none. With
// Options.ManifestFile that file is read instead.
func readManifest(ctx context.Context, file string, opts Options, fallback func() ([]byte, error)) (*Manifest, error) {
	if opts.ManifestFile != "" {
		info, err := os.Stat(opts.ManifestFile)
		if err != nil {
			return nil, inputError(opts.ManifestFile, "", "cannot be read: %s", plainError(err))
		}
		if !info.Mode().IsRegular() { // each side reads it, and a pipe can be read once
			return nil, inputError(opts.ManifestFile, "", "is not a regular file")
		}
		data, err := readFile(ctx, opts.ManifestFile, maxManifestBytes)
		if err != nil {
			return nil, err
		}
		return ParseManifest(opts.ManifestFile, data)
	}
	data, err := fallback()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return ParseManifest(file, data)
}
