package report_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/compat/report"
)

// junitShape is what the XSDs that are in use (Ant's, Jenkins's, Surefire's)
// agree on: which elements an element may have, in which order, and which
// attributes it must and may have.
var junitShape = map[string]struct {
	children       []string
	must, optional []string
}{
	"testsuites": {[]string{"testsuite"}, nil, []string{"name", "tests", "failures", "errors", "skipped", "time"}},
	"testsuite":  {[]string{"properties", "testcase", "system-out", "system-err"}, []string{"name", "tests", "failures", "errors", "time"}, []string{"skipped"}},
	"testcase":   {[]string{"skipped", "error", "failure", "system-out", "system-err"}, []string{"name", "classname", "time"}, []string{"file", "line"}},
	"failure":    {nil, []string{"message", "type"}, nil},
	"skipped":    {nil, nil, []string{"message"}},
	"system-out": {nil, nil, nil},
}

// junitFault says what in a document is not of that shape.
func junitFault(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	type open struct {
		name string
		last int // which of its children came last
	}
	stack := []open{{"", 0}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch x := token.(type) {
		case xml.StartElement:
			parent := &stack[len(stack)-1]
			shape, known := junitShape[x.Name.Local]
			at := 0
			if parent.name != "" {
				at = slices.Index(junitShape[parent.name].children, x.Name.Local)
			}
			if !known || at < parent.last {
				return fmt.Errorf("<%s> in <%s> is not allowed there", x.Name.Local, parent.name)
			}
			parent.last = at
			var have []string
			for _, a := range x.Attr {
				have = append(have, a.Name.Local)
				if !slices.Contains(shape.must, a.Name.Local) && !slices.Contains(shape.optional, a.Name.Local) {
					return fmt.Errorf("<%s> has no attribute %s", x.Name.Local, a.Name.Local)
				}
			}
			for _, name := range shape.must {
				if !slices.Contains(have, name) {
					return fmt.Errorf("<%s> needs the attribute %s", x.Name.Local, name)
				}
			}
			stack = append(stack, open{x.Name.Local, 0})
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

// TestJUnitShape: whatever the texts hold, the document is well-formed, has
// the shape that readers expect, and its counts are those of its elements.
func TestJUnitShape(t *testing.T) {
	check := func(text string) error {
		if err := junitFault(text); err != nil {
			return err
		}
		var doc struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Suites   []struct {
				Tests    int `xml:"tests,attr"`
				Failures int `xml:"failures,attr"`
				Cases    []struct {
					Failure *struct{} `xml:"failure"`
				} `xml:"testcase"`
			} `xml:"testsuite"`
		}
		if err := xml.Unmarshal([]byte(text), &doc); err != nil {
			return err
		}
		tests, failures := 0, 0
		for _, s := range doc.Suites {
			failed := 0
			for _, c := range s.Cases {
				if c.Failure != nil {
					failed++
				}
			}
			if s.Tests != len(s.Cases) || s.Failures != failed {
				return fmt.Errorf("a suite says %d tests and %d failures, and has %d and %d", s.Tests, s.Failures, len(s.Cases), failed)
			}
			tests, failures = tests+s.Tests, failures+failed
		}
		if doc.Tests != tests || doc.Failures != failures || tests == 0 {
			return fmt.Errorf("the document says %d and %d, its suites have %d and %d", doc.Tests, doc.Failures, tests, failures)
		}
		return nil
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := render(t, "junit", hostile(rt), report.Options{FailOn: rapid.SampledFrom([]string{"error", "warning"}).Draw(rt, "failOn")})
		if err := check(text); err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
	})
}

// TestJUnitFaultsAreSeen is the negative control of the shape.
func TestJUnitFaultsAreSeen(t *testing.T) {
	good := render(t, "junit", rich(), report.Options{FailOn: "error"})
	for name, change := range map[string][2]string{
		"an element that is none":     {"<failure ", "<fail "},
		"an attribute that is none":   {"classname=", "class="},
		"a suite without a count":     {` tests="7"`, ``},
		"not well-formed":             {"</testsuites>", "</testsuite>"},
		"a failure after the console": {"<testcase ", "<system-out></system-out><testcase "},
	} {
		bad := strings.ReplaceAll(good, change[0], change[1])
		if bad == good {
			t.Fatalf("%s: %q is not in the report", name, change[0])
		}
		if junitFault(bad) == nil {
			t.Errorf("%s is not seen", name)
		}
	}
}

// TestJUnitFailsAsTheCheckDoes: there is a failure exactly when the exit
// status says so.
func TestJUnitFailsAsTheCheckDoes(t *testing.T) {
	onlyWarnings := rich()
	onlyWarnings.Findings = onlyWarnings.Findings[4:6]
	for _, r := range []*report.Report{rich(), onlyWarnings, many(5, "info")} {
		for _, failOn := range []string{"error", "warning"} {
			if got := strings.Contains(render(t, "junit", r, report.Options{FailOn: failOn}), "<failure"); got != r.Fails(failOn) {
				t.Errorf("failOn %s: a failure is %t, the check fails %t", failOn, got, r.Fails(failOn))
			}
		}
	}
}

// command is a workflow command as GitHub's runner parses it.
var command = regexp.MustCompile(`^::(error|warning|notice) ([^\n]*?)::([^\n]*)$`)

// unescape is the runner's own: the properties' last, % after all others.
func unescape(s string) string {
	return strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",").Replace(s)
}

// TestGitHubCommands: whatever the texts hold, each finding is one command on
// one line, and the runner reads the properties and the message that were meant.
func TestGitHubCommands(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := hostile(rt)
		text := strings.TrimSuffix(render(t, "github", r, report.Options{}), "\n")
		for _, line := range strings.Split(text, "\n") {
			m := command.FindStringSubmatch(line)
			if m == nil {
				rt.Fatalf("no command: %q", line)
			}
			properties := make(map[string]string)
			for _, p := range strings.Split(m[2], ",") {
				name, value, ok := strings.Cut(p, "=")
				if !ok || !slices.Contains([]string{"file", "line", "col", "title"}, name) {
					rt.Fatalf("no property: %q in %q", p, line)
				}
				properties[name] = unescape(value)
			}
			if m[1] == "notice" {
				continue
			}
			known := slices.ContainsFunc(r.Findings, func(f report.Finding) bool {
				at := f.New
				if at == nil {
					at = f.Old
				}
				return f.Rule == properties["title"] && strings.HasPrefix(unescape(m[3]), f.Message) && (at == nil || at.File == properties["file"])
			})
			if !known {
				rt.Fatalf("%q is read as %q, %q: no finding", line, properties, unescape(m[3]))
			}
		}
	})
}

// TestGitLabFields: each entry has what GitLab needs, a severity it knows, and
// a fingerprint of its own that does not depend on the line.
func TestGitLabFields(t *testing.T) {
	read := func(r *report.Report, verbose bool) map[string]string {
		var entries []struct {
			Description, Fingerprint, Severity string
			CheckName                          string `json:"check_name"`
			Location                           struct {
				Path  string
				Lines struct{ Begin int }
			}
		}
		if err := json.Unmarshal([]byte(render(t, "gitlab", r, report.Options{Verbose: verbose})), &entries); err != nil {
			t.Fatal(err)
		}
		prints := make(map[string]string)
		for _, e := range entries {
			if e.Description == "" || e.CheckName == "" || e.Location.Path == "" || e.Location.Lines.Begin < 1 {
				t.Errorf("something is missing: %+v", e)
			}
			if !slices.Contains([]string{"info", "minor", "major", "critical", "blocker"}, e.Severity) {
				t.Errorf("severity %q is not GitLab's", e.Severity)
			}
			if other := prints[e.Fingerprint]; other != "" || e.Fingerprint == "" {
				t.Errorf("%s has the fingerprint of %s", e.CheckName, other)
			}
			prints[e.Fingerprint] = e.CheckName
		}
		return prints
	}
	before := read(rich(), false)
	moved := rich()
	for i := range moved.Findings {
		if moved.Findings[i].New != nil {
			moved.Findings[i].New.Line += 100
		}
	}
	if after := read(moved, false); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("fingerprints move with the lines: %v, %v", before, after)
	}
	if len(before) != 3 || len(read(rich(), true)) != 5 {
		t.Errorf("%d entries, %d when verbose", len(before), len(read(rich(), true)))
	}
}

// TestMarkdownFitsAComment: GitHub takes 65,536 characters, and refuses the
// whole comment that has more.
func TestMarkdownFitsAComment(t *testing.T) {
	long := many(5000, "error")
	for i := range long.Findings {
		long.Findings[i].Message = strings.Repeat("|_`", 2000)
	}
	for name, r := range map[string]*report.Report{"long": long, "warnings": many(5000, "warning"), "infos": many(9000, "info")} {
		text := render(t, "markdown", r, report.Options{Verbose: true})
		if n := utf8.RuneCountInString(text); n >= 65_536 || !strings.Contains(text, " more: ") {
			t.Errorf("%s: %d characters; what is left out is counted: %t", name, n, strings.Contains(text, " more: "))
		}
	}
}

// TestMarkdownTables: whatever the texts hold, each row has its five cells and
// nothing in it is a mention, a link or HTML.
func TestMarkdownTables(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := render(t, "markdown", hostile(rt), report.Options{Verbose: true})
		if utf8.RuneCountInString(text) >= 65_536 {
			rt.Fatalf("%d characters", utf8.RuneCountInString(text))
		}
		for _, line := range strings.Split(text, "\n") {
			if !strings.HasPrefix(line, "| ") {
				continue
			}
			if n := len(regexp.MustCompile(`(^|[^\\])(\\\\)*\|`).FindAllString(line, -1)); n != 6 {
				rt.Fatalf("%d cells: %q", n-1, line)
			}
			plain := strings.ReplaceAll(line, "<br>", "")
			outside := regexp.MustCompile("`[^`]*`").ReplaceAllString(strings.ReplaceAll(plain, "\\`", ""), "")
			if strings.ContainsAny(outside, "<>") || regexp.MustCompile(`@[^\x{200b}]|://|(^|[^\\])\]\(`).MatchString(outside) {
				rt.Fatalf("markup in %q", outside)
			}
		}
	})
}
