package report_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/skewgate/skewgate/compat/report"
)

// sarifSchema is the standard's own schema, with formats (URIs) asserted.
func sarifSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("testdata/sarif/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sarifDocument(t testing.TB, r *report.Report, opts report.Options) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(render(t, "sarif", r, opts)), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestSARIFFitsItsSchema: reports with everything, with nothing, and of a matrix.
func TestSARIFFitsItsSchema(t *testing.T) {
	schema := sarifSchema(t)
	nothing := &report.Report{Old: "a", New: "b", Verdict: report.Compatible, Order: report.AnyOrder, Rollback: report.RollbackNotChecked}
	matrix := rich()
	matrix.Versions = []string{"v40", "v41", "v42"}
	for name, r := range map[string]*report.Report{"rich": rich(), "nothing": nothing, "matrix": matrix, "many": many(100, "error")} {
		for _, verbose := range []bool{false, true} {
			if err := schema.Validate(sarifDocument(t, r, report.Options{Verbose: verbose, Version: "v1.2.3"})); err != nil {
				t.Errorf("%s, verbose %t: %v", name, verbose, err)
			}
		}
	}
}

// TestSARIFSchemaSeesFaults is the negative control: the schema is one that
// refuses.
func TestSARIFSchemaSeesFaults(t *testing.T) {
	schema := sarifSchema(t)
	spoil := func(change func(run, result map[string]any)) error {
		doc := sarifDocument(t, rich(), report.Options{})
		run := doc["runs"].([]any)[0].(map[string]any)
		change(run, run["results"].([]any)[0].(map[string]any))
		return schema.Validate(doc)
	}
	for name, change := range map[string]func(run, result map[string]any){
		"a level that is none":     func(_, result map[string]any) { result["level"] = "severe" },
		"no message":               func(_, result map[string]any) { delete(result, "message") },
		"no tool":                  func(run, _ map[string]any) { delete(run, "tool") },
		"a property that is none":  func(_, result map[string]any) { result["nonsense"] = 1 },
		"a line that is no number": func(_, result map[string]any) { result["ruleIndex"] = "x" },
		"a path that is no URI": func(_, result map[string]any) {
			location := result["locations"].([]any)[0].(map[string]any)
			location["physicalLocation"].(map[string]any)["artifactLocation"].(map[string]any)["uri"] = "a b%zz"
		},
	} {
		if spoil(change) == nil {
			t.Errorf("the schema takes %s", name)
		}
	}
}

// TestSARIFRules: each result's ruleIndex names its rule, each rule has
// results, each result has a place and a fingerprint of its own.
func TestSARIFRules(t *testing.T) {
	var doc struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct{ ID, HelpURI string }
				}
			}
			Results []struct {
				RuleID              string
				RuleIndex           int
				Locations           []any
				PartialFingerprints map[string]string
				Suppressions        []any
			}
		}
	}
	if err := json.Unmarshal([]byte(render(t, "sarif", rich(), report.Options{Verbose: true})), &doc); err != nil {
		t.Fatal(err)
	}
	run := doc.Runs[0]
	used := make(map[string]bool)
	prints := make(map[string]string)
	suppressed := 0
	for _, r := range run.Results {
		if got := run.Tool.Driver.Rules[r.RuleIndex].ID; got != r.RuleID {
			t.Errorf("%s has the index of %s", r.RuleID, got)
		}
		used[r.RuleID] = true
		if len(r.Locations) == 0 {
			t.Errorf("%s has no location: code scanning refuses the file", r.RuleID)
		}
		fingerprint := r.PartialFingerprints["skewgate/v1"]
		if other := prints[fingerprint]; other != "" || fingerprint == "" {
			t.Errorf("%s has the fingerprint %q of %s", r.RuleID, fingerprint, other)
		}
		prints[fingerprint] = r.RuleID
		suppressed += len(r.Suppressions)
	}
	for _, rule := range run.Tool.Driver.Rules {
		if rule.HelpURI != report.RuleURI(rule.ID) {
			t.Errorf("%s is explained at %s", rule.ID, rule.HelpURI)
		}
	}
	if len(used) != len(run.Tool.Driver.Rules) || suppressed != 1 {
		t.Errorf("%d of %d rules have results, %d are suppressed", len(used), len(run.Tool.Driver.Rules), suppressed)
	}
}

// TestSARIFLeavesOutWhatIsHarmless unless asked: every result is an alert.
func TestSARIFLeavesOutWhatIsHarmless(t *testing.T) {
	if text := render(t, "sarif", many(50, "info"), report.Options{}); strings.Contains(text, `"ruleId"`) {
		t.Error("harmless additions are results")
	}
	if text := render(t, "sarif", many(50, "info"), report.Options{Verbose: true}); strings.Count(text, `"level": "note"`) != 50 {
		t.Error("verbose does not list them")
	}
}
