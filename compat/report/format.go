package report

import (
	"fmt"
	"io"
	"strings"
)

// Formats are the renderings of a report.
var Formats = []string{"text", "json", "sarif", "junit", "github", "gitlab", "markdown"}

// Options say how a rendering looks.
type Options struct {
	Colour  bool // text: on a terminal
	Verbose bool // text, markdown: unfold what is harmless; sarif, gitlab: list it
	FailOn  string
	Version string // of the tool, for sarif
}

// Render writes a report in one of the Formats.
func Render(w io.Writer, format string, r *Report, opts Options) error {
	switch format {
	case "text":
		return Text(w, r, opts)
	case "json":
		return JSON(w, r)
	case "sarif":
		return SARIF(w, r, opts)
	case "junit":
		return JUnit(w, r, opts)
	case "github":
		return GitHub(w, r)
	case "gitlab":
		return GitLab(w, r, opts)
	case "markdown":
		return Markdown(w, r, opts)
	default:
		return fmt.Errorf("format %q is unknown\n    → use %s", format, strings.Join(Formats, ", "))
	}
}

// at is the place that a person is sent to: the new side's where there is one.
func (f *Finding) at() *Place {
	if f.New != nil {
		return f.New
	}
	return f.Old
}

// String is file:line:column, as far as it is known.
func (p *Place) String() string {
	switch {
	case p == nil:
		return ""
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// counts is "1 error", "2 errors".
func counts(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
