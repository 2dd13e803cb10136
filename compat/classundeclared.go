package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

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
