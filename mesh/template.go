package mesh

import (
	"strconv"

	"github.com/skewgate/skewgate/gateway/routing"
)

// overlaps reports templates of which it would be open, or surprising, which
// one takes a path: two that cross, so that neither is the more specific, and
// one that lies inside another which takes all of its paths. A template that
// lies inside another's is fine as long as it goes first.
func (v *validator) overlaps() {
	type claim struct {
		class, text string
		t           routing.Template
	}
	var claims []claim
	for _, c := range v.mesh.Classes {
		for i, r := range c.Routes {
			t, err := routing.ParseTemplate(r)
			if err != nil {
				continue // said by reachable
			}
			here := at("classes", c.Name, "routes", strconv.Itoa(i))
			for _, other := range claims {
				inner, outer := t, other.t
				if outer.Covers(inner) == inner.Covers(outer) { // both or neither
					if outer.Overlaps(inner) {
						v.fail(here, "make one of them more specific", "route %s of %s overlaps %s of %s: some paths match both", r, c.Name, other.text, other.class)
					}
					continue
				}
				innerText, outerText := r+" of "+c.Name, other.text+" of "+other.class
				if inner.Covers(outer) {
					inner, outer, innerText, outerText = outer, inner, outerText, innerText
				}
				if !inner.Before(outer) {
					v.fail(here, "write {id} and * in the same places of both", "no request would reach route %s: %s takes all of its paths", innerText, outerText)
				}
			}
			claims = append(claims, claim{c.Name, r, t})
		}
	}
}
