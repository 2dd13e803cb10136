package compat

import (
	"fmt"
	"time"

	"github.com/skewgate/skewgate/compat/report"
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
				Message: fmt.Sprintf("the waiver for %s expired on %s", name, w.Expires.Format(time.DateOnly))})
		case !used:
			notices = append(notices, report.Notice{Kind: report.WaiverUnused, File: m.File, Line: w.Line,
				Message: fmt.Sprintf("the waiver for %s excuses nothing; remove it", name)})
		}
	}
	return notices
}
