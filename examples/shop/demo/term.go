package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal prints for people: headings, facts, commands as one would type them.
type terminal struct {
	out    io.Writer
	colour bool
}

func newTerm(f *os.File) terminal {
	return terminal{out: f, colour: term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
)

func (t terminal) paint(code, text string) string {
	if !t.colour {
		return text
	}
	return code + text + "\x1b[0m"
}

func (t terminal) heading(text string) {
	fmt.Fprintf(t.out, "\n%s\n", t.paint(bold, "── "+text+" "+strings.Repeat("─", max(0, 74-len([]rune(text))))))
}

func (t terminal) say(format string, args ...any) {
	fmt.Fprintln(t.out, "  "+fmt.Sprintf(format, args...))
}

func (t terminal) command(line string) { fmt.Fprintln(t.out, "  "+t.paint(bold, "$ "+line)) }

func (t terminal) output(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprint(t.out, "    "+line)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		fmt.Fprintln(t.out)
	}
}
