package assign

import "slices"

// Choice asks which versions may run one object now. Gateways, the mover and
// whoever explains a placement ask the same question in the same words, so
// that none of them undoes what another did.
type Choice struct {
	Versions  []Version // the deployment
	Class, ID string
	Last      string                           // version that ran the object last, so that its state is that version's; "" when not known
	Ready     func(version string) bool        // has a host that takes objects of the class
	Reads     func(writer, reader string) bool // false: reader is known not to load what writer stored; nil: nothing is known
	Strict    bool                             // no version stands in for another
}

// Assigned ranks the versions that may run the object, best first, whether
// they have hosts or not.
//
// A version that is known not to read the state of the last one never stands
// in for another. It is not first either while the last one is deployed: a
// share between two versions moves no object over a border that its state does
// not cross. Once the last one is not deployed any more the first is what
// somebody decided, against preflight's refusal, and it stands.
//
//	last      deployed   best that it is not known not to read for   others
//	known     yes        first                                       those that read
//	known     no         whatever ranks first                        those that read
//	unknown              whatever ranks first                        those that read every deployed version
func (c Choice) Assigned() []string {
	ranked := Ranked(c.Versions, c.Class, c.ID)
	if len(ranked) == 0 {
		return nil
	}
	out := slices.DeleteFunc(slices.Clone(ranked), func(v string) bool { return !c.readsLast(ranked, v) })
	if !slices.Contains(ranked, c.Last) && (len(out) == 0 || out[0] != ranked[0]) {
		out = append([]string{ranked[0]}, out...)
	}
	if c.Strict {
		out = out[:1]
	}
	return out
}

// Now gives those of Assigned that have hosts.
func (c Choice) Now() []string {
	return slices.DeleteFunc(c.Assigned(), func(v string) bool { return !c.Ready(v) })
}

// readsLast says that nothing is known against v running the object after Last.
func (c Choice) readsLast(deployed []string, v string) bool {
	if c.Reads == nil {
		return true
	}
	if c.Last != "" {
		return c.Last == v || c.Reads(c.Last, v)
	}
	return !slices.ContainsFunc(deployed, func(w string) bool { return w != v && !c.Reads(w, v) })
}
