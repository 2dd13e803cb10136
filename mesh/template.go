package mesh

import (
	"errors"
	"strconv"
	"strings"
)

// template is a route: segments, of which {id} and * match any one, and an
// optional ** at the end for the rest.
type template struct {
	segments []string // "*" for any
	rest     bool
	hasID    bool
}

func parseTemplate(s string) (template, error) {
	var t template
	if !strings.HasPrefix(s, "/") {
		return t, errors.New("a route starts with /")
	}
	if strings.ContainsAny(s, "?#% \t") {
		return t, errors.New("a route is a path without query, fragment, escapes or spaces")
	}
	parts := strings.Split(s[1:], "/")
	for i, p := range parts {
		last := i == len(parts)-1
		switch {
		case p == "**" && last:
			t.rest = true
		case p == "**":
			return t, errors.New("** may only stand at the end")
		case p == "*":
			t.segments = append(t.segments, "*")
		case p == "{id}" && t.hasID:
			return t, errors.New("{id} stands twice")
		case p == "{id}":
			t.hasID = true
			t.segments = append(t.segments, "*")
		case strings.ContainsAny(p, "{}*"):
			return t, errors.New("segment " + strconv.Quote(p) + " is not understood; only a whole segment may be {id}, * or **")
		case p == "." || p == ".." || (p == "" && !last):
			return t, errors.New("empty, . and .. segments never match")
		default:
			t.segments = append(t.segments, p)
		}
	}
	return t, nil
}

// overlaps says that some path matches both templates.
func (t template) overlaps(o template) bool {
	short, long := t, o
	if len(short.segments) > len(long.segments) {
		short, long = long, short
	}
	for i, a := range short.segments {
		if b := long.segments[i]; a != b && a != "*" && b != "*" {
			return false
		}
	}
	return len(short.segments) == len(long.segments) || short.rest
}

// covers says that every path of o matches t too.
func (t template) covers(o template) bool {
	if len(t.segments) > len(o.segments) {
		return false
	}
	for i, a := range t.segments {
		if a != "*" && a != o.segments[i] {
			return false
		}
	}
	if len(t.segments) == len(o.segments) {
		return t.rest || !o.rest
	}
	return t.rest
}

// overlaps reports templates of two classes of which neither is the more
// specific, so that a path between them would belong to both. A template that
// lies wholly inside another's is fine: the more specific one wins.
func (v *validator) overlaps() {
	type claim struct {
		class, text string
		index       int
		t           template
	}
	var claims []claim
	for _, c := range v.mesh.Classes {
		for i, r := range c.Routes {
			t, err := parseTemplate(r)
			if err != nil {
				continue
			}
			for _, other := range claims {
				if !t.overlaps(other.t) || (t.covers(other.t) != other.t.covers(t)) {
					continue
				}
				v.fail(at("classes", c.Name, "routes", strconv.Itoa(i)), "make one of them more specific",
					"route %s of %s overlaps %s of %s: some paths match both", r, c.Name, other.text, other.class)
			}
			claims = append(claims, claim{c.Name, r, i, t})
		}
	}
}
