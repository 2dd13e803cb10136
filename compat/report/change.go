package report

import (
	"slices"
	"strings"
)

// change is what a person counts as one thing: findings that differ only in
// their encoding are told once.
type change struct {
	Finding
	encodings []string
}

// changes groups findings for people, in the order of the first of each.
func changes(findings []Finding) []*change {
	type key struct{ rule, path, leg, writer, reader, severity, effect string }
	byKey := make(map[key]*change)
	var out []*change
	for _, f := range findings {
		k := key{f.Rule, f.Path, f.Leg, f.Writer, f.Reader, f.Severity, f.Effect}
		c := byKey[k]
		if c == nil {
			c = &change{Finding: f}
			byKey[k] = c
			out = append(out, c)
		}
		if !slices.Contains(c.encodings, f.Encoding) {
			c.encodings = append(c.encodings, f.Encoding)
		}
	}
	return out
}

// group is a part of a report, with what is shown of it and what is folded.
type group struct {
	title  string
	shown  []*change
	folded []*change
}

// How many changes of a part a person is shown before the rest is folded.
const (
	showErrors   = 20
	showWarnings = 5
	showOutside  = 3
)

// groups sorts changes into parts: errors, warnings, what is outside of the
// window and explains the order, what is harmless.
func groups(r *Report, verbose bool) []group {
	var errors, warnings, infos, waived, outside []*change
	for _, c := range changes(r.Findings) {
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
	fold := func(title string, all []*change, n int) group {
		if verbose || len(all) <= n {
			return group{title: title, shown: all}
		}
		return group{title: title, shown: all[:n], folded: all[n:]}
	}
	return []group{
		fold("breaks in this window", errors, showErrors),
		fold("may matter", warnings, showWarnings),
		fold("outside of this window ("+outsideText(r)+")", onlyErrors(outside, verbose), showOutside),
		fold("waived", waived, showOutside),
		fold("harmless", infos, 0),
	}
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

func outsideText(r *Report) string {
	switch {
	case r.Window == "auto" && r.Order == ObjectsFirst:
		return "why objects go first"
	case r.Window == "auto" && r.Order == WorkersFirst:
		return "why workers go first"
	case r.Window == "auto":
		return "going back"
	default:
		return "not a part of " + r.Window
	}
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
