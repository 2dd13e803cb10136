// Package problem is how skewgate tells a person what is wrong with a file
// that they wrote: what, where, and what to do next. Problems are collected,
// not thrown one at a time.
package problem

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong at one place. Line and Column are 1-based; 0 is unknown.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do next
}

// String gives file:line:col: message (hint).
func (p Problem) String() string {
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
