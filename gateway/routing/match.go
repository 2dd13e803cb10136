package routing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Match is what the path of a request says.
type Match struct {
	Class  *Class
	ID     string // decoded; "" when the path names none, see HasID
	HasID  bool   // the path's template names the id
	Method string // "/pkg.Service/Method" of an RPC, else ""
	Route  string // the template that matched, or the service; few different values, fit for a label
}

// Errors of Match.
var (
	ErrNoRoute = errors.New("no class serves this path")
	ErrBadPath = errors.New("malformed path")
)

// Match finds the class that serves an escaped path (URL.EscapedPath).
//
// RPC services come first, by their full name. Of the templates the most
// specific one wins, segment by segment: a literal before {id} before *, and
// all of these before **. An encoded slash does not end a segment. A path with
// a dot segment, plain or encoded, is refused: gateway and host could disagree
// about the object that it names.
func (t *Table) Match(escapedPath string) (Match, error) {
	if !strings.HasPrefix(escapedPath, "/") {
		return Match{}, fmt.Errorf("%w: %q", ErrBadPath, escapedPath)
	}
	if service, method, ok := strings.Cut(escapedPath[1:], "/"); ok {
		if c := t.services[service]; c != nil && method != "" && !strings.ContainsAny(method, "/%") {
			return Match{Class: c, Method: escapedPath, Route: service}, nil
		}
	}
	if hasDotSegment(escapedPath) {
		return Match{}, fmt.Errorf("%w: %q has a dot segment", ErrBadPath, escapedPath)
	}
	leaf, rawID := t.routes.find(escapedPath[1:], "")
	if leaf == nil {
		return Match{}, fmt.Errorf("%w; %s", ErrNoRoute, t.served())
	}
	m := Match{Class: leaf.class, Route: leaf.template, HasID: leaf.hasID}
	if !leaf.hasID {
		return m, nil
	}
	id, err := url.PathUnescape(rawID)
	if err != nil {
		return Match{}, fmt.Errorf("%w: %w", ErrBadPath, err)
	}
	m.ID = id
	return m, nil
}

// servedShown is how many services and routes an error names.
const servedShown = 8

// served says what there is, for whom it is not.
func (t *Table) served() string {
	var all []string
	for i := range t.spec.Classes {
		all = append(append(all, t.spec.Classes[i].Services...), t.spec.Classes[i].Routes...)
	}
	if len(all) == 0 {
		return "no class has a service or a route"
	}
	more := ""
	if n := len(all) - servedShown; n > 0 {
		all, more = all[:servedShown], fmt.Sprintf(" and %d more", n)
	}
	return "served are " + strings.Join(all, ", ") + more
}

// node is one segment of the routes' tree.
type node struct {
	literal map[string]*node
	id      *node // {id}
	any     *node // *
	rest    *leaf // ** : zero or more further segments
	end     *leaf // the path ends here
}

type leaf struct {
	class    *Class
	template string
	hasID    bool
}

// find walks the tree with backtracking; depth is bounded by the templates' length.
func (n *node) find(path, id string) (*leaf, string) {
	seg, rest, more := strings.Cut(path, "/")
	if lit := n.literal[seg]; lit != nil {
		if l, got := lit.step(rest, more, id); l != nil {
			return l, got
		}
	}
	if n.id != nil {
		if l, got := n.id.step(rest, more, seg); l != nil {
			return l, got
		}
	}
	if n.any != nil && seg != "" {
		if l, got := n.any.step(rest, more, id); l != nil {
			return l, got
		}
	}
	return n.rest, id
}

func (n *node) step(rest string, more bool, id string) (*leaf, string) {
	if more {
		return n.find(rest, id)
	}
	if n.end != nil {
		return n.end, id
	}
	return n.rest, id
}

// add puts a template into the tree.
func (n *node) add(template string, c *Class) error {
	t, err := ParseTemplate(template)
	if err != nil {
		return fmt.Errorf("route %q of %s: %w", template, c.Name, err)
	}
	l := &leaf{class: c, template: template, hasID: t.HasID}
	for _, seg := range t.Segments {
		switch seg.Kind {
		case SegmentID:
			n = child(&n.id)
		case SegmentAny:
			n = child(&n.any)
		default:
			if n.literal == nil {
				n.literal = map[string]*node{}
			}
			next := n.literal[seg.Literal]
			n.literal[seg.Literal] = child(&next)
			n = next
		}
	}
	if t.Rest {
		return set(&n.rest, l)
	}
	return set(&n.end, l)
}

func child(n **node) *node {
	if *n == nil {
		*n = &node{}
	}
	return *n
}

func set(at **leaf, l *leaf) error {
	if *at != nil {
		return fmt.Errorf("route %q of %s is the same as %q of %s", l.template, l.class.Name, (*at).template, (*at).class.Name)
	}
	*at = l
	return nil
}

// hasDotSegment finds ".", ".." and their encoded forms as whole segments, and
// encoded or plain backslashes, which some hosts take for slashes.
func hasDotSegment(p string) bool {
	for seg := range strings.SplitSeq(p, "/") {
		if strings.ContainsRune(seg, '\\') || containsFold(seg, "%5c") {
			return true
		}
		if len(seg) > 6 || seg == "" {
			continue
		}
		s := strings.ReplaceAll(strings.ReplaceAll(seg, "%2e", "."), "%2E", ".")
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}
