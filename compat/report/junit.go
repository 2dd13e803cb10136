package report

import (
	"encoding/xml"
	"fmt"
	"io"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"` // always 0: an error of the check itself has no report
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	ClassName string        `xml:"classname,attr"`
	Name      string        `xml:"name,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      int           `xml:"line,attr,omitempty"`
	Time      string        `xml:"time,attr"`
	Skipped   *junitSkipped `xml:"skipped"`
	Failure   *junitFailure `xml:"failure"`
	Output    string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// JUnit writes a suite for each class. A finding that counts for the exit
// status is a failure; one that is waived, or outside of the window, is
// skipped; a class without a finding has one case that passes.
func JUnit(w io.Writer, r *Report, opts Options) error {
	byClass := make(map[string][]junitCase)
	for _, c := range changes(r) {
		byClass[c.Class] = append(byClass[c.Class], junitCaseOf(c, opts.FailOn))
	}
	suites := junitSuites{}
	for _, class := range r.Classes {
		cases := byClass[class.Class]
		if len(cases) == 0 {
			cases = []junitCase{{ClassName: class.Class, Name: "compatible", Time: noTime}}
		}
		suite := junitSuite{Name: class.Class, Tests: len(cases), Time: noTime, Cases: cases}
		for _, c := range cases {
			if c.Failure != nil {
				suite.Failures++
			}
			if c.Skipped != nil {
				suite.Skipped++
			}
		}
		suites.Tests += suite.Tests
		suites.Failures += suite.Failures
		suites.Suites = append(suites.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write junit: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suites); err != nil {
		return fmt.Errorf("write junit: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// noTime is what readers of JUnit want to have: a report has no durations, so
// that the same check gives the same bytes.
const noTime = "0"

func junitCaseOf(c *change, failOn string) junitCase {
	x := junitCase{ClassName: c.Class, Time: noTime, Name: fmt.Sprintf("%s %s (%s)", c.Rule, c.Path, c.Severity)}
	if at := c.at(); at != nil {
		x.File, x.Line = at.File, at.Line
	}
	text := c.Message
	if also := c.alsoText(); also != "" {
		text += "\nalso: " + also
	}
	text += "\nbreaks: " + c.When + c.reach() + "\nfix: " + c.Fix
	switch {
	case c.Waived:
		x.Skipped = &junitSkipped{Message: "waived: " + c.Reason}
	case !c.InWindow:
		x.Skipped = &junitSkipped{Message: "outside of the window: " + c.Message}
	case c.Severity == "error" || c.Severity == failOn:
		x.Failure = &junitFailure{Message: c.Message, Type: c.Effect, Text: text}
	default:
		x.Output = text
	}
	return x
}
