package routing

import (
	"errors"
	"strconv"
	"strings"
)

// SegmentKind says what a segment of a template takes.
type SegmentKind int

// Kinds of segments, the more specific first: where two templates take one
// path, the first segment in which they differ decides, and the smaller kind wins.
const (
	SegmentLiteral SegmentKind = iota // exactly Literal
	SegmentID                         // {id}: any one segment, an empty one too; it names the object
	SegmentAny                        // *: any one segment that is not empty
	segmentRest                       // what ** takes
)

// Segment is one segment of a template.
type Segment struct {
	Kind    SegmentKind
	Literal string
}

// Template is a route of the mesh file.
type Template struct {
	Segments []Segment
	Rest     bool // ends with **: any further segments, none included
	HasID    bool // has {id}
}

// Errors of ParseTemplate.
var (
	errNoSlash  = errors.New("a route starts with /")
	errNotLast  = errors.New("** may only stand at the end")
	errTwoIDs   = errors.New("{id} stands twice")
	errNoMatch  = errors.New("empty, . and .. segments never match")
	errBadBytes = errors.New("a route is a path without query, fragment, escapes or spaces, of ASCII characters that a path may have")
)

// ParseTemplate reads a template: segments are literals, {id} (once), * and,
// at the end, **. It refuses what no request could match.
func ParseTemplate(s string) (Template, error) {
	var t Template
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return t, errNoSlash
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		last := i == len(parts)-1
		switch {
		case p == "**" && last:
			t.Rest = true
		case p == "**":
			return t, errNotLast
		case p == "*":
			t.Segments = append(t.Segments, Segment{Kind: SegmentAny})
		case p == "{id}" && t.HasID:
			return t, errTwoIDs
		case p == "{id}":
			t.HasID = true
			t.Segments = append(t.Segments, Segment{Kind: SegmentID})
		case strings.ContainsAny(p, "{}*"):
			return t, errors.New("segment " + strconv.Quote(p) + " is not understood; only a whole segment may be {id}, * or **")
		case p == "." || p == ".." || (p == "" && !last):
			return t, errNoMatch
		case strings.ContainsFunc(p, func(r rune) bool { return !inPath(r) }):
			return t, errBadBytes
		default:
			t.Segments = append(t.Segments, Segment{Literal: p})
		}
	}
	return t, nil
}

// inPath is RFC 3986's pchar without escapes: URL.EscapedPath, which is what
// templates meet, has nothing else as it is.
func inPath(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return true
	}
	return strings.ContainsRune("-._~!$&'(),;=:@+", r)
}

// at gives the segment at i; past the end that is what ** takes, or ok is false.
func (t Template) at(i int) (s Segment, ok bool) {
	if i < len(t.Segments) {
		return t.Segments[i], true
	}
	return Segment{Kind: segmentRest}, t.Rest
}

// Overlaps says that some path matches both templates.
func (t Template) Overlaps(o Template) bool {
	for i := range max(len(t.Segments), len(o.Segments)) {
		a, inA := t.at(i)
		b, inB := o.at(i)
		if !inA || !inB {
			return false
		}
		if !a.meets(b) {
			return false
		}
	}
	return true
}

// meets says that some segment is taken by both.
func (s Segment) meets(o Segment) bool {
	switch {
	case s.Kind == SegmentLiteral && o.Kind == SegmentLiteral:
		return s.Literal == o.Literal
	case s.Kind == SegmentLiteral:
		return s.Literal != "" || o.Kind != SegmentAny
	case o.Kind == SegmentLiteral:
		return o.meets(s)
	}
	return true
}

// Covers says that every path of o matches t too.
func (t Template) Covers(o Template) bool {
	for i := range max(len(t.Segments), len(o.Segments)) {
		a, inT := t.at(i)
		b, inO := o.at(i)
		if i == 0 && b.Kind == segmentRest {
			b.Kind = SegmentID // a path has a first segment, be it an empty one
		}
		if !inT || !inO || !a.takesAll(b) {
			return false
		}
	}
	return t.Rest || !o.Rest
}

// takesAll says that s takes every segment that o takes.
func (s Segment) takesAll(o Segment) bool {
	switch s.Kind {
	case SegmentLiteral:
		return o == s
	case SegmentAny:
		return o.Kind == SegmentAny || o.Kind == SegmentLiteral && o.Literal != ""
	case SegmentID:
		return o.Kind != segmentRest
	}
	return true
}

// Before says that paths that match both templates are t's.
func (t Template) Before(o Template) bool {
	for i := range max(len(t.Segments), len(o.Segments)) + 1 {
		a, inT := t.at(i)
		b, inO := o.at(i)
		if inT != inO {
			return !inT // the one that ends here is the more specific
		}
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
	}
	return false
}
