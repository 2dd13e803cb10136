package compat_test

import (
	"os"
	"strings"
	"testing"
)

const knownFile = readers + "/known.txt"

// knownRow is one way in which a runtime is known to read one fixture's
// messages other than the specification says.
type knownRow struct {
	line, seen int
	key        string
}

type knownRows []*knownRow

// readKnown parses what known.txt says of a runtime. Each deviation is a line
// "RUNTIME: what it does", a line "source: where that is said", and a line
// "FIXTURE WAY ENCODING... HOW" for each fixture that shows it.
func readKnown(t *testing.T, runtime string) knownRows {
	t.Helper()
	data, err := os.ReadFile(knownFile)
	if err != nil {
		t.Fatal(err)
	}
	var rows knownRows
	of, sourced := "", false
	for n, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			name, _, ok := strings.Cut(line, ": ")
			if !ok {
				t.Fatalf("%s:%d: want RUNTIME: what it does, not %q", knownFile, n+1, line)
			}
			of, sourced = name, false
		case words[0] == "source:":
			sourced = strings.Contains(line, "https://")
		case !sourced:
			t.Fatalf("%s:%d: a deviation without a source", knownFile, n+1)
		case len(words) < 4:
			t.Fatalf("%s:%d: want FIXTURE WAY ENCODING... HOW, not %q", knownFile, n+1, line)
		case of == runtime:
			for _, encoding := range words[2 : len(words)-1] {
				rows = append(rows, &knownRow{line: n + 1, key: strings.Join([]string{words[0], words[1], encoding, words[len(words)-1]}, " ")})
			}
		}
	}
	return rows
}

// find gives the row that says so.
func (k knownRows) find(x *exchange, theirs string) *knownRow {
	key := x.id() + " " + deviation(x.ours, theirs)
	for _, row := range k {
		if row.key == key {
			return row
		}
	}
	return nil
}

// deviation says how their answer is not ours.
func deviation(ours, theirs string) string {
	switch {
	case strings.HasPrefix(theirs, refused):
		return "refuses"
	case strings.HasPrefix(ours, refused):
		return "accepts"
	default:
		return "differs"
	}
}
