package schema

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// LoadEach loads inputs each for itself, as Load does, but for what manifests
// name: what one names of a class, or as payloads, is loaded of all inputs.
func LoadEach(ctx context.Context, inputs []Input, options []Options) ([]*Set, error) {
	sets := make([]*Set, len(inputs))
	for i := range inputs {
		set, err := Load(ctx, inputs[i], options[i])
		if err != nil {
			return nil, err
		}
		sets[i] = set
	}
	return sets, complete(ctx, sets, inputs, options)
}

// complete loads again what was loaded without something that only other
// versions' manifests name: a class that one of them does not list is compared
// all the same. What is compiled already has everything.
func complete(ctx context.Context, sets []*Set, inputs []Input, options []Options) (err error) {
	payloads := map[string][]string{}
	var named Want
	for i, set := range sets {
		joinPayloads(payloads, set.Manifest.Payloads())
		if w := options[i].want(set.Manifest); w != nil {
			named.Services = append(named.Services, w.Services...)
			named.Messages = append(named.Messages, w.Messages...)
		}
	}
	for i, set := range sets {
		own := options[i].want(set.Manifest)
		if own == nil {
			own = &Want{}
			for _, s := range set.Services() {
				own.Services = append(own.Services, string(s.FullName()))
			}
		}
		missing := !own.All && (set.lacks(own.Services, named.Services) || set.lacks(own.Messages, named.Messages))
		if !inputs[i].hasSources() || !missing && maps.EqualFunc(set.Manifest.Payloads(), payloads, slices.Equal) {
			continue
		}
		opts := options[i]
		opts.Payloads = payloads
		if missing {
			all := &Want{Services: joined(own.Services, named.Services), Messages: joined(own.Messages, named.Messages)}
			opts.Want = func(*Manifest) *Want { return all }
		}
		if sets[i], err = Load(ctx, inputs[i], opts); err != nil {
			return err
		}
	}
	return nil
}

// lacks says that one of the names is neither wanted nor there by chance.
func (s *Set) lacks(wanted, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return !slices.Contains(wanted, n) && s.find(protoreflect.FullName(n)) == nil
	})
}

func joined(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
