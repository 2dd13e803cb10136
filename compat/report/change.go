package report

import (
	"slices"
	"strings"
)

// change is what a person counts as one thing. Findings that differ only in
// encoding, leg or direction are told once, under the most harmful.
type change struct {
	Finding
	encodings []string
	also      []*Finding // other legs and directions
	findings  int        // how many there are of it
	name      func(label string) string
}

// changes groups findings for people, in the order of the first of each.
func changes(r *Report) []*change {
	type key struct {
		rule, path, severity string
		inWindow, waived     bool
	}
	byKey := make(map[key]*change)
	var out []*change
	for i := range r.Findings {
		f := &r.Findings[i]
		k := key{f.Rule, f.Path, f.Severity, f.InWindow, f.Waived}
		c := byKey[k]
		if c == nil {
			c = &change{Finding: *f, name: r.name}
			byKey[k] = c
			out = append(out, c)
		}
		c.take(f)
	}
	return out
}

func (c *change) take(f *Finding) {
	c.findings++
	if !slices.Contains(c.encodings, f.Encoding) {
		c.encodings = append(c.encodings, f.Encoding)
	}
	sameFlow := func(x *Finding) bool { return x.Leg == f.Leg && x.Writer == f.Writer && x.Reader == f.Reader }
	if !sameFlow(&c.Finding) && !slices.ContainsFunc(c.also, sameFlow) {
		c.also = append(c.also, f)
	}
}

// alsoText says where else a change has its effect.
func (c *change) alsoText() string {
	var parts []string
	for _, f := range c.also {
		text := f.Leg + " " + c.name(f.Writer) + "→" + c.name(f.Reader)
		if f.Effect != c.Effect {
			text += " (" + f.Effect + ")"
		}
		parts = append(parts, text)
	}
	if len(parts) > maxAlso {
		parts = append(parts[:maxAlso], "…")
	}
	return strings.Join(parts, ", ")
}

// maxAlso is how many other legs and directions a person is told.
const maxAlso = 6

// harmless says that nobody needs to do anything.
func (c *change) harmless() bool { return c.Severity != "error" && c.Severity != "warning" }

// sentence says a change in one line, for annotations.
func (c *change) sentence() string {
	text := c.Message
	if also := c.alsoText(); also != "" {
		text += "; also " + also
	}
	when, do := "Breaks ", "Fix: "
	if c.Severity != "error" {
		when, do = "It is so ", "What helps: "
	}
	return text + ". " + when + c.When + ". " + do + c.Fix
}

// group is a part of a report, with what is shown of it and what is folded.
type group struct {
	title  string
	shown  []*change
	folded []*change
}

// How many changes of a part a person is shown before the rest is folded.
const (
	showErrors   = 10
	showWarnings = 3
	showOutside  = 3
)

// groups sorts changes into parts: errors, warnings, what is outside of the
// window and explains the order, what is harmless.
func groups(r *Report, verbose bool) []group {
	var errors, warnings, infos, waived, outside []*change
	for _, c := range changes(r) {
		switch {
		case !c.InWindow:
			outside = append(outside, c)
		case c.Waived:
			waived = append(waived, c)
		case c.Severity == "error":
			errors = append(errors, c)
		case c.Severity == "warning":
			warnings = append(warnings, c)
		default:
			infos = append(infos, c)
		}
	}
	outside = onlyErrors(outside, verbose)
	fold := func(title string, all []*change, n int) group {
		if verbose || len(all) <= n {
			return group{title: title, shown: all}
		}
		return foldDiverse(title, all, n)
	}
	return []group{
		fold("breaks in this window", errors, showErrors),
		fold("may matter", warnings, showWarnings),
		fold("outside of this window ("+outsideText(r, outside)+")", outside, showOutside),
		fold("waived", waived, showOutside),
		fold("harmless", infos, 0),
	}
}

// showOfRule is how many changes of one rule are shown where others are folded.
const showOfRule = 2

// foldDiverse shows n changes at most, and few of each rule: what is folded is
// then more of the same, not something that nobody has seen.
func foldDiverse(title string, all []*change, n int) group {
	g := group{title: title}
	of := make(map[string]int)
	for _, c := range all {
		if len(g.shown) < n && of[c.Rule] < showOfRule {
			of[c.Rule]++
			g.shown = append(g.shown, c)
			continue
		}
		g.folded = append(g.folded, c)
	}
	return g
}

// onlyErrors keeps what explains the order.
func onlyErrors(all []*change, verbose bool) []*change {
	if verbose {
		return all
	}
	var kept []*change
	for _, c := range all {
		if c.Severity == "error" {
			kept = append(kept, c)
		}
	}
	return kept
}

// outsideText is why a person is shown what is outside of the window: calls
// say why the order is what it is, state what going back would meet.
func outsideText(r *Report, outside []*change) string {
	if r.Window != "auto" {
		return "not a part of " + r.Window
	}
	var why []string
	for _, x := range []struct{ order, text string }{{ObjectsFirst, "why objects go first"}, {WorkersFirst, "why workers go first"}} {
		if r.Order == x.order && slices.ContainsFunc(outside, func(c *change) bool { return c.isOf(func(leg string) bool { return leg != "state" }) }) {
			why = append(why, x.text)
		}
	}
	if len(why) == 0 || slices.ContainsFunc(outside, func(c *change) bool { return c.isOf(func(leg string) bool { return leg == "state" }) }) {
		why = append(why, "going back")
	}
	return strings.Join(why, "; ")
}

// isOf says that one of a change's legs is such a one.
func (c *change) isOf(leg func(string) bool) bool {
	return leg(c.Leg) || slices.ContainsFunc(c.also, func(f *Finding) bool { return leg(f.Leg) })
}

// foldedText is "12 FIELD_ADDED, 3 ENUM_VALUE_ADDED".
func foldedText(folded []*change) string {
	counts := make(map[string]int)
	var rules []string
	for _, c := range folded {
		if counts[c.Rule] == 0 {
			rules = append(rules, c.Rule)
		}
		counts[c.Rule]++
	}
	slices.SortFunc(rules, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, rule := range rules {
		parts = append(parts, itoa(counts[rule])+" "+rule)
	}
	return strings.Join(parts, ", ")
}
