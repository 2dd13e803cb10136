package compat

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
)

// A state message that was given another name, or another package, is still
// what old objects have stored. So what one version persists is paired with
// what the other does by name first, and then, where no name is left in doubt,
// across names; fields are compared as they are anywhere.

// stateNames are what a version persists of a class: what its manifest says,
// and where that says nothing what any version's does. What the version does
// not declare is not among them.
func (j *judge) stateNames(c *class, version int) []protoreflect.FullName {
	names, ok := c.ownState[version]
	if !ok {
		names = c.state
	}
	return slices.DeleteFunc(slices.Clone(names), func(name protoreflect.FullName) bool {
		return j.versions[version].Set.Message(name) == nil && (j.pair == nil || !j.pair.UnchangedMessage(name))
	})
}

// stateRoots pairs what the writer persists with what the reader loads. What
// has no partner is a fact of its own.
func (j *judge) stateRoots(fl flow) []root {
	writes, reads := j.stateNames(fl.class, fl.writer), j.stateNames(fl.class, fl.reader)
	renamed := j.renamedState(fl)
	var roots []root
	for _, name := range writes {
		peer := name
		if !slices.Contains(reads, name) {
			peer = renamed[name]
		}
		switch {
		case peer == "":
			roots = append(roots, root{facts: []*fact{{kind: stateMissing, w: j.versions[fl.writer].Set.Message(name)}}})
		case peer == name && j.pair != nil && j.pair.UnchangedMessage(name):
			j.checks++
		default:
			roots = append(roots, root{w: j.versions[fl.writer].Set.Message(name), r: j.versions[fl.reader].Set.Message(peer)})
		}
	}
	return roots
}

// renamedState pairs the writer's names that the reader lacks with the
// reader's names that the writer lacks. It is the same both ways: what old
// calls new, new calls old.
func (j *judge) renamedState(fl flow) map[protoreflect.FullName]protoreflect.FullName {
	first, second := min(fl.writer, fl.reader), max(fl.writer, fl.reader)
	before, after := j.stateNames(fl.class, first), j.stateNames(fl.class, second)
	p := renames{gone: without(before, after), come: without(after, before), names: make(map[protoreflect.FullName]protoreflect.FullName)}
	p.moved(j.movedPackages(fl.class, first, second))
	p.sameName()
	p.onlyOne()
	j.noteRenames(fl.class, first, second, p.names)
	if fl.writer == first {
		return p.names
	}
	back := make(map[protoreflect.FullName]protoreflect.FullName)
	for from, to := range p.names {
		back[to] = from
	}
	return back
}

func without(names, others []protoreflect.FullName) []protoreflect.FullName {
	return slices.DeleteFunc(slices.Clone(names), func(n protoreflect.FullName) bool { return slices.Contains(others, n) })
}

// renames are pairs of names, and those that are not paired yet.
type renames struct {
	gone, come []protoreflect.FullName
	names      map[protoreflect.FullName]protoreflect.FullName
}

func (p *renames) pair(from, to protoreflect.FullName) {
	p.names[from] = to
	p.gone = without(p.gone, []protoreflect.FullName{from})
	p.come = without(p.come, []protoreflect.FullName{to})
}

// moved pairs what went where a service of the class went.
func (p *renames) moved(packages map[string]string) {
	for _, from := range slices.Clone(p.gone) {
		for pkg, to := range packages {
			if rest, ok := strings.CutPrefix(string(from), pkg); ok && slices.Contains(p.come, protoreflect.FullName(to+rest)) {
				p.pair(from, protoreflect.FullName(to+rest))
				break
			}
		}
	}
}

// sameName pairs what has a name of its own on either side, the package aside.
func (p *renames) sameName() {
	for _, from := range slices.Clone(p.gone) {
		like := func(n protoreflect.FullName) bool { return n.Name() == from.Name() }
		if to := one(p.come, like); to != "" && one(p.gone, like) != "" {
			p.pair(from, to)
		}
	}
}

// one is the only name that is like this, or none.
func one(names []protoreflect.FullName, like func(protoreflect.FullName) bool) protoreflect.FullName {
	i := slices.IndexFunc(names, like)
	if i < 0 || slices.ContainsFunc(names[i+1:], like) {
		return ""
	}
	return names[i]
}

// onlyOne pairs the last that is gone with the only one that came.
func (p *renames) onlyOne() {
	if len(p.gone) == 1 && len(p.come) == 1 {
		p.pair(p.gone[0], p.come[0])
	}
}

// movedPackages tells into which package each service of the class went that
// the older version has and the newer one has elsewhere; packages end with a
// dot.
func (j *judge) movedPackages(c *class, first, second int) map[string]string {
	known := func(version int) []protoreflect.FullName {
		return slices.DeleteFunc(slices.Clone(c.services), func(name protoreflect.FullName) bool {
			return j.versions[version].Set.Service(name) == nil && (j.pair == nil || !j.pair.UnchangedService(name))
		})
	}
	before, after := known(first), known(second)
	p := renames{gone: without(before, after), come: without(after, before), names: make(map[protoreflect.FullName]protoreflect.FullName)}
	p.sameName()
	moved := make(map[string]string)
	for from, to := range p.names {
		pkg, dest := packagePrefix(from), packagePrefix(to)
		if other, twice := moved[pkg]; twice && other != dest {
			dest = "" // a package that was split says nothing
		}
		moved[pkg] = dest
	}
	for pkg, dest := range moved {
		if pkg == "" || dest == "" {
			delete(moved, pkg)
		}
	}
	return moved
}

// packagePrefix is the package of a service with the dot after it.
func packagePrefix(service protoreflect.FullName) string {
	return strings.TrimSuffix(string(service), string(service.Name()))
}

// noteRenames tells what is compared across names, once for each pair of
// versions.
func (j *judge) noteRenames(c *class, first, second int, names map[protoreflect.FullName]protoreflect.FullName) {
	for from, to := range names {
		j.renames[report.Notice{Kind: report.StateRenamed, Class: c.name, Message: fmt.Sprintf(
			"state %s of %s is %s in %s: compared as one message that was renamed", from, j.versions[first].Name, to, j.versions[second].Name)}] = true
	}
}

// renameNotices tells which state messages are compared across names.
func (j *judge) renameNotices() []report.Notice {
	var out []report.Notice
	for n := range j.renames {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b report.Notice) int { return strings.Compare(a.Class+a.Message, b.Class+b.Message) })
	return out
}
