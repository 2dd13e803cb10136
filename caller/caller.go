// Package caller lets a worker say who calls: it sets Skewgate-Caller on
// outgoing HTTP requests and gRPC calls. Gateways believe it from peers that
// the mesh file trusts, and use it to tell which versions still call which
// (skewgate skew) and to guard calls between versions that do not understand
// each other. It is a leaf: standard library and gRPC only.
//
// Who calls is, in this order: what Identify is given; the environment
// variable SKEWGATE_CALLER, "web@v41"; the build: the last element of the main
// module's path and its version or revision.
package caller

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime/debug"
	"strings"
)

// Header names who calls, app@version. gRPC carries it as metadata.
const Header = "Skewgate-Caller"

// Env is the environment variable that says who calls.
const Env = "SKEWGATE_CALLER"

// ErrUnknown says that neither argument, environment nor build say who calls.
var ErrUnknown = errors.New("caller is not known")

// maxLength bounds app@version; gateways ignore longer ones.
const maxLength = 128

// Caller is an app at a version.
type Caller struct {
	App, Version string
}

// String gives app@version.
func (c Caller) String() string { return c.App + "@" + c.Version }

// Parse reads app@version.
func Parse(s string) (Caller, error) {
	app, version, ok := strings.Cut(s, "@")
	if !ok || app == "" || version == "" || len(s) > maxLength || strings.Contains(version, "@") {
		return Caller{}, fmt.Errorf("%w: %q is not app@version", ErrUnknown, s)
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == '\\' {
			return Caller{}, fmt.Errorf("%w: %q has the character 0x%02x", ErrUnknown, s, c)
		}
	}
	return Caller{App: app, Version: version}, nil
}

// Identify finds out who calls. Empty arguments are filled in from the
// environment and the build. An error wraps ErrUnknown.
func Identify(app, version string) (Caller, error) {
	if app == "" || version == "" {
		known := fromEnvironment()
		if known == (Caller{}) {
			known = fromBuild(debug.ReadBuildInfo())
		}
		if app == "" {
			app = known.App
		}
		if version == "" {
			version = known.Version
		}
	}
	if app == "" || version == "" {
		return Caller{}, fmt.Errorf("%w: set %s=app@version, or give app and version", ErrUnknown, Env)
	}
	return Parse(app + "@" + version)
}

func fromEnvironment() Caller {
	c, err := Parse(os.Getenv(Env))
	if err != nil {
		return Caller{}
	}
	return c
}

// fromBuild uses what the Go command wrote into the binary.
func fromBuild(info *debug.BuildInfo, ok bool) Caller {
	if !ok || info.Main.Path == "" {
		return Caller{}
	}
	c := Caller{App: path.Base(info.Main.Path), Version: info.Main.Version}
	if c.Version == "" || c.Version == "(devel)" {
		c.Version = ""
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				c.Version = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return c
}
