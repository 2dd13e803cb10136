package compat_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
)

const verdicts = "../testdata/verdicts/table"

// verdict is one line of the verdict table.
type verdict struct {
	line    int
	change  string
	rule    string
	fixture string
	profile compat.Profile
	words   map[compat.Encoding][2]string
}

// readVerdicts parses the verdict table.
func readVerdicts(t *testing.T) []verdict {
	t.Helper()
	data, err := os.ReadFile(verdicts)
	if err != nil {
		t.Fatal(err)
	}
	var out []verdict
	for n, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' || line[0] == '[' {
			continue
		}
		columns := strings.Split(line, "|")
		if len(columns) != 2+len(encodings) {
			t.Fatalf("%s:%d: %d columns", verdicts, n+1, len(columns))
		}
		v := verdict{line: n + 1, change: strings.TrimSpace(columns[0]), profile: compat.Spec, words: make(map[compat.Encoding][2]string)}
		fixture, profile, _ := strings.Cut(strings.TrimSpace(columns[1]), "@")
		if profile == string(compat.Go) {
			v.profile = compat.Go
		}
		v.rule, v.fixture, _ = strings.Cut(fixture, "/")
		for i, enc := range encodings {
			words := strings.Fields(columns[2+i])
			if len(words) != 2 {
				t.Fatalf("%s:%d: want two words in %s", verdicts, n+1, enc)
			}
			v.words[enc] = [2]string(words)
		}
		out = append(out, v)
	}
	return out
}

// allows says that an effect is what a word of the table expects.
func allows(word, effect string) bool {
	if _, called, ok := strings.Cut(word, ":"); ok {
		word = called
	}
	return slices.Contains(strings.Split(word, "/"), effect)
}

// TestVerdictTable holds what is found for each change to the verdict table:
// in both directions, in every encoding, for readers that follow the
// specification and for readers written in Go. A change with one line is the
// same for both.
func TestVerdictTable(t *testing.T) {
	rows := readVerdicts(t)
	if len(rows) < 150 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, v := range rows {
		profiles := []compat.Profile{v.profile}
		if !slices.ContainsFunc(rows, func(o verdict) bool { return o.rule == v.rule && o.fixture == v.fixture && o.profile != v.profile }) {
			profiles = []compat.Profile{compat.Spec, compat.Go}
		}
		for _, profile := range profiles {
			v.profile = profile
			t.Run(v.rule+"/"+v.fixture+"@"+string(profile), func(t *testing.T) {
				t.Parallel()
				v.check(t)
			})
		}
	}
}

func (v verdict) check(t *testing.T) {
	r := checkFixture(t, wanted{rule: v.rule, name: v.fixture, profile: v.profile}, false)
	if v.rule == noRule && len(r.Findings) > 0 {
		t.Errorf("line %d, %s: finds %s", v.line, v.change, r.Findings[0].Rule)
	}
	got := effectsOf(r, v.rule)
	for _, enc := range encodings {
		for direction, words := range v.words[enc] {
			if effect := got[enc][direction]; !allows(words, effect) {
				t.Errorf("line %d, %s, %s, %s: %s, want %s", v.line, v.change, enc, []string{"old → new", "new → old"}[direction], effect, words)
			}
		}
	}
	for _, f := range r.Findings {
		if f.Witness == nil || !f.Witness.Executed || f.Witness.Outcome == "" {
			t.Errorf("line %d, %s: %s %s was not executed", v.line, v.change, f.Rule, f.Path)
		}
	}
}

// TestVerdictTableIsComplete: every fixture is in the table, and every fixture
// that differs by profile is there for both.
func TestVerdictTableIsComplete(t *testing.T) {
	listed := make(map[string]bool)
	for _, v := range readVerdicts(t) {
		listed[v.rule+"/"+v.fixture+"@"+string(v.profile)] = true
	}
	for _, rule := range fixtureRules(t) {
		if strings.HasPrefix(rule, "STATE_") || strings.HasPrefix(rule, "CONSTRAINT_") {
			continue // not of the encoding: which messages there are, what protovalidate refuses
		}
		for _, w := range readWanted(t, rule) {
			if key := rule + "/" + w.name + "@" + string(w.profile); !listed[key] {
				t.Errorf("%s is a fixture and not in %s", key, verdicts)
			}
		}
	}
}
