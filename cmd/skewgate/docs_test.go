package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate env SKEWGATE_UPDATE=1 go test . -run TestCLIDocsAreUpToDate -count=1

// docs/cli.md is what the commands say of themselves. SKEWGATE_UPDATE=1 writes it.
func TestCLIDocsAreUpToDate(t *testing.T) {
	env := &Env{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	var b bytes.Buffer
	b.WriteString("# Command line\n\nMade from the commands' own help; `skewgate COMMAND --help` says the same.\n\n" +
		"Answers go to stdout, logs and errors to stderr. Exit status: **0** yes, clean · **1** no, findings, refused, unhealthy · " +
		"**2** usage, configuration or I/O · **3** unknown: too little is known to say yes or no.\n\n" +
		"Commands that ask a mesh find its admin API by `--admin URL`, then `SKEWGATE_ADMIN`, then `http://127.0.0.1:8081`. " +
		"`-o json` and `-o yaml` give what the API answers ([openapi.yaml](../admin/openapi.yaml)); colours only on a terminal and not with `NO_COLOR`.\n\n")
	root := newRootCommand(env)
	contents(&b, root, 0)
	describe(&b, root)
	const file = "../../docs/cli.md"
	if os.Getenv("SKEWGATE_UPDATE") != "" {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("docs/cli.md is not what the commands say (%v): SKEWGATE_UPDATE=1 go test ./cmd/skewgate -run CLIDocs", err)
	}
}

func shown(c *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, s := range c.Commands() {
		if !s.Hidden && s.Name() != "help" && s.Name() != "completion" {
			out = append(out, s)
		}
	}
	return out
}

func anchor(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func contents(b *bytes.Buffer, c *cobra.Command, depth int) {
	for _, s := range shown(c) {
		fmt.Fprintf(b, "%s- [%s](#%s): %s\n", strings.Repeat("  ", depth), s.Name(), anchor(s), s.Short)
		contents(b, s, depth+1)
	}
}

func describe(b *bytes.Buffer, c *cobra.Command) {
	for _, s := range shown(c) {
		fmt.Fprintf(b, "\n## %s\n\n", s.CommandPath())
		text := s.Long
		if text == "" {
			text = strings.ToUpper(s.Short[:1]) + s.Short[1:] + "."
		}
		fmt.Fprintf(b, "```\n%s\n```\n\n%s\n", s.UseLine(), paragraphs(text))
		if s.Example != "" {
			fmt.Fprintf(b, "\n```\n%s\n```\n", dedent(s.Example))
		}
		flags(b, s.LocalFlags())
		describe(b, s)
	}
}

// paragraphs keeps indented lines (lists of words) as they are.
func paragraphs(text string) string {
	var out []string
	for p := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(p, "  ") {
			p = "```\n" + dedent(p) + "\n```"
		}
		out = append(out, p)
	}
	return strings.Join(out, "\n\n")
}

func dedent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

func flags(b *bytes.Buffer, fs *pflag.FlagSet) {
	var rows []string
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		def := f.DefValue
		if def == "" || def == "[]" || def == "false" || def == "0s" || def == "0" {
			def = ""
		} else {
			def = "`" + def + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", name, def, strings.ReplaceAll(f.Usage, "|", "\\|")))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | default | |\n|---|---|---|\n%s\n", strings.Join(rows, "\n"))
	}
}
