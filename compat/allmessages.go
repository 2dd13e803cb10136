package compat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
)

// With --all-messages there is no class to say what belongs together. A
// message is compared with its namesake, and where that is gone with the only
// one of the same name that came in another package: a library's v1 that
// became v2. What has neither is told, not guessed.

// messages pairs every message that the writer has with the reader's.
func (j *judge) messages(fl flow) []root {
	moved := j.movedMessages(fl)
	var roots []root
	for _, name := range fl.class.state {
		if j.pair != nil && j.pair.UnchangedMessage(name) {
			j.checks++
			continue
		}
		peer := name
		if to := moved[name]; to != "" {
			peer = to
		}
		w, r := j.versions[fl.writer].Set.Message(name), j.versions[fl.reader].Set.Message(peer)
		if w != nil && r != nil {
			roots = append(roots, root{w: w, r: r})
		}
	}
	return roots
}

// movedMessages tells of the writer's messages which have another package at
// the reader's. It is the same both ways, and found once.
func (j *judge) movedMessages(fl flow) map[protoreflect.FullName]protoreflect.FullName {
	first, second := min(fl.writer, fl.reader), max(fl.writer, fl.reader)
	both, ok := j.moved[[2]int{first, second}]
	if !ok {
		both = j.pairMoved(fl.class, first, second)
		j.moved[[2]int{first, second}] = both
	}
	if fl.writer > fl.reader {
		return both[1]
	}
	return both[0]
}

// pairMoved pairs messages across packages, there and back, and tells what was
// paired and what was not.
func (j *judge) pairMoved(c *class, first, second int) [2]map[protoreflect.FullName]protoreflect.FullName {
	gone, come := j.only(c, first, second), j.only(c, second, first)
	there, back := make(map[protoreflect.FullName]protoreflect.FullName), make(map[protoreflect.FullName]protoreflect.FullName)
	packages := make(map[[2]protoreflect.FullName]int)
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		from, to := gone[name], come[name]
		if len(from) == 1 && len(to) == 1 {
			there[from[0].FullName()], back[to[0].FullName()] = to[0].FullName(), from[0].FullName()
			packages[[2]protoreflect.FullName{from[0].ParentFile().Package(), to[0].ParentFile().Package()}]++
			delete(gone, name)
			delete(come, name)
		}
	}
	for p, n := range packages {
		j.renames[report.Notice{Kind: report.StateRenamed, Class: c.name, Message: fmt.Sprintf(
			"%s of package %s of %s are compared with those of the same name in %s of %s",
			messagesText(n), p[0], j.versions[first].Name, p[1], j.versions[second].Name)}] = true
	}
	j.noteUnpaired(c, gone, first, second)
	j.noteUnpaired(c, come, second, first)
	return [2]map[protoreflect.FullName]protoreflect.FullName{there, back}
}

func messagesText(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// only lists the messages that one version has and another has not, by their
// names without the package.
func (j *judge) only(c *class, has, lacks int) map[string][]protoreflect.MessageDescriptor {
	out := make(map[string][]protoreflect.MessageDescriptor)
	for _, name := range c.state {
		md := j.versions[has].Set.Message(name)
		if md == nil || j.versions[lacks].Set.Message(name) != nil || j.pair != nil && j.pair.UnchangedMessage(name) {
			continue
		}
		local := strings.TrimPrefix(string(name), string(md.ParentFile().Package())+".")
		out[local] = append(out[local], md)
	}
	return out
}

// fewUnpaired is how many messages a note names.
const fewUnpaired = 5

// noteUnpaired tells which messages there was nothing to compare with.
func (j *judge) noteUnpaired(c *class, left map[string][]protoreflect.MessageDescriptor, has, lacks int) {
	var names []string
	for _, of := range left {
		for _, md := range of {
			names = append(names, string(md.FullName()))
		}
	}
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, cmp.Compare)
	text := strings.Join(names[:min(len(names), fewUnpaired)], ", ")
	if more := len(names) - fewUnpaired; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	j.renames[report.Notice{Kind: report.NotChecked, Class: c.name, Message: fmt.Sprintf(
		"not compared: %s of %s, which %s has under no such name: %s", messagesText(len(names)), j.versions[has].Name, j.versions[lacks].Name, text)}] = true
}
