package compat

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/schema"
)

// Window is the set of versions that may meet.
type Window string

// The windows.
const (
	Auto         Window = "auto"          // some order is safe, and the answer is which
	ObjectsFirst Window = "objects-first" // workers are never newer than objects
	WorkersFirst Window = "workers-first" // objects are never newer than workers
	Mixed        Window = "mixed"         // every pair, state both ways
)

// Options say what to check and how strictly. The zero value checks what the
// manifests name, else every service, in binary, in window auto.
type Options struct {
	Window      Window     // empty: the new side's manifest's, else auto
	Encodings   []Encoding // empty: each class's own, else binary
	Profile     Profile    // empty: each app's own, else spec
	Classes     []string   // only these
	Services    []string   // only these, each a class of its own
	State       []string   // messages that objects persist
	AllMessages bool       // every message is request, response and state
	Strict      bool       // in window mixed, new elements count as used
	Now         time.Time  // for waivers that expire; zero: the present

	matrix bool // of many versions: reports call each by its name
	ahead  bool // asked before a rollout: see MatrixRequest.Ahead
}

func (o Options) profile(m *schema.Manifest) Profile {
	switch {
	case o.Profile != "":
		return o.Profile
	case m != nil && m.Profile != "":
		return Profile(m.Profile)
	default:
		return Spec
	}
}

func (o Options) encodings(c *class) []Encoding {
	switch {
	case len(o.Encodings) > 0:
		return o.Encodings
	case len(c.encodings) > 0:
		return c.encodings
	default:
		return []Encoding{Binary}
	}
}

// window is the one that was asked for, else the new side's manifest's.
func (o Options) window(m *schema.Manifest) Window {
	switch {
	case o.Window != "":
		return o.Window
	case m != nil && m.Compat.Window != "":
		return Window(m.Compat.Window)
	default:
		return Auto
	}
}

// validate refuses words that mean nothing.
func (o Options) validate() error {
	check := func(flag, word string, known []string) error {
		if word == "" || slices.Contains(known, word) {
			return nil
		}
		return usageError{fmt.Sprintf("%s %q is unknown", flag, word), "use " + strings.Join(known, ", ")}
	}
	for _, e := range o.Encodings {
		if err := check("encoding", string(e), schema.Encodings); err != nil {
			return err
		}
	}
	if err := check("window", string(o.Window), schema.Windows); err != nil {
		return err
	}
	return check("profile", string(o.Profile), schema.Profiles)
}

// Want says what a Set must have for these options; give it to schema.Options.
func (o Options) Want(m *schema.Manifest) *schema.Want {
	switch {
	case o.AllMessages:
		return &schema.Want{All: true}
	case len(o.Services)+len(o.State) > 0:
		return &schema.Want{Services: o.Services, Messages: o.State}
	case m != nil && len(o.Classes) > 0 && len(m.Exports)+len(m.Binds) > 0:
		return m.Want(o.Classes...)
	default:
		return nil
	}
}

// usageError is a question that has no answer, with what to ask instead.
type usageError struct{ what, hint string }

func (e usageError) Error() string {
	if e.hint == "" {
		return e.what
	}
	return e.what + "\n    → " + e.hint
}
