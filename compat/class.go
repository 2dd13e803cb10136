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
				return c.missing("service", name)
			}
		}
		for _, name := range c.state {
			if !has(name, true, func(v *version) bool { return v.Set.Message(name) != nil }) {
				return c.missing("message", name)
			}
		}
	}
	return nil
}

func (c *class) missing(kind string, name protoreflect.FullName) error {
	of := ""
	if c.name != string(name) {
		of = " of class " + c.name
	}
	return usageError{fmt.Sprintf("the %s %s%s is in no version", kind, name, of), "give its full name, with the package: shop.v1.Cart"}
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

// complete fills in the parts that no manifest names.
func (c *class) complete(versions []*version, opts Options) []report.Notice {
	var notices []report.Notice
	slices.Sort(c.services)
	slices.Sort(c.state)
	bound := len(c.objects) == 0
	for i, v := range versions {
		knows := c.knownBy(v)
		if _, ok := c.objects[i]; !ok && v.Object && knows && (bound || v.Set.Manifest == nil) {
			c.objects[i] = opts.profile(v.Set.Manifest)
		}
		if _, ok := c.workers[i]; !ok && v.Worker && (v.Set.Manifest == nil && knows || has(c.objects, i)) {
			c.workers[i] = opts.profile(v.Set.Manifest)
		}
	}
	if bound {
		notices = append(notices, report.Notice{Kind: report.NotChecked, Class: c.name,
			Message: c.name + " is exported by another app: judged as if its objects ran the copies that callers bind; compare with the exporter: skewgate compat matrix --worker NAME=INPUT --object NAME=INPUT"})
	}
	if c.opaque {
		notices = append(notices, report.Notice{Kind: report.NotChecked, Class: c.name,
			Message: c.name + " keeps state in a form of its own (state: opaque): state was not checked"})
	}
	return notices
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

func has(m map[int]Profile, i int) bool {
	_, ok := m[i]
	return ok
}

func (c *class) knownBy(v *version) bool {
	return slices.ContainsFunc(c.services, func(s protoreflect.FullName) bool { return v.Set.Service(s) != nil }) ||
		slices.ContainsFunc(c.state, func(s protoreflect.FullName) bool { return v.Set.Message(s) != nil })
}

// undeclared makes each service, and each state message that was asked for, a
// class of its own. State messages that not every version has are one class:
// one of them may be what another one was called.
func undeclared(versions []*version, opts Options, unchanged []schema.Unchanged) ([]*class, []report.Notice) {
	var classes []*class
	for _, name := range undeclaredServices(versions, opts, unchanged) {
		c := newClass(string(name))
		c.services = []protoreflect.FullName{name}
		classes = append(classes, c)
	}
	var strays []protoreflect.FullName
	for _, s := range opts.State {
		name := protoreflect.FullName(s)
		if !everywhere(name, versions, unchanged) {
			strays = appendNew(strays, name)
			continue
		}
		c := newClass(s)
		c.state = []protoreflect.FullName{name}
		classes = append(classes, c)
	}
	var notices []report.Notice
	if len(strays) > 0 {
		slices.Sort(strays)
		c := newClass(joinNames(strays))
		c.state = strays
		classes = append(classes, c)
		if len(strays) == 1 {
			notices = append(notices, strayNotice(strays[0], versions))
		}
	}
	for _, c := range classes {
		c.everyone(versions, opts)
	}
	return classes, notices
}

// undeclaredServices are those that were asked for, else all, unless only
// state was asked for.
func undeclaredServices(versions []*version, opts Options, unchanged []schema.Unchanged) []protoreflect.FullName {
	names := make(map[protoreflect.FullName]bool)
	for _, s := range opts.Services {
		names[protoreflect.FullName(s)] = true
	}
	if len(opts.Services) == 0 && len(opts.State) == 0 {
		for _, v := range versions {
			for _, s := range v.Set.Services() {
				names[s.FullName()] = true
			}
		}
		for _, u := range unchanged {
			if !u.Message {
				names[u.Name] = true
			}
		}
	}
	return slices.Collect(maps.Keys(names))
}

func everywhere(message protoreflect.FullName, versions []*version, unchanged []schema.Unchanged) bool {
	return slices.ContainsFunc(unchanged, func(u schema.Unchanged) bool { return u.Message && u.Name == message }) ||
		!slices.ContainsFunc(versions, func(v *version) bool { return v.Set.Message(message) == nil })
}

func joinNames(names []protoreflect.FullName) string {
	var text []string
	for _, n := range names {
		text = append(text, string(n))
	}
	return strings.Join(text, ", ")
}

// strayNotice says that a state message has nothing to be compared with.
func strayNotice(name protoreflect.FullName, versions []*version) report.Notice {
	var lack []string
	for _, v := range versions {
		if v.Set.Message(name) == nil {
			lack = append(lack, v.Name)
		}
	}
	return report.Notice{Kind: report.NotChecked, Class: string(name), Message: fmt.Sprintf(
		"%s has no message %s: if it has another name there, name both and they are compared: --state %s --state OTHER", strings.Join(lack, ", "), name, name)}
}

func (c *class) everyone(versions []*version, opts Options) {
	for i, v := range versions {
		p := opts.profile(v.Set.Manifest)
		if v.Worker {
			c.workers[i] = p
		}
		if v.Object {
			c.objects[i] = p
		}
	}
}

// everything is the class of all services and all messages.
func everything(versions []*version, opts Options, unchanged []schema.Unchanged) *class {
	c := newClass(AllMessages)
	c.messages = true
	for _, v := range versions {
		for _, s := range v.Set.Services() {
			c.services = appendNew(c.services, s.FullName())
		}
		for _, m := range v.Set.Messages() {
			c.state = append(c.state, m.FullName())
		}
	}
	for _, u := range unchanged {
		if u.Message {
			c.state = append(c.state, u.Name)
		} else {
			c.services = appendNew(c.services, u.Name)
		}
	}
	slices.Sort(c.services)
	slices.Sort(c.state)
	c.state = slices.Compact(c.state)
	c.everyone(versions, opts)
	return c
}
