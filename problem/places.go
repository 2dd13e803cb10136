package problem

import "strings"

type position struct{ line, column int }

// Places says where the keys of a decoded YAML file stand, for checks that
// come after decoding. The zero value knows no place.
type Places struct {
	file string
	at   map[string]position
}

const placeSeparator = "\x00"

func placeKey(path []string) string { return strings.Join(path, placeSeparator) }

// At makes a problem at the key with this path, one string a level; an index
// in a list is its decimal number from 0. A key that is not in the file (it
// was left out, which may be what is wrong) is placed at its nearest parent.
func (p Places) At(message, hint string, path ...string) Problem {
	for n := len(path); n > 0; n-- {
		if pos, ok := p.at[placeKey(path[:n])]; ok {
			return Problem{File: p.file, Line: pos.line, Column: pos.column, Message: message, Hint: hint}
		}
	}
	return Problem{File: p.file, Message: message, Hint: hint}
}

// Has tells whether the key stands in the file, whatever its value.
func (p Places) Has(path ...string) bool {
	_, ok := p.at[placeKey(path)]
	return ok
}
