package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/skewgate/skewgate/admin"
)

// output is how a command's answer is written: -o and -w.
type output struct {
	format string
	watch  bool
	every  time.Duration
	stream bool // several answers follow each other: JSON is one a line
}

// bind adds -o, and with watch -w.
func (o *output) bind(cmd *cobra.Command, watch bool) {
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", "table, wide, json or yaml")
	if watch {
		cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "look again and again until interrupted")
		cmd.Flags().DurationVar(&o.every, "every", 2*time.Second, "how often with --watch")
	}
}

func (o *output) valid() error {
	switch o.format {
	case "table", "wide", "json", "yaml":
		return nil
	}
	return fmt.Errorf("-o %q: use table, wide, json or yaml", o.format)
}

// show asks once, or again and again with --watch, and writes each answer.
// table writes it for people.
func show[T any](ctx context.Context, env *Env, o *output, ask func(context.Context) (T, error), table func(*page, T)) error {
	if err := o.valid(); err != nil {
		return err
	}
	o.stream = o.watch
	for seen := false; ; {
		answer, err := ask(ctx)
		switch {
		case err == nil:
			seen = true
			err = write(env, o, answer, table)
		case o.watch && ctx.Err() != nil:
			return nil // interrupted while it asked
		case o.watch && seen && errors.Is(err, admin.ErrUnreachable):
			env.Logger.Warn("no answer; looking on", "err", err)
			err = nil
		default:
			err = apiError(err)
		}
		if err != nil {
			return err
		}
		if !o.watch {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(o.every, 100*time.Millisecond)):
		}
	}
}

func write[T any](env *Env, o *output, answer T, table func(*page, T)) error {
	switch o.format {
	case "json", "yaml":
		return writeData(env, o, answer)
	}
	p := &page{wide: o.format == "wide", colour: colourful(env)}
	table(p, answer)
	text := p.String()
	if o.watch && terminal(env.Stdout) {
		text = "\x1b[H\x1b[2J" + text // home, clear
	} else if o.watch {
		text += "\n"
	}
	_, err := io.WriteString(env.Stdout, text)
	return err
}

// writeData writes an answer as the API gives it, with apiVersion and kind.
// Where several follow each other, each JSON answer is one line.
func writeData(env *Env, o *output, answer any) error {
	data, err := admin.Encode(answer)
	if err != nil {
		return err
	}
	switch {
	case o.format == "yaml":
		if data, err = yaml.JSONToYAML(data); err != nil {
			return fmt.Errorf("encode yaml: %w", err)
		}
		if o.stream {
			data = append([]byte("---\n"), data...)
		}
	case !o.stream:
		var indented any = json.RawMessage(data)
		if data, err = json.MarshalIndent(indented, "", "  "); err != nil {
			return fmt.Errorf("encode json: %w", err)
		}
		data = append(data, '\n')
	default:
		data = append(data, '\n')
	}
	_, err = env.Stdout.Write(data)
	return err
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colourful: only on a terminal, and not where NO_COLOR is set.
func colourful(env *Env) bool { return terminal(env.Stdout) && env.Getenv("NO_COLOR") == "" }

// page collects what is written for people.
type page struct {
	b      strings.Builder
	wide   bool
	colour bool
	headed bool // the table's columns are named already
}

func (p *page) String() string { return p.b.String() }

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// Colours of the terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p *page) paint(colour, s string) string {
	if !p.colour || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// column is one column of a table.
type column struct {
	name  string
	right bool                // numbers
	wide  bool                // only with -o wide
	paint func(string) string // colour of a value; may be nil
}

// left, right and their wide kin name columns.
func left(name string) column      { return column{name: name} }
func right(name string) column     { return column{name: name, right: true} }
func wideLeft(name string) column  { return column{name: name, wide: true} }
func wideRight(name string) column { return column{name: name, right: true, wide: true} }

// table writes rows below their columns, two spaces between them.
func (p *page) table(columns []column, rows [][]string) {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.name)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.name
	}
	if !p.headed {
		p.row(columns, widths, head, false)
	}
	for _, r := range rows {
		p.row(columns, widths, r, true)
	}
}

func (p *page) row(columns []column, widths []int, values []string, paint bool) {
	var line strings.Builder
	for i, c := range columns {
		if c.wide && !p.wide {
			continue
		}
		if line.Len() > 0 {
			line.WriteString("  ")
		}
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(values[i]))
		v := values[i]
		if paint && c.paint != nil && p.colour {
			v = c.paint(v)
		}
		if c.right {
			line.WriteString(pad + v)
		} else {
			line.WriteString(v + pad)
		}
	}
	p.b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// thousands writes 8112 as 8,112.
func thousands[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// age writes a duration with one unit: 0.4s, 12s, 4m, 3h, 2d.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// dash stands for an empty value.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
