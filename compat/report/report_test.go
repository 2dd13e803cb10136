package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/compat/report"
)

func render(t testing.TB, format string, r *report.Report, opts report.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Render(&b, format, r, opts); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden holds each format of one rich report to a file that a person has
// looked at; SKEWGATE_UPDATE=1 writes them anew.
func TestGolden(t *testing.T) {
	options := report.Options{FailOn: "error", Version: "v1.2.3"}
	verbose := options
	verbose.Verbose, verbose.Colour = true, true
	got := map[string]string{
		"verbose.ansi": render(t, "text", rich(), verbose), "verbose.sarif.json": render(t, "sarif", rich(), verbose),
		"verbose.gitlab.json": render(t, "gitlab", rich(), verbose), "verbose.md": render(t, "markdown", rich(), verbose),
	}
	for format, name := range map[string]string{
		"text": "report.txt", "json": "report.json", "sarif": "report.sarif.json", "junit": "report.junit.xml",
		"github": "report.github.txt", "gitlab": "report.gitlab.json", "markdown": "report.md",
	} {
		got[name] = render(t, format, rich(), options)
	}
	for name, text := range got {
		path := filepath.Join("testdata/golden", name)
		if os.Getenv("SKEWGATE_UPDATE") != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s has changed (SKEWGATE_UPDATE=1 writes it):\n%s", path, text)
		}
	}
}

// TestUnknownFormat: a word that is no format is refused with the ones there are.
func TestUnknownFormat(t *testing.T) {
	err := report.Render(&bytes.Buffer{}, "yaml", rich(), report.Options{})
	if err == nil || !strings.Contains(err.Error(), "use text, json, sarif") {
		t.Errorf("got %v", err)
	}
}

// hostile are reports whose every text is arbitrary, control characters,
// markup and bytes that are no text included.
func hostile(t *rapid.T) *report.Report {
	text := rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune("a|`%:,\n\r<>&@#[]()*_~\\\"'\x1b\x00\u202e]]>::€")), 0, 60, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(1, 20_000), func(n int) string { return strings.Repeat("<&>|", n/4+1) }),
	)
	r := rich()
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Path, f.Message, f.Fix, f.When, f.Reason = text.Draw(t, "path"), text.Draw(t, "message"), text.Draw(t, "fix"), text.Draw(t, "when"), text.Draw(t, "reason")
		if f.New != nil {
			f.New = &report.Place{File: text.Draw(t, "file"), Line: f.New.Line, Column: f.New.Column}
		}
		if f.Witness != nil {
			f.Witness.Outcome = text.Draw(t, "outcome")
		}
	}
	r.Old, r.New = text.Draw(t, "old"), text.Draw(t, "new")
	r.Notices = append(r.Notices, report.Notice{Kind: report.NotChecked, Message: text.Draw(t, "notice"), File: text.Draw(t, "file")})
	return r
}

// TestTextCannotPaint: nothing that a schema's author writes reaches the
// terminal as anything but characters on their line.
func TestTextCannotPaint(t *testing.T) {
	lines := len(strings.Split(render(t, "text", rich(), report.Options{Verbose: true}), "\n"))
	rapid.Check(t, func(rt *rapid.T) {
		text := render(t, "text", hostile(rt), report.Options{Verbose: true})
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == '\u202e' }) {
			rt.Fatalf("control characters in %q", text)
		}
		if got := len(strings.Split(text, "\n")); got > lines+12 { // changes that were one may now be several
			rt.Fatalf("%d lines, not %d:\n%s", got, lines, text)
		}
	})
}

// TestJSONFormatsAreJSON: whatever the texts hold, json, sarif and gitlab can
// be parsed, and sarif fits its schema.
func TestJSONFormatsAreJSON(t *testing.T) {
	schema := sarifSchema(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := hostile(rt)
		for _, format := range []string{"json", "sarif", "gitlab"} {
			var doc any
			text := render(t, format, r, report.Options{Verbose: true})
			if err := json.Unmarshal([]byte(text), &doc); err != nil {
				rt.Fatalf("%s: %v\n%s", format, err, text)
			}
			if format == "sarif" {
				if err := schema.Validate(doc); err != nil {
					rt.Fatalf("%v\n%s", err, text)
				}
			}
		}
	})
}

// TestJSONReadsBack: the contract loses nothing that it has.
func TestJSONReadsBack(t *testing.T) {
	var back report.Report
	text := render(t, "json", rich(), report.Options{})
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		t.Fatal(err)
	}
	if again := render(t, "json", &back, report.Options{}); again != text {
		t.Errorf("read back and written again it is\n%s\nnot\n%s", again, text)
	}
}

// TestFoldsOnOneScreen: thousands of harmless additions are one line.
func TestFoldsOnOneScreen(t *testing.T) {
	for severity, most := range map[string]int{"info": 24, "warning": 50} {
		text := render(t, "text", many(5000, severity), report.Options{})
		if n := strings.Count(text, "\n"); n > most {
			t.Errorf("%d lines for 5000 of severity %s:\n%s", n, severity, text)
		}
		if !strings.Contains(text, "--verbose lists them") {
			t.Errorf("does not say how to see them:\n%s", text)
		}
	}
}

// TestFoldShowsEachRule: where many are folded, one of each rule is seen
// before a third of the same.
func TestFoldShowsEachRule(t *testing.T) {
	r := many(40, "error")
	for i := range r.Findings {
		r.Findings[i].Rule = []string{"FIELD_RENUMBERED", "METHOD_REMOVED", "SERVICE_REMOVED"}[i/20+i/39]
	}
	text := render(t, "text", r, report.Options{})
	for _, rule := range []string{"error    FIELD_RENUMBERED", "error    METHOD_REMOVED", "error    SERVICE_REMOVED"} {
		if n := strings.Count(text, rule); n < 1 || n > 2 {
			t.Errorf("%s is shown %d times:\n%s", rule, n, text)
		}
	}
	if !strings.Contains(text, "and 35 more: 18 FIELD_RENUMBERED, 17 METHOD_REMOVED (--verbose lists them)") {
		t.Errorf("the rest is not counted:\n%s", text)
	}
}

// TestMatrixWords: what is said of two versions is not said of many.
func TestMatrixWords(t *testing.T) {
	r := rich()
	r.Versions, r.Old, r.New = []string{"web1", "cart1", "room1"}, "web1", "room1"
	for rollback, want := range map[string]string{
		report.RollbackUnsafe: "Going back is unsafe after the first write by newer code: older code cannot load all that it wrote.",
		report.RollbackSafe:   "Going back is safe: older code loads what newer code wrote.",
	} {
		r.Rollback = rollback
		text := render(t, "text", r, report.Options{})
		if !strings.Contains(text, want) || strings.Contains(text, "compat plan") || !strings.Contains(text, "who must not meet is in the table") {
			t.Errorf("%s:\n%s", rollback, text)
		}
	}
}
