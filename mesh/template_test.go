package mesh

import "testing"

func TestTemplateOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b             string
		overlap, a2b, ba bool // overlap; a covers b; b covers a
	}{
		{"/c/{id}", "/c/*", true, true, true},
		{"/c/{id}", "/r/{id}", false, false, false},
		{"/c/{id}/**", "/c/{id}/admin/**", true, true, false},
		{"/c/{id}/**", "/c/{id}", true, true, false},
		{"/c/{id}", "/c/{id}/x", false, false, false},
		{"/c/{id}/x", "/c/8/{id}", true, false, false},
		{"/**", "/c/{id}", true, true, false},
		{"/c/{id}/**", "/*/x/**", true, false, false},
		{"/c/{id}/", "/c/{id}", false, false, false},
	} {
		a, err := parseTemplate(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := parseTemplate(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if a.overlaps(b) != c.overlap || b.overlaps(a) != c.overlap {
			t.Errorf("%s, %s: overlap %v and %v, want %v", c.a, c.b, a.overlaps(b), b.overlaps(a), c.overlap)
		}
		if a.covers(b) != c.a2b || b.covers(a) != c.ba {
			t.Errorf("%s, %s: covers %v and %v, want %v and %v", c.a, c.b, a.covers(b), b.covers(a), c.a2b, c.ba)
		}
	}
}
