package schema

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Pair is two versions of one schema, loaded together so that what is equal on
// both sides costs nothing.
//
// Equal means: the same tokens, comments and layout and options that no rule
// reads aside, and the same of everything that is reached. What is equal is
// not compiled and is in neither Set; UnchangedService, UnchangedMethod and
// UnchangedMessage know it. So a caller that walks by name asks these first:
// what neither Set has and is not unchanged exists on neither side.
//
// A service or method of one side only is in that side's Set with its name
// and cardinality, but its request and response may be placeholders
// (IsPlaceholder): there is nothing to compare them with, so they may not have
// been compiled. Messages that were wanted for themselves are always whole.
//
// Options.Full switches all of this off, which must not change any finding.
type Pair struct {
	Old, New *Set

	unchanged map[protoreflect.FullName]Unchanged
	methods   map[protoreflect.FullName]bool // unchanged ones
}

// Unchanged is a service or message that was wanted and is equal on both
// sides; or a service in which some methods are.
type Unchanged struct {
	Name    protoreflect.FullName
	Message bool // a message, not a service
	Methods int  // unchanged methods of a service
	Partial bool // the service has other methods, and is in the Sets with those
}

// Unchanged lists what is left out of the Sets for being equal, by name.
func (p *Pair) Unchanged() []Unchanged {
	return slices.SortedFunc(maps.Values(p.unchanged), func(a, b Unchanged) int { return cmp.Compare(a.Name, b.Name) })
}

// UnchangedService tells that a service is equal on both sides: it counts as
// checked, without descriptors.
func (p *Pair) UnchangedService(name protoreflect.FullName) bool {
	u, ok := p.unchanged[name]
	return ok && !u.Partial && !u.Message
}

// UnchangedMethod tells it of one method, by its full name.
func (p *Pair) UnchangedMethod(name protoreflect.FullName) bool { return p.methods[name] }

// UnchangedMessage tells it of a message that was wanted for itself.
func (p *Pair) UnchangedMessage(name protoreflect.FullName) bool { return p.unchanged[name].Message }

// LoadPair loads two inputs, in parallel. opts.Name is not used: a Set is
// named after its input where that has a name of its own, else "old" or "new".
func LoadPair(ctx context.Context, oldInput, newInput Input, opts Options) (*Pair, error) {
	inputs := [2]Input{oldInput, newInput}
	options := [2]Options{opts, opts}
	for i, fallback := range []string{"old", "new"} {
		options[i].Name = cmp.Or(inputs[i].label(), fallback)
		options[i].Parallelism = max(1, opts.parallelism()/2)
	}
	if opts.Full || !inputs[0].hasSources() || !inputs[1].hasSources() {
		return loadApart(ctx, inputs, options)
	}
	var sides [2]*graph
	err := both(func(i int) (err error) {
		sides[i], err = openGraph(ctx, inputs[i], options[i])
		return err
	})
	defer func() {
		for _, g := range sides {
			if g != nil {
				err = errors.Join(err, g.side.close())
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	return loadTogether(ctx, sides)
}

func (in Input) hasSources() bool {
	return in.Kind == KindDir || in.Kind == KindGit || in.Kind == KindSources
}

// loadApart loads each side as if there were no other.
func loadApart(ctx context.Context, inputs [2]Input, options [2]Options) (*Pair, error) {
	var sets [2]*Set
	err := both(func(i int) (err error) {
		sets[i], err = Load(ctx, inputs[i], options[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := complete(ctx, sets[:], inputs[:], options[:]); err != nil {
		return nil, err
	}
	return &Pair{Old: sets[0], New: sets[1]}, nil
}

// both runs a function for the old and the new side at once and gives the
// problems of both.
func both(run func(i int) error) error {
	done := make(chan error)
	go func() { done <- run(1) }()
	first, second := run(0), <-done
	if first != nil && second != nil && first.Error() == second.Error() { // of a --manifest that both have
		return first
	}
	return errors.Join(first, second)
}

func openGraph(ctx context.Context, in Input, opts Options) (*graph, error) {
	side, err := openSide(ctx, in, opts)
	if err != nil {
		return nil, err
	}
	x, err := buildIndex(ctx, side)
	if err != nil {
		return nil, errors.Join(err, side.close())
	}
	g := newGraph(x)
	g.addPayloads(side.manifest.Payloads())
	g.addPayloads(opts.Payloads)
	return g, nil
}

// loadTogether compiles what differs.
func loadTogether(ctx context.Context, sides [2]*graph) (*Pair, error) {
	for i, g := range sides {
		g.addPayloads(sides[1-i].side.manifest.Payloads())
	}
	err := both(func(i int) error {
		sides[i].digestWanted()
		return nil
	})
	if err != nil {
		return nil, err
	}
	d, understood := newDifference(sides)
	var sets [2]*Set
	err = both(func(i int) (err error) {
		if !understood {
			sets[i], err = sides[i].side.compileAll(ctx, sides[i], true)
			return err
		}
		sets[i], err = d.sides[i].compile(ctx, nil, false)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Pair{Old: sets[0], New: sets[1], unchanged: d.unchanged, methods: d.methods}, nil
}
