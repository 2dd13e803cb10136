package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/compat/report"
)

// annotation is one line of buf.
type annotation struct {
	Path    string `json:"path"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

func parse(said []byte) ([]annotation, error) {
	var all []annotation
	for d := json.NewDecoder(bytes.NewReader(said)); ; {
		var a annotation
		switch err := d.Decode(&a); {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("what buf says: %w", err)
		}
		if strings.Contains(a.Message, "imported file does not exist") { // its exit code is the same as for findings
			return nil, fmt.Errorf("buf does not compile what it is to compare: %s: %s", a.Path, a.Message)
		}
		all = append(all, a)
	}
}

// change is what a person counts once: a rule at a place.
type change struct {
	rule, path, effect string
	names              []string // by which buf may call the declaration, or what it is declared in
	files, methods     []string
}

// about says that an annotation is about the same message, enum or service:
// it names it, in a file in which it is on either side. Which of two changes of
// one message is meant it does not tell.
func (c *change) about(a annotation) bool {
	if strings.HasPrefix(a.Type, "RPC_") && slices.ContainsFunc(c.methods, func(m string) bool { return strings.Contains(a.Message, m) }) {
		return true
	}
	return slices.Contains(c.files, a.Path) && slices.ContainsFunc(c.names, func(n string) bool { return strings.Contains(a.Message, `"`+n+`"`) })
}

// count says which changes break somebody, by effect, the most frequent first,
// and how many of them buf speaks of; how many warnings there are; and of how
// many declarations only buf speaks.
func count(r *report.Report, said []annotation) (found string, warnings, onlyBuf int) {
	worst := make(map[string]int)
	byKey := make(map[string]*change)
	rank := map[string]int{"warning": 1, "error": 2}
	for _, f := range r.Findings {
		severity := f.Severity
		if f.DefaultSeverity != "" {
			severity = f.DefaultSeverity
		}
		key := f.Rule + " " + f.Path
		c := byKey[key]
		if c == nil {
			c = &change{rule: f.Rule, path: f.Path, effect: f.Effect, names: namesIn(f.Path)}
			if i := strings.LastIndexByte(f.Path, '.'); strings.HasPrefix(f.Rule, "ENUM_VALUE_") {
				c.names = append(c.names, f.Path[i+1:]) // beside its enum, not in it
			}
			byKey[key] = c
		}
		if rank[severity] > worst[key] {
			worst[key], c.effect = rank[severity], f.Effect
		}
		for _, p := range []*report.Place{f.Old, f.New} {
			if p != nil {
				c.files = append(c.files, inTree(p.File))
			}
		}
		for _, m := range f.Methods {
			service, method, _ := strings.Cut(strings.TrimPrefix(m, "/"), "/")
			c.methods = append(c.methods, fmt.Sprintf("RPC %q on service %q", method, service[strings.LastIndexByte(service, '.')+1:]))
		}
	}
	ours, both := make(map[string]int), make(map[string]int)
	matched := make(map[int]bool)
	for key, c := range byKey {
		also := false
		for i, a := range said {
			if c.about(a) {
				matched[i], also = true, true
			}
		}
		switch worst[key] {
		case rank["error"]:
			ours[c.effect]++
			if also {
				both[c.effect]++
			}
		case rank["warning"]:
			warnings++
		}
	}
	return effects(ours, both), warnings, len(said) - len(matched)
}

// inTree is a file of either tree as its own tree calls it: the older one is
// beside the directory in which both run.
func inTree(file string) string {
	if rest, ok := strings.CutPrefix(file, "../"); ok {
		_, file, _ = strings.Cut(rest, "/")
	}
	return file
}

func effects(ours, both map[string]int) string {
	var names []string
	for e := range ours {
		names = append(names, e)
	}
	slices.SortFunc(names, func(a, b string) int {
		if ours[a] != ours[b] {
			return ours[b] - ours[a]
		}
		return strings.Compare(a, b)
	})
	parts := []string{}
	for _, e := range names {
		parts = append(parts, fmt.Sprintf("%s %d (%d)", e, ours[e], both[e]))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

// namesIn are the names of a path that buf may use: it leaves the package
// away. The last part alone would be any field of that name.
func namesIn(path string) []string {
	parts := strings.Split(path, ".")
	var names []string
	for from := range parts {
		for to := from + 1; to <= len(parts); to++ {
			if from == len(parts)-1 && from > 0 {
				continue
			}
			if first := parts[from]; first != "" && first[0] >= 'A' && first[0] <= 'Z' {
				names = append(names, strings.Join(parts[from:to], "."))
			}
		}
	}
	return names
}
