// Package problem is how skewgate tells a person what is wrong with a file
// that they wrote: what, where, and what to do next. Problems are collected,
// not thrown one at a time.
package problem

import (
	"fmt"
	"strings"
	"unicode"
)

// Problem is one thing wrong at one place. Line and Column are 1-based; 0 is unknown.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do next
}

// String gives file:line:col: message (hint). Names come from whoever wrote the
// file, who must not be able to add lines (to a CI log, where one that starts
// with :: is a command) or to move the terminal's cursor.
func (p Problem) String() string {
	p.File, p.Message, p.Hint = printable(p.File), printable(p.Message), printable(p.Hint)
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
			if p.Column > 0 {
				fmt.Fprintf(&b, ":%d", p.Column)
			}
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("\n    → " + p.Hint)
	}
	return b.String()
}

// printable makes white space spaces, and what is not to be seen U+FFFD.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// List is an error made of at least one problem.
type List []Problem

// Error gives one problem a line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil for an empty list.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}
