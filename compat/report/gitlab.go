package report

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
)

type gitlabIssue struct {
	Description string         `json:"description"`
	CheckName   string         `json:"check_name"`
	Fingerprint string         `json:"fingerprint"`
	Severity    string         `json:"severity"` // info, minor, major, critical, blocker
	Location    gitlabLocation `json:"location"`
}

type gitlabLocation struct {
	Path  string      `json:"path"`
	Lines gitlabLines `json:"lines"`
}

type gitlabLines struct {
	Begin int `json:"begin"`
}

// GitLab writes a code quality report. What is harmless is in it when
// opts.Verbose: a merge request lists each entry.
func GitLab(w io.Writer, r *Report, opts Options) error {
	issues := []gitlabIssue{}
	for _, c := range changes(r) {
		if !c.InWindow || c.Waived || c.harmless() && !opts.Verbose {
			continue
		}
		severity := map[string]string{"error": "critical", "warning": "minor"}[c.Severity]
		if severity == "" {
			severity = "info"
		}
		at := c.at()
		if at == nil {
			at = &Place{File: "."} // GitLab needs a path
		}
		issues = append(issues, gitlabIssue{
			Description: c.sentence(),
			CheckName:   c.Rule, Fingerprint: fingerprint(&c.Finding), Severity: severity,
			Location: gitlabLocation{Path: at.File, Lines: gitlabLines{Begin: max(at.Line, 1)}},
		})
	}
	return JSON(w, issues)
}

// fingerprint tells a finding from others for as long as it stays, wherever
// its line moves.
func fingerprint(f *Finding) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Rule, f.Path, f.Severity}, "\x00")))
	return hex.EncodeToString(sum[:16])
}
