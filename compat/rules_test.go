package compat_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

const fixtures = "../testdata/rules"

// noRule holds changes that are safe both ways, in every encoding.
const noRule = "NONE"

var encodings = []compat.Encoding{compat.Binary, compat.JSON, compat.Lenient}

// wanted is one line of a fixture's want file.
type wanted struct {
	rule, name string
	profile    compat.Profile
	effects    map[compat.Encoding][2]string // old→new, new→old
	also       []string
}

// readWanted parses testdata/rules/RULE/want.
func readWanted(t *testing.T, rule string) []wanted {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, rule, "want"))
	if err != nil {
		t.Fatal(err)
	}
	var out []wanted
	for n, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "|")
		first := strings.Fields(columns[0])
		if len(columns) != 3 || len(first) != 3 {
			t.Fatalf("%s/want:%d: want three columns, not %q", rule, n+1, line)
		}
		w := wanted{rule: rule, profile: compat.Spec, effects: make(map[compat.Encoding][2]string)}
		w.name = strings.TrimSuffix(first[0], "@go")
		if w.name != first[0] {
			w.profile = compat.Go
		}
		w.effects[compat.Binary] = [2]string{first[1], first[2]}
		for i, enc := range encodings[1:] {
			words := strings.Fields(columns[i+1])
			w.effects[enc] = [2]string{words[0], words[1]}
			for _, also := range words[2:] {
				w.also = append(w.also, strings.TrimPrefix(also, "+"))
			}
		}
		out = append(out, w)
	}
	return out
}

func fixtureRules(t *testing.T) []string {
	t.Helper()
	dirs, err := os.ReadDir(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, d := range dirs {
		rules = append(rules, d.Name())
	}
	return rules
}

func fixtureInput(t *testing.T, rule, side, name string) schema.Input {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtures, rule, side, name+".proto"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{name + ".proto": string(data)}
	if strings.Contains(string(data), "buf/validate/") {
		validate, err := os.ReadFile("example/buf/validate/validate.proto")
		if err != nil {
			t.Fatal(err)
		}
		files["buf/validate/validate.proto"] = string(validate)
	}
	if manifest, err := os.ReadFile(filepath.Join(fixtures, rule, side, name+".yaml")); err == nil {
		files[schema.ManifestName] = string(manifest)
	}
	return schema.Sources(files)
}

// fixtureSets has what was compiled: several tests check the same pairs.
var fixtureSets sync.Map

func fixtureSet(t *testing.T, rule, side, name string) *schema.Set {
	t.Helper()
	key := rule + "/" + side + "/" + name
	if set, ok := fixtureSets.Load(key); ok {
		return set.(*schema.Set)
	}
	want := func(*schema.Manifest) *schema.Want { return &schema.Want{All: true} }
	set, err := schema.Load(context.Background(), fixtureInput(t, rule, side, name), schema.Options{Name: side, Want: want})
	if err != nil {
		t.Fatal(err)
	}
	fixtureSets.Store(key, set)
	return set
}

// checkFixture compares one case in every encoding; swapped takes the new side
// for the old one.
func checkFixture(t *testing.T, w wanted, swapped bool) *report.Report {
	t.Helper()
	opts := compat.Options{AllMessages: true, Encodings: encodings, Profile: w.profile}
	if strings.HasPrefix(w.rule, "STATE_") {
		opts.AllMessages, opts.State = false, []string{w.name + ".M", w.name + ".N"}
	}
	old, new := fixtureSet(t, w.rule, "old", w.name), fixtureSet(t, w.rule, "new", w.name)
	if swapped {
		old, new = new, old
	}
	r, err := compat.Check(context.Background(), compat.Request{Old: old, New: new, Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// effectsOf gives the worst effect of a rule on the request and response legs
// (of rules about state: on that leg) in each encoding and direction.
func effectsOf(r *report.Report, rule string) map[compat.Encoding][2]string {
	out := make(map[compat.Encoding][2]string)
	for _, enc := range encodings {
		out[enc] = [2]string{"ok", "ok"}
	}
	order := []string{"value", "loss", "error", "unimplemented", "presence", "semantic", "drop", "ok"}
	for _, f := range r.Findings {
		if f.Rule != rule || (f.Leg == "state") != strings.HasPrefix(rule, "STATE_") {
			continue
		}
		enc := compat.Encoding(f.Encoding)
		both := out[enc]
		direction := 0
		if f.Writer == "new" {
			direction = 1
		}
		if slices.Index(order, f.Effect) < slices.Index(order, both[direction]) {
			both[direction] = f.Effect
		}
		out[enc] = both
	}
	return out
}

// TestFixtures holds the rules to the verdict table: what each change does in
// each direction, encoding and profile, every effect with an executed witness.
func TestFixtures(t *testing.T) {
	for _, rule := range fixtureRules(t) {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			for _, w := range readWanted(t, rule) {
				t.Run(w.name+"@"+string(w.profile), func(t *testing.T) {
					r := checkFixture(t, w, false)
					if got := effectsOf(r, rule); fmt.Sprint(got) != fmt.Sprint(w.effects) {
						t.Errorf("got  %v\nwant %v", got, w.effects)
						for _, f := range r.Findings {
							t.Logf("%s %s %s→%s %s %s: %s [%s]", f.Rule, f.Path, f.Writer, f.Reader, f.Encoding, f.Effect, f.Message, f.Witness.Outcome)
						}
					}
					for _, f := range r.Findings {
						if f.Rule != rule && !slices.Contains(w.also, f.Rule) {
							t.Errorf("also finds %s %s (%s, %s)", f.Rule, f.Path, f.Encoding, f.Effect)
						}
						if f.Witness == nil || !f.Witness.Executed || f.Witness.Outcome == "" {
							t.Errorf("%s %s has no executed witness", f.Rule, f.Path)
						}
						if f.Message == "" || f.Fix == "" || strings.ContainsAny(f.Message+f.Fix, "{}") && f.Witness.Kind != report.Decode {
							t.Errorf("%s says %q, %q", f.Rule, f.Message, f.Fix)
						}
					}
				})
			}
		})
	}
}

// TestEveryRuleHasFixtures: a rule without one is not proven.
func TestEveryRuleHasFixtures(t *testing.T) {
	have := fixtureRules(t)
	for _, r := range compat.Rules() {
		if !slices.Contains(have, r.ID) {
			t.Errorf("%s has no fixture in %s/%s", r.ID, fixtures, r.ID)
		}
	}
	for _, name := range have {
		known := slices.ContainsFunc(compat.Rules(), func(r compat.Rule) bool { return r.ID == name })
		if name != noRule && !known {
			t.Errorf("fixture %s is of no rule", name)
		}
	}
}

// TestMirror: the swapped pair has the mirrored rule with the same effects the
// other way round; a rule whose fixtures all go one way says why.
func TestMirror(t *testing.T) {
	for _, rule := range compat.Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			mirror := rule.Mirror
			if mirror == "" {
				mirror = rule.ID
			}
			both := false
			for _, w := range readWanted(t, rule.ID) {
				there, back := effectsOf(checkFixture(t, w, false), rule.ID), effectsOf(checkFixture(t, w, true), mirror)
				for _, enc := range encodings {
					if there[enc] != [2]string{back[enc][1], back[enc][0]} {
						t.Errorf("%s, %s: %s is %v, the swapped pair's %s is %v", w.name, enc, rule.ID, there[enc], mirror, back[enc])
					}
					both = both || there[enc][0] != "ok" && there[enc][1] != "ok"
				}
			}
			if !both && rule.OneWay == "" {
				t.Errorf("%s has an effect in one direction only and does not say why (OneWay)", rule.ID)
			}
		})
	}
}
