package report

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes a pull-request comment.
func Markdown(w io.Writer, r *Report, opts Options) error {
	var b strings.Builder
	mark := "✅"
	if r.Verdict != Compatible {
		mark = "❌"
	}
	fmt.Fprintf(&b, "### %s skewgate compat: %s → %s: %s\n\n%s.", mark, cell(r.Old), cell(r.New), r.Verdict, capital(verdictText(r)))
	if text := rollbackText(r); text != "" {
		b.WriteString(" " + text)
	}
	b.WriteString("\n")
	for _, g := range groups(r, opts.Verbose) {
		markdownGroup(&b, g)
	}
	for _, n := range r.Notices {
		fmt.Fprintf(&b, "\n> %s\n", cell(n.Message))
	}
	fmt.Fprintf(&b, "\n%s, %s, %s in %s.\n", counts(r.Summary.Errors, "error"), counts(r.Summary.Warnings, "warning"),
		counts(r.Summary.Infos, "info"), counts(r.Summary.Checks, "check"))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write markdown: %w", err)
	}
	return nil
}

func markdownGroup(b *strings.Builder, g group) {
	if len(g.shown)+len(g.folded) == 0 {
		return
	}
	fmt.Fprintf(b, "\n#### %s\n\n", capital(cell(g.title)))
	if len(g.shown) > 0 {
		b.WriteString("| | what | where | when | what to do |\n|---|---|---|---|---|\n")
	}
	for _, c := range g.shown {
		where := "`" + cell(c.Path) + "`"
		if at := c.at(); at != nil {
			where += "<br>" + cell(at.String())
		}
		icon := map[string]string{"error": "❌", "warning": "⚠️"}[c.Severity]
		if icon == "" {
			icon = "ℹ️"
		}
		fmt.Fprintf(b, "| %s | **%s**: %s | %s | %s%s | %s |\n", icon, c.Rule, cell(c.Message), where, cell(c.When), cell(c.reach()), cell(c.Fix))
	}
	if len(g.folded) > 0 {
		fmt.Fprintf(b, "\n%d more: %s\n", len(g.folded), foldedText(g.folded))
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// cell keeps text inside a table cell, and what a schema contains from being
// markup.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", ">", "&gt;", "`", "'", "@", "@\u200b").Replace(s)
}
