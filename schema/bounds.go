package schema

import (
	"fmt"

	"github.com/skewgate/skewgate/problem"
)

// checkSource refuses what a compiler would take very long over, or end the
// process at: brackets nested deep, and names of very many parts, which it
// looks up in each scope that they make.
func checkSource(file string, text []byte) error {
	depth, name := 0, 0
	afterDot := false
	for l := newLexer(text); ; {
		complaint := ""
		switch l.next() {
		case tokenEOF, tokenBad:
			return nil
		case tokenWord:
			if !afterDot {
				name = 0
			}
			name += l.end - l.start
			afterDot = false
		case tokenPunct:
			switch l.text[l.start] {
			case '{', '[', '(', '<':
				depth++
			case '}', ']', ')', '>':
				depth = max(0, depth-1)
			}
			if afterDot = l.text[l.start] == '.'; afterDot {
				name++
			}
		}
		if depth > maxNesting {
			complaint = fmt.Sprintf("nested more than %d deep", maxNesting)
		}
		if name > maxNameBytes {
			complaint = fmt.Sprintf("a name of more than %d bytes", maxNameBytes)
		}
		if complaint != "" {
			line, column := linePosition(l.text, l.start)
			return problem.List{{File: file, Line: line, Column: column, Message: complaint}}
		}
	}
}
