package compat_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
)

//go:generate env SKEWGATE_UPDATE=1 go test . -run TestRuleDocsAreUpToDate -count=1

const ruleDocs = "../docs/compat-rules.md"

// TestRuleDocsAreUpToDate: docs/compat-rules.md is what the table of rules
// says, with what each example does when it runs. SKEWGATE_UPDATE=1 writes it.
func TestRuleDocsAreUpToDate(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# The rules of skewgate compat\n\n" +
		"Made from the table of rules; what each example does was found by running it, as `skewgate compat explain RULE` does.\n" +
		"`ok`: nothing is lost and nobody fails. In brackets the severity: an `error` makes two versions incompatible,\n" +
		"a `warning` may matter, an `info` is what every addition does. What the effects mean: [compat](compat.md).\n\n" +
		"Where the table of a rule has `ok` in one direction, an order of rollout avoids the other: in requests a worker writes and an\n" +
		"object reads, in responses the reverse. `skewgate compat plan --old … --new …` says which order, for all changes at once.\n" +
		"Where an error is in both, or in state that the old version wrote, what each rule says below is needed.\n\n")
	for _, r := range compat.Rules() {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", r.ID, strings.ToLower(r.ID), r.Title)
	}
	for _, r := range compat.Rules() {
		x, err := compat.Explain(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		ruleDoc(&b, x)
	}
	if os.Getenv("SKEWGATE_UPDATE") != "" {
		if err := os.WriteFile(ruleDocs, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(ruleDocs)
	if err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("docs/compat-rules.md is not what the rules say (%v): SKEWGATE_UPDATE=1 go test ./compat -run RuleDocs", err)
	}
}

// ruleDoc writes the section of one rule.
func ruleDoc(b *bytes.Buffer, x *compat.Explanation) {
	r := &x.Rule
	fmt.Fprintf(b, "\n## %s\n\n%s%s.\n\n%s\n", r.ID, strings.ToUpper(r.Title[:1]), r.Title[1:], r.Why)
	if r.OneWay != "" {
		fmt.Fprintf(b, "One direction only: %s.\n", r.OneWay)
	}
	fmt.Fprintf(b, "\n```proto\n// old\n%s\n\n// new\n%s\n```\n\n", r.Example.Old, r.Example.New)
	if len(r.Example.Payloads) > 0 {
		b.WriteString("The manifest says what the `Any` holds: [payloads](compat.md#what-an-any-holds).\n\n")
	}
	b.WriteString("| leg | encoding | old writes, new reads | new writes, old reads |\n|---|---|---|---|\n")
	for _, row := range verdictRows(x.Verdicts) {
		b.WriteString(row)
	}
	fmt.Fprintf(b, "\n> `%s` in %s, %s: %s\n\n", x.Finding.Severity, x.Finding.Leg, x.Finding.Encoding, x.Finding.Message)
	fmt.Fprintf(b, "**To change it safely**: %s.\n", r.Do())
	if expand, contract := r.Releases(); expand != "" {
		fmt.Fprintf(b, "In two releases: first %s; then %s.\n", expand, contract)
	}
	if r.Mirror != "" && r.Mirror != r.ID {
		fmt.Fprintf(b, "\nThe same change backwards: [%s](#%s).", r.Mirror, strings.ToLower(r.Mirror))
	}
	fmt.Fprintf(b, "\nbuf breaking calls it: %s.\n", r.Buf)
	fmt.Fprintf(b, "\n```\nskewgate compat explain %s --write example\nskewgate compat check --old example/old --new example/new %s\n```\n", r.ID, x.Flags())
}

// verdictRows are the rows of a table, in which legs and encodings that come
// to the same share one.
func verdictRows(verdicts []compat.Verdict) []string {
	type row struct {
		legs, encodings []string
		result          string
	}
	var byLeg []row // encodings of one leg that come to the same
	for _, v := range verdicts {
		result := fmt.Sprintf("%s | %s", v.OldToNew, v.NewToOld)
		i := slices.IndexFunc(byLeg, func(x row) bool { return x.legs[0] == string(v.Leg) && x.result == result })
		if i < 0 {
			byLeg = append(byLeg, row{legs: []string{string(v.Leg)}, result: result})
			i = len(byLeg) - 1
		}
		byLeg[i].encodings = append(byLeg[i].encodings, string(v.Encoding))
	}
	var rows []row
	for _, x := range byLeg {
		i := slices.IndexFunc(rows, func(y row) bool { return y.result == x.result && slices.Equal(y.encodings, x.encodings) })
		if i < 0 {
			rows = append(rows, x)
			continue
		}
		rows[i].legs = append(rows[i].legs, x.legs...)
	}
	var out []string
	for _, x := range rows {
		out = append(out, fmt.Sprintf("| %s | %s | %s |\n", strings.Join(x.legs, ", "), strings.Join(x.encodings, ", "), x.result))
	}
	return out
}

// TestRuleLinksLeadSomewhere: what SARIF links to is the heading of the rule.
func TestRuleLinksLeadSomewhere(t *testing.T) {
	data, err := os.ReadFile(ruleDocs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range compat.Rules() {
		page, anchor, ok := strings.Cut(report.RuleURI(r.ID), "#")
		if !ok || !strings.HasSuffix(page, "/docs/compat-rules.md") || anchor != strings.ToLower(r.ID) {
			t.Errorf("%s is linked as %s", r.ID, report.RuleURI(r.ID))
		}
		if bytes.Count(data, []byte("\n## "+r.ID+"\n")) != 1 {
			t.Errorf("%s has no heading of its own in %s", r.ID, ruleDocs)
		}
	}
}
