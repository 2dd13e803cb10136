package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Text writes a report for a person who has never seen the tool: who breaks,
// when, why, what to do. What is harmless is counted, not listed, unless
// opts.Verbose.
func Text(w io.Writer, r *Report, opts Options) error {
	t := &textWriter{color: opts.Colour}
	r = r.printable()
	t.head(r)
	t.table(r)
	for _, g := range groups(r, opts.Verbose) {
		t.group(g)
	}
	t.notices(r.Notices)
	t.foot(r)
	_, err := w.Write(t.Bytes())
	if err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	return nil
}

// textWriter builds the whole text first: what is printed is all or nothing.
type textWriter struct {
	bytes.Buffer
	color bool
}

func (t *textWriter) printf(format string, args ...any) { fmt.Fprintf(&t.Buffer, format, args...) }

// The colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	dim    = "2"
)

func (t *textWriter) paint(code, s string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *textWriter) head(r *Report) {
	names := r.Old + " → " + r.New
	if len(r.Versions) > 0 {
		names = strings.Join(r.Versions, ", ")
	}
	mark, code := "COMPATIBLE", green
	if r.Verdict != Compatible {
		mark, code = "INCOMPATIBLE", red
	}
	t.printf("%s  %s  %s\n", t.paint(bold, names), t.paint(code, mark), verdictText(r))
	t.ownOrders(r.OwnOrders())
	t.conflict(r)
	if text := rollbackText(r); text != "" {
		t.printf("%s\n", text)
	}
}

// verdictText says what to do with the verdict.
func verdictText(r *Report) string {
	windowed := ""
	if r.Window != "auto" {
		windowed = " in window " + r.Window
		if r.Strict {
			windowed += " (strict)"
		}
	}
	order := map[string]string{
		AnyOrder:       "any order of rollout is safe",
		ObjectsFirst:   "safe if objects are rolled out first, then workers",
		WorkersFirst:   "safe if workers are rolled out first, then objects",
		ExpandContract: "no order of rollout is safe: it takes two releases (skewgate compat plan says what goes in each)",
	}[r.Order]
	switch {
	case len(r.Versions) > 0 && r.Order == ExpandContract:
		order = "no order in which all of them are rolled out is safe: who must not meet is in the table"
	case orderedApart(r.OwnOrders()):
		order = "no one order of rollout is safe for all classes"
	}
	if windowed == "" {
		return order
	}
	return strings.TrimSpace(windowed) + "; " + order
}

func rollbackText(r *Report) string {
	newer, older, what := r.New, r.Old, "what it wrote"
	if len(r.Versions) > 0 { // which, the table says
		newer, older, what = "newer code", "older code", "all that it wrote"
	}
	switch r.Rollback {
	case RollbackUnsafe:
		return "Going back is unsafe after the first write by " + newer + ": older code cannot load " + what + "."
	case RollbackSafe:
		return "Going back is safe: " + older + " loads what " + newer + " wrote."
	default:
		return ""
	}
}

const corner = "worker ↓   object →"

// conflict says, where no order is safe, what defeats each.
func (t *textWriter) conflict(r *Report) {
	if r.Order != ExpandContract || len(r.Versions) > 0 {
		return
	}
	var objects, workers, always []*change
	type counted struct{ leg, writer, rule, path string }
	seen := make(map[counted]bool) // in another encoding it is the same change
	for i := range r.Findings {
		f := &r.Findings[i]
		key := counted{f.Leg, f.Writer, f.Rule, f.Path}
		if f.Severity != "error" && f.DefaultSeverity != "error" || seen[key] {
			continue
		}
		seen[key] = true
		c := &change{Finding: *f}
		switch {
		case f.Leg == "state" && f.Writer == "old":
			always = append(always, c)
		case f.Leg == "request" && f.Writer == "old", f.Leg == "response" && f.Writer == "new":
			objects = append(objects, c)
		case f.Leg != "state":
			workers = append(workers, c)
		}
	}
	for _, line := range []struct {
		what    string
		defeats []*change
	}{{"objects first is defeated by", objects}, {"workers first is defeated by", workers}, {"any order is defeated by, in stored state,", always}} {
		if len(line.defeats) > 0 {
			t.printf("  %s %s\n", line.what, foldedText(line.defeats))
		}
	}
}

// table shows who may meet whom, when somebody may not.
func (t *textWriter) table(r *Report) {
	name := r.name
	bad := false
	var objects []string
	cells := make(map[[2]string]bool)
	var workers []string
	for _, p := range r.Pairs {
		workers, objects = addNew(workers, p.Worker), addNew(objects, p.Object)
		cells[[2]string{p.Worker, p.Object}] = p.OK
		bad = bad || !p.OK
	}
	if !bad && len(r.Versions) == 0 {
		return
	}
	width := utf8.RuneCountInString(corner)
	for _, v := range workers {
		width = max(width, utf8.RuneCountInString(name(v)))
	}
	t.printf("\n  %-*s", width, corner)
	for _, o := range objects {
		t.printf("  %*s", max(6, utf8.RuneCountInString(name(o))), name(o))
	}
	t.printf("\n")
	for _, w := range workers {
		t.printf("  %-*s", width, name(w))
		for _, o := range objects {
			text, code := "ok", green
			if !cells[[2]string{w, o}] {
				text, code = "BREAKS", red
			}
			pad := strings.Repeat(" ", max(6, utf8.RuneCountInString(name(o)))-len(text))
			t.printf("  %s%s", pad, t.paint(code, text))
		}
		t.printf("\n")
	}
	t.states(r, name)
}

func (t *textWriter) states(r *Report, name func(string) string) {
	for _, s := range r.State {
		if !s.OK {
			t.printf("  state written by %s cannot be loaded by %s\n", name(s.Writer), name(s.Reader))
		}
	}
}

func addNew(to []string, s string) []string {
	for _, x := range to {
		if x == s {
			return to
		}
	}
	return append(to, s)
}

func (t *textWriter) group(g group) {
	if len(g.shown)+len(g.folded) == 0 {
		return
	}
	if len(g.shown) == 0 {
		t.printf("\n%s: %s (--verbose lists them)\n", t.paint(bold, strings.ToUpper(g.title[:1])+g.title[1:]), foldedText(g.folded))
		return
	}
	t.printf("\n%s\n", t.paint(bold, strings.ToUpper(g.title[:1])+g.title[1:]))
	for _, c := range g.shown {
		t.change(c)
	}
	if len(g.folded) > 0 {
		t.printf("  … and %d more: %s (--verbose lists them)\n", len(g.folded), foldedText(g.folded))
	}
}

func (t *textWriter) change(c *change) {
	code := map[string]string{"error": red, "warning": yellow}[c.Severity]
	if code == "" {
		code = dim
	}
	t.printf("  %s  %s  %s\n", t.paint(code, fmt.Sprintf("%-7s", c.Severity)), t.paint(bold, c.Rule), placeText(&c.Finding))
	t.printf("           %s\n", c.Message)
	when := "breaks:"
	if c.Severity != "error" {
		when = "when:"
	}
	t.printf("           %-8s %s%s\n", when, c.When, c.reach())
	if c.Witness != nil {
		t.printf("           %-8s %s\n", "shown:", witnessText(c.Witness))
	}
	if also := c.alsoText(); also != "" {
		t.printf("           %-8s %s\n", "also:", also)
	}
	t.printf("           %-8s %s\n", "do:", c.Fix)
	if c.Waived {
		t.printf("           %-8s %s\n", "waived:", c.Reason)
	}
}

func placeText(f *Finding) string {
	if at := f.at(); at != nil {
		return f.Path + "  " + at.String()
	}
	return f.Path
}

// reach says in which calls, for which encodings.
func (c *change) reach() string {
	text := ""
	switch {
	case c.Reached == 1 && len(c.Methods) == 1:
		text = ", in " + c.Methods[0]
	case c.Reached > len(c.Methods) && len(c.Methods) > 0:
		text = fmt.Sprintf(", in %d methods (%s, …)", c.Reached, c.Methods[0])
	case len(c.Methods) > 0:
		text = ", in " + strings.Join(c.Methods, ", ")
	}
	if len(c.encodings) > 1 || c.encodings[0] != "binary" {
		text += "; " + strings.Join(c.encodings, ", ")
	}
	return text
}

func witnessText(w *Witness) string {
	if w.Kind == Dispatch || w.Value == nil {
		return w.Outcome
	}
	value := string(w.Value)
	if len(value) > 80 {
		value = strings.ToValidUTF8(value[:80], "") + "…"
	}
	return value + "  " + w.Outcome
}

func (t *textWriter) notices(notices []Notice) {
	if len(notices) > 0 {
		t.printf("\n")
	}
	for i, n := range notices {
		if i == showWarnings && len(notices) > showWarnings+1 {
			t.printf("note: … and %d more notes\n", len(notices)-i)
			return
		}
		at := ""
		if n.File != "" {
			at = fmt.Sprintf("%s:%d: ", n.File, n.Line)
		}
		t.printf("note: %s%s\n", at, n.Message)
	}
}

func (t *textWriter) foot(r *Report) { t.printf("\n%s\n", footText(r)) }

// footText counts the changes in the window as the list shows them, and what
// was checked. Where a change has its effect on several legs, in several
// directions or encodings, it says of how many findings that is: what the JSON
// report lists.
func footText(r *Report) string {
	var errors, warnings, infos, waived, findings int
	for _, c := range changes(r) {
		switch {
		case !c.InWindow:
			continue
		case c.Waived:
			waived++
		case c.Severity == "error":
			errors++
		case c.Severity == "warning":
			warnings++
		default:
			infos++
		}
		findings += c.findings
	}
	line := fmt.Sprintf("%s, %s, %s", counts(errors, "error"), counts(warnings, "warning"), counts(infos, "info"))
	if waived > 0 {
		line += fmt.Sprintf(", %d waived", waived)
	}
	if findings > errors+warnings+infos+waived {
		line += fmt.Sprintf(" (%s, over legs, directions and encodings)", counts(findings, "finding"))
	}
	return fmt.Sprintf("%s in %s of %s.", line, counts(r.Summary.Checks, "check"), classesText(r))
}

func classesText(r *Report) string {
	if len(r.Classes) == 1 {
		if r.Classes[0].Class == "*" {
			return "all messages"
		}
		return r.Classes[0].Class
	}
	if len(r.Classes) == 2 || len(r.Classes) == 3 {
		var names []string
		for _, c := range r.Classes {
			names = append(names, c.Class)
		}
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d classes", len(r.Classes))
}
