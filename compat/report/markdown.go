package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// commentLimit is what a comment may have: GitHub takes 65,536 characters.
// What is left is for the end.
const commentLimit = 45_000

// Markdown writes a pull-request comment. What does not fit into one is
// counted.
func Markdown(w io.Writer, r *Report, opts Options) error {
	var b strings.Builder
	mark := "✅"
	if r.Verdict != Compatible {
		mark = "❌"
	}
	names := cell(r.Old) + " → " + cell(r.New)
	if len(r.Versions) > 0 {
		names = cell(strings.Join(r.Versions, ", "))
	}
	fmt.Fprintf(&b, "### %s skewgate compat: %s: %s\n\n%s.", mark, short(names), r.Verdict, capital(verdictText(r)))
	if text := rollbackText(r); text != "" {
		b.WriteString(" " + short(cell(text)))
	}
	b.WriteString("\n")
	for _, g := range groups(r, opts.Verbose) {
		markdownGroup(&b, g)
	}
	for i, n := range r.Notices {
		if b.Len() > commentLimit || i == showWarnings && len(r.Notices) > showWarnings+1 {
			fmt.Fprintf(&b, "\n> … and %d more notes\n", len(r.Notices)-i)
			break
		}
		at := ""
		if n.File != "" {
			at = fmt.Sprintf("%s:%d: ", n.File, n.Line)
		}
		fmt.Fprintf(&b, "\n> %s\n", short(cell(at+n.Message)))
	}
	fmt.Fprintf(&b, "\n%s\n", short(cell(footText(r))))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write markdown: %w", err)
	}
	return nil
}

func markdownGroup(b *strings.Builder, g group) {
	if len(g.shown)+len(g.folded) == 0 {
		return
	}
	fmt.Fprintf(b, "\n#### %s\n", capital(cell(g.title)))
	if len(g.shown) > 0 {
		b.WriteString("\n| | what | where | when | what to do |\n|---|---|---|---|---|\n")
	}
	folded := g.folded
	for i, c := range g.shown {
		if b.Len() > commentLimit {
			folded = slices.Concat(g.shown[i:], g.folded)
			break
		}
		b.WriteString(markdownRow(c))
	}
	if len(folded) > 0 {
		fmt.Fprintf(b, "\n%d more: %s\n", len(folded), foldedText(folded))
	}
}

func markdownRow(c *change) string {
	where := code(c.Path)
	if at := c.at(); at != nil {
		where += "<br>" + short(cell(at.String()))
	}
	icon := map[string]string{"error": "❌", "warning": "⚠️"}[c.Severity]
	if icon == "" {
		icon = "ℹ️"
	}
	do := c.Fix
	if c.Waived {
		do = "waived: " + c.Reason
	}
	return fmt.Sprintf("| %s | **%s**: %s | %s | %s%s | %s |\n", icon, c.Rule,
		short(cell(c.Message)), where, short(cell(c.When)), short(cell(c.reach())), short(cell(do)))
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// cellLimit bounds one cell: names may be as long as their author likes.
const cellLimit = 1000

// short cuts a text that is longer than a cell may be, not inside of what
// stands for one character.
func short(s string) string {
	if len(s) <= cellLimit {
		return s
	}
	cut := strings.ToValidUTF8(s[:cellLimit], "")
	if i := strings.LastIndexAny(cut, "\\& "); i > cellLimit/2 {
		cut = cut[:i]
	}
	return cut + "…"
}

// code is a name as code, inside a table's cell, where there is no escape for
// backticks and backslashes.
func code(s string) string {
	s = strings.NewReplacer("|", `\|`, "`", "'", `\`, "＼").Replace(clean(s))
	if s == "" {
		return ""
	}
	return "`" + short(s) + "`"
}

// cell keeps text inside a table's cell, and what a schema contains from being
// markup, a mention or a link.
func cell(s string) string {
	var b strings.Builder
	before := ' '
	s = clean(s)
	for i, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@' || r == '#' || r == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteRune(r)
			b.WriteString("\u200b") // no mention, no issue, no link
		case strings.ContainsRune("\\`*[]|~", r), r == '_' && !(isWord(before) && isWord(after(s, i))):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// after is the character behind the one at i, of one byte.
func after(s string, i int) rune {
	r, _ := utf8.DecodeRuneInString(s[i+1:])
	return r
}
