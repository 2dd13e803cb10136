package compat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// Version is one deployed version, and which part it plays: its workers call
// objects, its objects are called, or both.
type Version struct {
	Name   string // as reports call it
	App    string // empty: its manifest's
	Set    *schema.Set
	Worker bool
	Object bool
}

// version is a Version prepared for checking; its index is its age, the
// oldest first.
type version struct {
	Version
	universe    *universe
	rolledOutAs string // the app whose versions it is older or newer than; empty: not known
}

// class is one class over all versions. A version that is missing from
// workers does not call it; one that is missing from objects does not run it.
type class struct {
	name      string
	encodings []Encoding
	services  []protoreflect.FullName
	state     []protoreflect.FullName         // of all versions
	ownState  map[int][]protoreflect.FullName // of those whose manifest lists any
	messages  bool                            // every message is request, response and state
	opaque    bool
	workers   map[int]Profile
	objects   map[int]Profile
}

func newClass(name string) *class {
	return &class{name: name, ownState: make(map[int][]protoreflect.FullName), workers: make(map[int]Profile), objects: make(map[int]Profile)}
}

// AllMessages is the class that --all-messages makes of an input.
const AllMessages = "*"

// classesOf says what is to be checked: what manifests export and bind, or
// without any each service as a class of its own.
func classesOf(versions []*version, opts Options, unchanged func() []schema.Unchanged) ([]*class, []report.Notice, error) {
	var classes []*class
	var notices []report.Notice
	switch {
	case opts.AllMessages:
		classes = []*class{everything(versions, opts, unchanged())}
	case hasManifest(versions) && len(opts.Services) == 0 && len(opts.State) == 0:
		classes, notices = declared(versions, opts)
	default:
		classes, notices = undeclared(versions, opts, unchanged())
	}
	classes, err := opts.selected(classes)
	if err != nil {
		return nil, nil, err
	}
	if !opts.matrix { // of many versions some may not know a class
		if err := exist(classes, versions, unchanged()); err != nil {
			return nil, nil, err
		}
	}
	if len(classes) == 0 {
		return nil, nil, usageError{"nothing to check: the input has no service", "--state MESSAGE checks a message, --all-messages every message"}
	}
	if opts.ahead && !slices.ContainsFunc(classes, (*class).meets) {
		return nil, nil, usageError{"nothing to check: no class has both a version that calls it and one that runs its objects, or state",
			"who calls: --worker NAME=INPUT; who runs objects: --object NAME=INPUT; both: NAME=INPUT"}
	}
	slices.SortFunc(classes, func(a, b *class) int { return cmp.Compare(a.name, b.name) })
	notices = slices.DeleteFunc(notices, func(n report.Notice) bool { // of a class that was not asked for
		return !slices.ContainsFunc(classes, func(c *class) bool { return c.name == n.Class })
	})
	return classes, notices, nil
}

func hasManifest(versions []*version) bool {
	return slices.ContainsFunc(versions, func(v *version) bool {
		m := v.Set.Manifest
		return m != nil && len(m.Exports)+len(m.Binds) > 0
	})
}

// exist refuses classes whose services or messages no version has: to find
// nothing in what is not there would say that all is well.
func exist(classes []*class, versions []*version, unchanged []schema.Unchanged) error {
	has := func(name protoreflect.FullName, message bool, in func(v *version) bool) bool {
		return slices.ContainsFunc(unchanged, func(u schema.Unchanged) bool { return u.Name == name && u.Message == message }) || slices.ContainsFunc(versions, in)
	}
	for _, c := range classes {
		for _, name := range c.services {
			if !has(name, false, func(v *version) bool { return v.Set.Service(name) != nil }) {
				return c.missing("service", name, names(versions, (*schema.Set).ServiceNames))
			}
		}
		for _, name := range c.state {
			if !has(name, true, func(v *version) bool { return v.Set.Message(name) != nil }) {
				return c.missing("message", name, names(versions, (*schema.Set).MessageNames))
			}
		}
	}
	return nil
}

func (c *class) missing(kind string, name protoreflect.FullName, known []string) error {
	of := ""
	if c.name != string(name) {
		of = " of class " + c.name
	}
	return usageError{fmt.Sprintf("the %s %s%s is in no version", kind, name, of), instead(kind, string(name), known)}
}

// selected are the classes that were asked for.
func (o Options) selected(classes []*class) ([]*class, error) {
	if len(o.Classes) == 0 {
		return classes, nil
	}
	byName := make(map[string]*class)
	for _, c := range classes {
		byName[c.name] = c
	}
	var kept []*class
	for _, name := range o.Classes {
		c := byName[name]
		if c == nil {
			return nil, usageError{fmt.Sprintf("no class %q", name), "classes of this input: " + strings.Join(slices.Sorted(maps.Keys(byName)), ", ")}
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// declared makes the classes that manifests name. Callers of an exporting
// version are taken to use its copy of the schema unless a version binds the
// class itself; a class that no version exports is judged by the copies of
// those that bind it.
func declared(versions []*version, opts Options) ([]*class, []report.Notice) {
	classes := make(map[string]*class)
	get := func(name string) *class {
		if classes[name] == nil {
			classes[name] = newClass(name)
		}
		return classes[name]
	}
	for i, v := range versions {
		m := v.Set.Manifest
		if m == nil {
			continue
		}
		for name, x := range m.Exports {
			c := get(name)
			c.take(x)
			for _, s := range x.State {
				c.ownState[i] = appendNew(c.ownState[i], protoreflect.FullName(s))
			}
			if v.Object {
				c.objects[i] = opts.profile(m)
			}
		}
		for name, b := range m.Binds {
			c := get(name)
			c.take(b)
			if v.Worker {
				c.workers[i] = opts.profile(m)
			}
		}
	}
	var notices []report.Notice
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		notices = append(notices, classes[name].complete(versions, opts)...)
	}
	return slices.Collect(maps.Values(classes)), notices
}

func (c *class) take(x schema.Class) {
	for _, s := range x.Services {
		c.services = appendNew(c.services, protoreflect.FullName(s))
	}
	for _, s := range x.State {
		c.state = appendNew(c.state, protoreflect.FullName(s))
	}
	for _, e := range x.Encodings {
		c.encodings = appendNew(c.encodings, Encoding(e))
	}
	c.opaque = c.opaque || x.Opaque
}

func appendNew[T comparable](to []T, x T) []T {
	if slices.Contains(to, x) {
		return to
	}
	return append(to, x)
}

// meets says that versions of the class meet at all.
func (c *class) meets() bool {
	return len(c.objects) > 0 && (len(c.workers) > 0 || len(c.state) > 0)
}

// complete fills in the parts that no manifest names.
func (c *class) complete(versions []*version, opts Options) []report.Notice {
	var notices []report.Notice
	slices.Sort(c.services)
	slices.Sort(c.state)
	bound := len(c.objects) == 0
	lines := c.exporters(versions)
	for i, v := range versions {
		m := v.Set.Manifest
		knows := c.knownBy(v)
		without := opts.ahead && !bound && !has(c.objects, i) && v.Object && lines[v.rolledOutAs] && !bindsClass(m, c.name)
		if without && m != nil {
			notices = append(notices, report.Notice{Kind: report.NotChecked, Class: c.name, Message: fmt.Sprintf(
				"the manifest of %s does not export %s: what %s declares of it was compared as if it did; once only %s is left, nobody runs %s", v.Name, c.name, v.Name, v.Name, c.name)})
		}
		if !has(c.objects, i) && v.Object && (knows && (bound || m == nil) || without) {
			c.objects[i] = opts.profile(m)
		}
		if !has(c.workers, i) && v.Worker && (m == nil && knows || has(c.objects, i)) {
			c.workers[i] = opts.profile(m)
		}
	}
	switch {
	case len(c.objects) == 0:
		notices = append(notices, report.Notice{Kind: report.NotChecked, Class: c.name,
			Message: c.name + " was not checked: no version here runs its objects; give the one that does: --object NAME=INPUT"})
	case bound:
		notices = append(notices, report.Notice{Kind: report.NotChecked, Class: c.name,
			Message: c.name + " is exported by another app: judged as if its objects ran the copies that callers bind; compare with the exporter: skewgate compat matrix --worker NAME=INPUT --object NAME=INPUT"})
	}
	if c.opaque {
		notices = append(notices, report.Notice{Kind: report.NotChecked, Class: c.name,
			Message: c.name + " keeps state in a form of its own (state: opaque): state was not checked"})
	}
	return notices
}

// exporters are the apps whose versions run the class. An older or newer
// version of such an app is taken to run it too: that it does not export the
// class must not hide what callers and stored state will meet there.
func (c *class) exporters(versions []*version) map[string]bool {
	apps := make(map[string]bool)
	for i := range c.objects {
		apps[versions[i].rolledOutAs] = true
	}
	return apps
}

// linear says that workers and objects are versions of one thing, so that
// "newer" compares them.
func (c *class) linear() bool {
	for i := range c.workers {
		if !has(c.objects, i) {
			return false
		}
	}
	return len(c.workers) == len(c.objects)
}

func bindsClass(m *schema.Manifest, class string) bool {
	if m == nil {
		return false
	}
	_, ok := m.Binds[class]
	return ok
}

func has(m map[int]Profile, i int) bool {
	_, ok := m[i]
	return ok
}

func (c *class) knownBy(v *version) bool {
	return slices.ContainsFunc(c.services, func(s protoreflect.FullName) bool { return v.Set.Service(s) != nil }) ||
		slices.ContainsFunc(c.state, func(s protoreflect.FullName) bool { return v.Set.Message(s) != nil })
}
