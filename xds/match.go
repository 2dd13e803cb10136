package xds

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/gateway/routing"
)

// Match is one shape of request of a class, for clients that match in order.
type Match struct {
	Class     string
	Route     string // the service or template
	Service   bool   // Pattern is a prefix of the path; else an RE2 expression over all of it
	Pattern   string
	IDPattern string // RE2 over path and query whose first group is the id; "" where the path has none
}

// Matches lists services first, then templates, the more specific first: the
// order in which a gateway's Table looks.
func Matches(classes []routing.Class) []Match {
	type ranked struct {
		Match
		rank string
	}
	var services []Match
	var templates []ranked
	for _, c := range classes {
		for _, s := range c.Services {
			services = append(services, Match{Class: c.Name, Route: s, Service: true, Pattern: "/" + s + "/"})
		}
		for _, t := range c.Routes {
			pattern, id, rank, err := templatePattern(t)
			if err != nil {
				continue // the mesh file's reader and NewTable refuse it and say why
			}
			templates = append(templates, ranked{Match{Class: c.Name, Route: t, Pattern: pattern, IDPattern: id}, rank})
		}
	}
	slices.SortStableFunc(templates, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	for _, t := range templates {
		services = append(services, t.Match)
	}
	return services
}

// templatePattern gives a template as an expression over the path, one that
// captures the id, and a rank: the smaller in text order, the more specific.
func templatePattern(template string) (pattern, id, rank string, err error) {
	t, err := routing.ParseTemplate(template)
	if err != nil {
		return "", "", "", err
	}
	var p, r strings.Builder
	for _, seg := range t.Segments {
		switch seg.Kind {
		case routing.SegmentAny:
			p.WriteString("/[^/]+")
			r.WriteByte('3')
		case routing.SegmentID:
			id = "^" + p.String() + "/([^/?]*).*$"
			p.WriteString("/[^/]*")
			r.WriteByte('2')
		default:
			p.WriteString("/" + regexp.QuoteMeta(seg.Literal))
			r.WriteByte('1')
		}
	}
	if t.Rest {
		p.WriteString("(/.*)?")
		r.WriteByte('4')
	}
	return p.String(), id, r.String(), nil
}
