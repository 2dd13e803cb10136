package schema

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/skewgate/skewgate/problem"
)

// ErrUnknown is wrapped by errors that say "nothing is known about this", as
// opposed to "this is wrong": a version that the registry does not have, or no
// registry to ask. A command answers with its own exit status.
var ErrUnknown = errors.New("unknown")

// unknownError wraps ErrUnknown without its word in the message.
type unknownError struct{ message string }

func (e *unknownError) Error() string { return e.message }
func (e *unknownError) Unwrap() error { return ErrUnknown }

func unknownf(format string, args ...any) error {
	return &unknownError{message: fmt.Sprintf(format, args...)}
}

// inputError is one problem about an input as a whole, as a problem.List so
// that every input problem has one form.
func inputError(file, hint, format string, args ...any) error {
	return problem.List{{File: file, Message: fmt.Sprintf(format, args...), Hint: hint}}
}

// sortProblems orders by file, line, column and words, so that parallel work
// does not show.
func sortProblems(list problem.List) {
	slices.SortStableFunc(list, func(a, b problem.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
}
