package report

import (
	"fmt"
	"io"
	"strings"
)

// GitHub writes workflow commands: annotations at the lines that changed.
// What is outside of the window is no annotation.
func GitHub(w io.Writer, r *Report) error {
	var b strings.Builder
	for _, c := range changes(r) {
		if !c.InWindow || c.Waived {
			continue
		}
		level := map[string]string{"error": "error", "warning": "warning"}[c.Severity]
		if level == "" {
			continue // ten notices of a run are shown; additions would fill them
		}
		b.WriteString("::" + level + " ")
		if at := c.at(); at != nil {
			fmt.Fprintf(&b, "file=%s,", escapeProperty(at.File))
			if at.Line > 0 {
				fmt.Fprintf(&b, "line=%d,col=%d,", at.Line, max(at.Column, 1))
			}
		}
		fmt.Fprintf(&b, "title=%s::%s\n", escapeProperty(c.Rule), escapeData(c.sentence()))
	}
	fmt.Fprintf(&b, "::notice title=skewgate compat::%s\n", escapeData(strings.TrimSpace(r.Old+" → "+r.New+": "+r.Verdict+"; "+verdictText(r))))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write github: %w", err)
	}
	return nil
}

// escapeData is how workflow commands carry a message.
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// escapeProperty is how workflow commands carry a property.
func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
