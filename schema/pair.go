package schema

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Pair is two versions of one schema, loaded together.
//
// What is equal on both sides, all that it reaches included and comments and
// layout aside, is not compiled: it is in neither Set, and Unchanged has it.
// A caller that walks services or messages by name asks UnchangedService or
// UnchangedMessage first: a name that is in neither Set and not unchanged
// exists on neither side. A service that exists on one side only is in that
// side's Set with all its methods and their cardinality; its request and
// response types have no fields there, for there is nothing to compare them
// with.
//
// Options.Full switches all of this off.
type Pair struct {
	Old, New *Set

	unchanged         []Unchanged
	unchangedServices map[protoreflect.FullName]bool
	unchangedMessages map[protoreflect.FullName]bool
}

// Unchanged is a wanted service or message that is equal on both sides with
// everything it reaches.
type Unchanged struct {
	Name    protoreflect.FullName
	Methods int  // of a service
	Message bool // a message, not a service
}

// Unchanged lists what was wanted and is equal on both sides, by name.
func (p *Pair) Unchanged() []Unchanged { return p.unchanged }

// UnchangedService tells that a service is equal on both sides, so that there
// is nothing to find in it: it counts as checked, without descriptors.
func (p *Pair) UnchangedService(name protoreflect.FullName) bool { return p.unchangedServices[name] }

// UnchangedMessage is UnchangedService for a message that was wanted for
// itself.
func (p *Pair) UnchangedMessage(name protoreflect.FullName) bool { return p.unchangedMessages[name] }

// LoadPair loads two inputs, in parallel. opts.Name is not used: a Set is
// named after its input where that has a name, else "old" and "new".
func LoadPair(ctx context.Context, oldInput, newInput Input, opts Options) (*Pair, error) {
	p := &Pair{}
	var errs [2]error
	group, ctx := errgroup.WithContext(ctx)
	for i, side := range []struct {
		in   Input
		name string
		set  **Set
	}{{oldInput, "old", &p.Old}, {newInput, "new", &p.New}} {
		group.Go(func() error {
			opts := opts
			if opts.Name = side.in.label(); opts.Name == "" {
				opts.Name = side.name
			}
			*side.set, errs[i] = Load(ctx, side.in, opts)
			return nil // the other side's problems are wanted too
		})
	}
	group.Wait() //nolint:errcheck // each side's error is in errs
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return p, nil
}
