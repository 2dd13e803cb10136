package problem_test

import (
	"testing"

	"github.com/skewgate/skewgate/problem"
)

// A file's name is its author's: it must not add lines to a log.
func TestAProblemIsOneLineAndItsHintAnother(t *testing.T) {
	p := problem.Problem{File: "a\n::error::b\x1b[31m.proto", Line: 1, Column: 2, Message: "x\r\ny\u202e", Hint: "do\nit"}
	want := "a ::error::b\uFFFD[31m.proto:1:2: x  y\uFFFD\n    → do it"
	if got := p.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
