package compat

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// exampleHead makes a file of a rule's example: implicit presence, as proto3
// has it, so that an example says only what it is about.
const exampleHead = "edition = \"2023\";\npackage example;\noption features.field_presence = IMPLICIT;\n"

// ExampleSource is the file of one side of an example.
func ExampleSource(body string) string {
	if strings.HasPrefix(body, "import ") {
		imports, rest, _ := strings.Cut(body, "\n")
		return "edition = \"2023\";\npackage example;\n" + imports + "\noption features.field_presence = IMPLICIT;\n\n" + rest + "\n"
	}
	return exampleHead + "\n" + body + "\n"
}

// Explanation is what a person wants to know about a rule.
type Explanation struct {
	Rule     Rule
	Old, New string // proto files
	Verdicts []Verdict
	Finding  report.Finding // the most harmful that the example gives
}

// Verdict is what the example's message did, executed, on one leg.
type Verdict struct {
	Leg      Leg
	Encoding Encoding
	OldToNew Outcome
	NewToOld Outcome
}

// Outcome is an effect with its severity; nothing of both: ok.
type Outcome struct {
	Effect   Effect
	Severity Severity
}

func (o Outcome) String() string {
	if o.Effect == "" {
		return "ok"
	}
	return fmt.Sprintf("%s (%s)", o.Effect, o.Severity)
}

// Explain runs a rule's example and says what came of it.
func Explain(ctx context.Context, id string) (*Explanation, error) {
	rules := Rules()
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("there is no rule %s", id)
	}
	x := &Explanation{Rule: rules[i], Old: ExampleSource(rules[i].Example.Old), New: ExampleSource(rules[i].Example.New)}
	return x, x.run(ctx)
}

// exampleOptions checks everything that an example has, in every encoding.
func exampleOptions(r Rule) Options {
	opts := Options{Encodings: []Encoding{Binary, JSON, Lenient}, AllMessages: true}
	if r.kind == stateMissing {
		opts.AllMessages, opts.State = false, []string{"example.M", "example.N"}
	}
	return opts
}

func (x *Explanation) run(ctx context.Context) error {
	opts := exampleOptions(x.Rule)
	load := schema.Options{Want: opts.Want}
	pair, err := schema.LoadPair(ctx, schema.Sources(x.Rule.Example.Files(x.Rule.Example.Old)), schema.Sources(x.Rule.Example.Files(x.Rule.Example.New)), load)
	if err != nil {
		return fmt.Errorf("example of %s: %w", x.Rule.ID, err)
	}
	r, err := Check(ctx, Request{Pair: pair, Options: opts})
	if err != nil {
		return fmt.Errorf("example of %s: %w", x.Rule.ID, err)
	}
	if i := slices.IndexFunc(r.Findings, func(f report.Finding) bool { return f.Rule == x.Rule.ID }); i >= 0 {
		x.Finding = r.Findings[i] // they are sorted
	}
	for _, leg := range []Leg{LegRequest, LegResponse, LegState} {
		for _, enc := range opts.Encodings {
			v := Verdict{Leg: leg, Encoding: enc}
			found := false
			for _, f := range r.Findings {
				if f.Rule != x.Rule.ID && f.Rule != x.Rule.Mirror || f.Leg != string(leg) || f.Encoding != string(enc) {
					continue
				}
				found = true
				to := &v.OldToNew
				if f.Writer == newSide {
					to = &v.NewToOld
				}
				if to.Effect == "" || Effect(f.Effect).harm() < to.Effect.harm() {
					*to = Outcome{Effect(f.Effect), Severity(f.Severity)}
				}
			}
			if found {
				x.Verdicts = append(x.Verdicts, v)
			}
		}
	}
	return nil
}

// Text is the explanation for a terminal. dir is where the example was
// written, if it was.
func (x *Explanation) Text(dir string) string {
	var b strings.Builder
	r := x.Rule
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", r.ID, r.Title, wrap(r.Why, 100))
	if r.OneWay != "" {
		fmt.Fprintf(&b, "One direction only: %s.\n", r.OneWay)
	}
	fmt.Fprintf(&b, "\nOld\n%s\nNew\n%s\n", indent(x.Old), indent(x.New))
	b.WriteString("What it does, executed just now:\n")
	fmt.Fprintf(&b, "  %-10s %-14s %-26s %s\n", "leg", "encoding", "old writes, new reads", "new writes, old reads")
	for _, v := range x.Verdicts {
		fmt.Fprintf(&b, "  %-10s %-14s %-26s %s\n", v.Leg, v.Encoding, v.OldToNew, v.NewToOld)
	}
	fmt.Fprintf(&b, "\nThe worst of it, in %s, %s: %s.\n", x.Finding.Leg, x.Finding.Encoding, x.Finding.Message)
	fmt.Fprintf(&b, "\nDo: %s.\n", r.Do())
	if expand, contract := r.Releases(); expand != "" {
		fmt.Fprintf(&b, "In two releases: first %s; then %s.\n", expand, contract)
	}
	if r.Mirror != "" && r.Mirror != r.ID {
		fmt.Fprintf(&b, "The same change backwards: %s.\n", r.Mirror)
	}
	fmt.Fprintf(&b, "buf breaking calls it: %s.\n", r.Buf)
	if dir == "" {
		fmt.Fprintf(&b, "\nTry it:\n  skewgate compat explain %s --write DIR\n  skewgate compat check --old DIR/old --new DIR/new %s\n", r.ID, x.Flags())
	} else {
		fmt.Fprintf(&b, "\nTry it:\n  skewgate compat check --old %s/old --new %s/new %s\n", dir, dir, x.Flags())
	}
	return b.String()
}

// Do says what helps, without a finding to say it of.
func (r *Rule) Do() string {
	return strings.NewReplacer("{name}", "it", "{oldkey}", "the old key", "{zero}", "zero", "{n}", "").Replace(r.fix)
}

// Releases says what goes into each of two releases, where an order of rollout
// does not help; nothing where two releases do not either.
func (r *Rule) Releases() (expand, contract string) {
	plain := strings.NewReplacer("{name}", "it", "{R}", "the reader", "{W}", "the writer", "{oldkey}", "the old key", "{n}", "the old", "{fate}", "")
	return plain.Replace(r.expand), plain.Replace(r.contract)
}

// Flags are those of skewgate compat check with which the example shows it.
func (x *Explanation) Flags() string {
	if x.Rule.kind == stateMissing {
		return "--state example.M --state example.N --verbose"
	}
	return "--all-messages --encoding binary,json --verbose"
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") + "\n"
}

// wrap breaks text into lines of at most width characters.
func wrap(s string, width int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
