package routing

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTemplatesOfTwo(t *testing.T) {
	for _, c := range []struct {
		a, b             string
		overlap, a2b, ba bool // overlap; a covers b; b covers a
	}{
		{"/c/{id}", "/c/*", true, true, false},
		{"/c/{id}", "/c/{id}", true, true, true},
		{"/c/{id}", "/r/{id}", false, false, false},
		{"/c/{id}/**", "/c/{id}/admin/**", true, true, false},
		{"/c/{id}/**", "/c/{id}", true, true, false},
		{"/c/{id}", "/c/{id}/x", false, false, false},
		{"/c/{id}/x", "/c/8/{id}", true, false, false},
		{"/**", "/c/{id}", true, true, false},
		{"/c/{id}/**", "/*/x/**", true, false, false},
		{"/c/{id}/", "/c/{id}", false, false, false},
		{"/c/{id}", "/c/", true, true, false},
		{"/c/*", "/c/", false, false, false},
	} {
		a, b := mustParse(t, c.a), mustParse(t, c.b)
		if a.Overlaps(b) != c.overlap || b.Overlaps(a) != c.overlap {
			t.Errorf("%s, %s: overlap %v and %v, want %v", c.a, c.b, a.Overlaps(b), b.Overlaps(a), c.overlap)
		}
		if a.Covers(b) != c.a2b || b.Covers(a) != c.ba {
			t.Errorf("%s, %s: covers %v and %v, want %v and %v", c.a, c.b, a.Covers(b), b.Covers(a), c.a2b, c.ba)
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "c/{id}", "/c//{id}", "/c/../{id}", "/c/./x", "/**/x", "/{id}/{id}", "/c/{name}", "/c/a*", "/c/{id}x", "/c/***",
		"/c?x={id}", "/c#x", "/c/%2F", "/c/ x", "/c/é", `/c/\`, "/c/\x00", "/c/[x]", "/c/\"",
	} {
		if got, err := ParseTemplate(s); err == nil {
			t.Errorf("%q is %+v", s, got)
		}
		if _, err := NewTable(Spec{Classes: []Class{class("C", s)}}); err == nil {
			t.Errorf("a table takes %q", s)
		}
	}
}

func mustParse(t testing.TB, s string) Template {
	t.Helper()
	got, err := ParseTemplate(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return got
}

// What templates say of each other is held to what the tree does with every
// path of up to four short segments.
var (
	someSegments = []string{"", "a", "b"}
	somePaths    = pathsOf(4)
)

func pathsOf(depth int) []string {
	paths, from := []string{""}, 0
	for range depth {
		to := len(paths)
		for _, p := range paths[from:to] {
			for _, s := range someSegments {
				paths = append(paths, p+"/"+s)
			}
		}
		from = to
	}
	return paths[1:]
}

// drawTemplate draws one of at most three segments, so that somePaths has a witness of whatever two have in common.
func drawTemplate(rt *rapid.T, name string) string {
	segs := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "{id}"}), 0, 3).Draw(rt, name)
	seen := false
	for i, s := range segs {
		if s == "{id}" && seen {
			segs[i] = "*"
		}
		seen = seen || s == "{id}"
	}
	if end := rapid.SampledFrom([]string{"**", "", "-"}).Draw(rt, name+"-end"); end != "-" || len(segs) == 0 {
		segs = append(segs, strings.TrimPrefix(end, "-"))
	}
	return "/" + strings.Join(segs, "/")
}

func taken(t testing.TB, template string) []string {
	t.Helper()
	table := mustTable(t, Spec{Classes: []Class{class("C", template)}})
	var out []string
	for _, p := range somePaths {
		if _, err := table.Match(p); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func TestTemplatesSayWhatTheTreeDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		textA, textB := drawTemplate(rt, "a"), drawTemplate(rt, "b")
		a, b := mustParse(t, textA), mustParse(t, textB)
		ofA, ofB := taken(t, textA), taken(t, textB)
		if len(ofA) == 0 {
			rt.Fatalf("%s takes no path", textA)
		}
		both := slices.DeleteFunc(slices.Clone(ofA), func(p string) bool { return !slices.Contains(ofB, p) })
		if a.Overlaps(b) != (len(both) > 0) {
			rt.Fatalf("%s and %s: overlap %v, in common %q", textA, textB, a.Overlaps(b), both)
		}
		if a.Covers(b) != (len(both) == len(ofB)) {
			rt.Fatalf("%s covers %s: %v, of %q in common %q", textA, textB, a.Covers(b), ofB, both)
		}
		if len(both) == 0 || textA == textB {
			return
		}
		if a.Before(b) == b.Before(a) {
			rt.Fatalf("%s and %s: before %v both ways", textA, textB, a.Before(b))
		}
		first := "A"
		if b.Before(a) {
			first = "B"
		}
		table := mustTable(t, Spec{Classes: []Class{class("A", textA), class("B", textB)}})
		for _, p := range both {
			if m, err := table.Match(p); err != nil || m.Class.Name != first {
				rt.Fatalf("%s of %s (A) and %s (B): %+v, %v; want %s", p, textA, textB, m, err, first)
			}
		}
	})
}

// Every path has a first segment, so {id} takes what ** takes there, and only there.
func TestCoversAtTheFirstSegment(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"/{id}/**", "/**", true},
		{"/**", "/{id}/**", true},
		{"/*/**", "/**", false},
		{"/{id}", "/**", false},
		{"/a/{id}/**", "/a/**", false},
	} {
		if got := mustParse(t, c.a).Covers(mustParse(t, c.b)); got != c.want {
			t.Errorf("%s covers %s: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// FuzzParseTemplate: whatever is accepted takes the path that is made of it,
// as a client would send it and net/http would read it.
func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"/carts/{id}/**", "/a//b", "/a?b", "/%2e", "/é/{id}", "/", "/**", "/*/{id}/", "/a;b=c/:x@y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := ParseTemplate(text)
		if err != nil {
			return
		}
		var path strings.Builder
		for _, s := range template.Segments {
			path.WriteByte('/')
			switch s.Kind {
			case SegmentID:
				path.WriteString("the-id")
			case SegmentAny:
				path.WriteString("any")
			default:
				path.WriteString(s.Literal)
			}
		}
		if path.Len() == 0 {
			path.WriteByte('/')
		}
		u, err := url.ParseRequestURI(path.String())
		if err != nil {
			t.Fatalf("%q makes %q: %v", text, path.String(), err)
		}
		m, err := mustTable(t, Spec{Classes: []Class{class("C", text)}}).Match(u.EscapedPath())
		if err != nil || m.Route != text || m.HasID != template.HasID || template.HasID && m.ID != "the-id" {
			t.Fatalf("%q does not take %q: %+v, %v", text, u.EscapedPath(), m, err)
		}
	})
}
