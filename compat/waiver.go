package compat

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/problem"
	"github.com/skewgate/skewgate/schema"
)

// waive marks the findings that a manifest excuses. A waiver changes the exit
// status, never what is true: ok, order and verdict stay. What is expired or
// excuses nothing is told.
func waive(findings []report.Finding, m *schema.Manifest, now time.Time) []report.Notice {
	if m == nil {
		return nil
	}
	var notices []report.Notice
	for _, w := range m.Compat.Waivers {
		expired := !w.Expires.IsZero() && !now.Before(w.Expires)
		used := false
		for i := range findings {
			f := &findings[i]
			if f.Rule != w.Rule || f.Path != w.Path {
				continue
			}
			used = true
			if !expired {
				f.Waived, f.Reason = true, w.Reason
			}
		}
		name := w.Rule + " " + w.Path
		switch {
		case expired:
			notices = append(notices, report.Notice{Kind: report.WaiverExpired, File: m.File, Line: w.Line,
				Message: fmt.Sprintf("the waiver for %s expired on %s; %s", name, w.Expires.Format(time.DateOnly), expiredHint(used))})
		case !used:
			notices = append(notices, report.Notice{Kind: report.WaiverUnused, File: m.File, Line: w.Line,
				Message: fmt.Sprintf("the waiver for %s excuses nothing; %s", name, unusedHint(w, findings))})
		}
	}
	return notices
}

func expiredHint(used bool) string {
	if used {
		return "what it excused counts again: make the change safe, or give a new day and reason"
	}
	return "it excuses nothing; remove it"
}

// unusedHint tells a waiver that is no longer needed from one that never fit.
func unusedHint(w schema.Waiver, findings []report.Finding) string {
	if strings.Contains(w.Rule+w.Path, "*") {
		return "a waiver is for one rule and one path, as a finding shows them: there are no wildcards"
	}
	var ids, names []string
	for _, r := range Rules() {
		ids = append(ids, r.ID)
	}
	if !slices.Contains(ids, w.Rule) {
		hint := "there is no such rule"
		if near := problem.Nearest(w.Rule, ids); near != "" {
			hint += ": did you mean " + near + "?"
		}
		return hint
	}
	path := protoreflect.FullName(w.Path)
	for i := range findings {
		if found := protoreflect.FullName(findings[i].Path); findings[i].Rule == w.Rule && found.Parent() == path.Parent() {
			names = append(names, string(found.Name()))
		}
	}
	if near := problem.Nearest(string(path.Name()), names); near != "" {
		return "did you mean " + string(path.Parent().Append(protoreflect.Name(near))) + "? If not, remove it"
	}
	return "remove it"
}
