package report

import (
	"encoding/xml"
	"fmt"
	"io"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	ClassName string        `xml:"classname,attr"`
	Name      string        `xml:"name,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      int           `xml:"line,attr,omitempty"`
	Failure   *junitFailure `xml:"failure"`
	Skipped   *junitSkipped `xml:"skipped"`
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
	suites := junitSuites{}
	all := changes(r)
	for _, class := range r.Classes {
		suite := junitSuite{Name: class.Class}
		for _, c := range all {
			if c.Class == class.Class {
				suite.Cases = append(suite.Cases, junitCaseOf(c, opts.FailOn))
			}
		}
		if len(suite.Cases) == 0 {
			suite.Cases = []junitCase{{ClassName: class.Class, Name: "compatible"}}
		}
		for _, c := range suite.Cases {
			suite.Tests++
			if c.Failure != nil {
				suite.Failures++
			}
			if c.Skipped != nil {
				suite.Skipped++
			}
		}
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

func junitCaseOf(c *change, failOn string) junitCase {
	x := junitCase{ClassName: c.Class, Name: fmt.Sprintf("%s %s (%s)", c.Rule, c.Path, c.Severity)}
	if at := c.at(); at != nil {
		x.File, x.Line = at.File, at.Line
	}
	text := c.Message + "\nalso: " + c.alsoText() + "\nbreaks: " + c.When + c.reach() + "\nfix: " + c.Fix
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
