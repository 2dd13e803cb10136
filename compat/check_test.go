package compat_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// checkInputs loads and checks two inputs.
func checkInputs(t *testing.T, oldInput, newInput schema.Input, opts compat.Options, full bool) *report.Report {
	t.Helper()
	pair, err := schema.LoadPair(context.Background(), oldInput, newInput, schema.Options{Want: opts.Want, Full: full})
	if err != nil {
		t.Fatal(err)
	}
	r, err := compat.Check(context.Background(), compat.Request{Pair: pair, Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func jsonOf(t *testing.T, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func one(text string) schema.Input {
	return schema.Sources(map[string]string{"a.proto": "syntax = \"proto3\";\npackage a;\n" + text})
}

// everyFixture reads all files of one side of the rule fixtures, one input.
func everyFixture(t *testing.T, side string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, rule := range fixtureRules(t) {
		names, err := filepath.Glob(filepath.Join(fixtures, rule, side, "*.proto"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			base := strings.TrimSuffix(filepath.Base(name), ".proto")
			unique := strings.ToLower(rule) + "_x_" + base
			files[unique+".proto"] = strings.Replace(string(data), "package "+base+";", "package "+unique+";", 1)
		}
	}
	validate, err := os.ReadFile("example/buf/validate/validate.proto")
	if err != nil {
		t.Fatal(err)
	}
	files["buf/validate/validate.proto"] = string(validate)
	return files
}

// TestSameSchemaFindsNothing: check(A, A) finds nothing, whatever A is.
func TestSameSchemaFindsNothing(t *testing.T) {
	for _, side := range []string{"old", "new"} {
		in := schema.Sources(everyFixture(t, side))
		for _, full := range []bool{false, true} {
			r := checkInputs(t, in, in, compat.Options{AllMessages: true, Encodings: encodings}, full)
			if len(r.Findings) > 0 || r.Order != report.AnyOrder || r.Verdict != report.Compatible || r.Rollback != report.RollbackSafe {
				t.Errorf("%s, full=%v: %s, %s, %d findings, first %+v", side, full, r.Verdict, r.Order, len(r.Findings), r.Findings[:1])
			}
			if r.Summary.Checks < 1000 {
				t.Errorf("only %d checks", r.Summary.Checks)
			}
		}
	}
}

// TestSameBytes: ten runs give the same bytes, on one processor, two and
// eight, and the shortcuts change none.
func TestSameBytes(t *testing.T) {
	oldInput, newInput := schema.Sources(everyFixture(t, "old")), schema.Sources(everyFixture(t, "new"))
	opts := compat.Options{AllMessages: true, Encodings: encodings}
	want := jsonOf(t, checkInputs(t, oldInput, newInput, opts, true))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i := range 10 {
		runtime.GOMAXPROCS([]int{1, 2, 8}[i%3])
		if got := jsonOf(t, checkInputs(t, oldInput, newInput, opts, false)); got != want {
			t.Fatalf("run %d differs from the one with shortcuts switched off:\n%s", i, firstDifference(want, got))
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			from := max(0, i-12)
			return fmt.Sprintf("line %d:\n%s\n-- instead of --\n%s", i, strings.Join(y[from:min(i+3, len(y))], "\n"), strings.Join(x[from:min(i+3, len(x))], "\n"))
		}
	}
	return "one is longer"
}

// TestOrders holds pairs, orders and rollback to the definitions.
func TestOrders(t *testing.T) {
	const head = "service S { rpc A(M) returns (N); %s}\nmessage M { %s }\nmessage N { %s }\nmessage St { %s }\n"
	in := func(method, m, n, st string) schema.Input { return one(fmt.Sprintf(head, method, m, n, st)) }
	for _, x := range []struct {
		name            string
		old, new        schema.Input
		order, rollback string
	}{
		{"nothing", in("", "", "", ""), in("", "", "", ""), "any", "safe"},
		{"method added", in("", "", "", ""), in("rpc B(M) returns (N); ", "", "", ""), "objects-first", "safe"},
		{"method removed", in("rpc B(M) returns (N); ", "", "", ""), in("", "", "", ""), "workers-first", "safe"},
		{"request widened", in("", "int32 x = 1;", "", ""), in("", "int64 x = 1;", "", ""), "objects-first", "safe"},
		{"response widened", in("", "", "int32 x = 1;", ""), in("", "", "int64 x = 1;", ""), "workers-first", "safe"},
		{"both widened", in("", "int32 x = 1;", "int32 x = 1;", ""), in("", "int64 x = 1;", "int64 x = 1;", ""), "expand-contract", "safe"},
		{"swap in the request", in("", "int32 x = 1; int32 y = 2;", "", ""), in("", "int32 x = 2; int32 y = 1;", "", ""), "expand-contract", "safe"},
		{"state widened", in("", "", "", "int32 x = 1;"), in("", "", "", "int64 x = 1;"), "any", "unsafe-after-first-write"},
		{"state narrowed", in("", "", "", "int64 x = 1;"), in("", "", "", "int32 x = 1;"), "expand-contract", "safe"},
		{"state field added", in("", "", "", ""), in("", "", "", "int64 x = 1;"), "any", "safe"},
	} {
		t.Run(x.name, func(t *testing.T) {
			opts := compat.Options{Services: []string{"a.S"}, State: []string{"a.St"}}
			r := checkInputs(t, x.old, x.new, opts, false)
			if r.Order != x.order || r.Rollback != x.rollback {
				t.Errorf("order %s, rollback %s, want %s, %s", r.Order, r.Rollback, x.order, x.rollback)
			}
			if (r.Verdict == report.Compatible) != (x.order != "expand-contract") {
				t.Errorf("verdict %s in window auto, order %s", r.Verdict, r.Order)
			}
			plan := compat.Plan(r)
			if len(plan.Steps) == 0 || (len(plan.Releases) == 2) != (x.order == "expand-contract") {
				t.Errorf("plan has %d steps and %d releases", len(plan.Steps), len(plan.Releases))
			}
			noReturn := false
			for _, s := range plan.Steps {
				noReturn = noReturn || s.NoReturn
			}
			if noReturn != (x.rollback == "unsafe-after-first-write") {
				t.Errorf("point of no return %v, rollback %s", noReturn, x.rollback)
			}
		})
	}
}

// TestWindows: what a window contains, and what it does to severities.
func TestWindows(t *testing.T) {
	oldInput := one("service S { rpc A(M) returns (M); }\nmessage M { E e = 1; }\nenum E { ZERO = 0; }")
	newInput := one("service S { rpc A(M) returns (M); rpc B(M) returns (M); }\nmessage M { E e = 1; string s = 2; }\nenum E { ZERO = 0; ONE = 1; }")
	type key struct{ rule, leg string }
	for _, x := range []struct {
		window   compat.Window
		strict   bool
		encoding compat.Encoding
		want     map[key]string // severity in the window
		verdict  string
	}{
		{compat.Auto, false, compat.Binary, map[key]string{{"FIELD_ADDED", "response"}: "info", {"ENUM_VALUE_ADDED", "response"}: "warning"}, report.Compatible},
		{compat.ObjectsFirst, false, compat.Binary, map[key]string{{"FIELD_ADDED", "response"}: "info", {"ENUM_VALUE_ADDED", "response"}: "warning"}, report.Compatible},
		{compat.WorkersFirst, false, compat.Binary, map[key]string{{"METHOD_ADDED", "request"}: "error", {"FIELD_ADDED", "request"}: "warning", {"ENUM_VALUE_ADDED", "request"}: "warning"}, report.Incompatible},
		{compat.Mixed, false, compat.Binary, map[key]string{{"METHOD_ADDED", "request"}: "warning", {"FIELD_ADDED", "request"}: "warning", {"ENUM_VALUE_ADDED", "request"}: "warning", {"FIELD_ADDED", "response"}: "info", {"ENUM_VALUE_ADDED", "response"}: "warning"}, report.Compatible},
		{compat.Mixed, true, compat.Binary, map[key]string{{"METHOD_ADDED", "request"}: "error", {"FIELD_ADDED", "request"}: "error", {"ENUM_VALUE_ADDED", "request"}: "error", {"FIELD_ADDED", "response"}: "info", {"ENUM_VALUE_ADDED", "response"}: "error"}, report.Incompatible},
		{compat.Mixed, false, compat.JSON, map[key]string{{"METHOD_ADDED", "request"}: "warning", {"FIELD_ADDED", "request"}: "warning", {"ENUM_VALUE_ADDED", "request"}: "warning", {"FIELD_ADDED", "response"}: "error", {"ENUM_VALUE_ADDED", "response"}: "warning"}, report.Incompatible},
	} {
		t.Run(fmt.Sprint(x.window, x.strict, x.encoding), func(t *testing.T) {
			r := checkInputs(t, oldInput, newInput, compat.Options{Window: x.window, Strict: x.strict, Encodings: []compat.Encoding{x.encoding}}, false)
			got := make(map[key]string)
			for _, f := range r.Findings {
				if f.InWindow {
					got[key{f.Rule, f.Leg}] = f.Severity
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(x.want) || r.Verdict != x.verdict {
				t.Errorf("got %v, %s\nwant %v, %s", got, r.Verdict, x.want, x.verdict)
			}
			for _, p := range r.Pairs { // softening changes no pair
				if want := !(p.Worker == "new" && p.Object == "old") && (x.encoding == compat.Binary || p.Worker == p.Object); p.OK != want {
					t.Errorf("pair %+v", p)
				}
			}
		})
	}
}

// TestGrouping: a change that many methods reach is one finding.
func TestGrouping(t *testing.T) {
	var methods strings.Builder
	for i := range 500 {
		fmt.Fprintf(&methods, "rpc M%d(Wrap) returns (Nothing);\n", i)
	}
	text := "service S { %s }\nmessage Nothing {}\nmessage Wrap { Deep d = 1; repeated Deep more = 2; map<string, Deep> named = 3; }\nmessage Deep { %s x = 1; }"
	r := checkInputs(t, one(fmt.Sprintf(text, methods.String(), "int32")), one(fmt.Sprintf(text, methods.String(), "sint32")), compat.Options{}, false)
	if len(r.Findings) != 2 {
		t.Fatalf("%d findings, want one for each direction", len(r.Findings))
	}
	for _, f := range r.Findings {
		if f.Reached != 500 || len(f.Methods) != 3 || f.Path != "a.Deep.x" {
			t.Errorf("reached %d, %v, path %s", f.Reached, f.Methods, f.Path)
		}
	}
	if r.Summary.Checks != 2000 {
		t.Errorf("%d checks, want 500 methods × 2 legs × 2 directions", r.Summary.Checks)
	}
}

// TestOneScreen: thousands of harmless additions fit on a screen.
func TestOneScreen(t *testing.T) {
	var more strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&more, "string f%d = %d;\n", i, i+2)
	}
	text := "service S { rpc A(M) returns (M); }\nmessage M { string id = 1; %s }"
	r := checkInputs(t, one(fmt.Sprintf(text, "")), one(fmt.Sprintf(text, more.String())), compat.Options{}, false)
	if len(r.Findings) != 6000 || r.Fails("error") {
		t.Fatalf("%d findings", len(r.Findings))
	}
	var b bytes.Buffer
	if err := report.Text(&b, r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(b.String(), "\n"); lines > 40 {
		t.Errorf("%d lines:\n%s", lines, b.String())
	}
}

// TestBoundCopy: a caller whose copy of the schema differs from the exporter's
// is judged by its copy.
func TestBoundCopy(t *testing.T) {
	load := func(name, manifest, text string) *schema.Set {
		in := schema.Sources(map[string]string{schema.ManifestName: manifest, "a.proto": "syntax = \"proto3\";\npackage a;\n" + text})
		set, err := schema.Load(context.Background(), in, schema.Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	const head = "apiVersion: skewgate/v1\nkind: App\napp: %s\n%s: {Cart: {services: [a.S]}}\n"
	web := load("v7", fmt.Sprintf(head, "web", "binds"), "service S { rpc Put(M) returns (M); }\nmessage M { int64 x = 1; }")
	shop1 := load("v41", fmt.Sprintf(head, "shop", "exports"), "service S { rpc Put(M) returns (M); }\nmessage M { int32 x = 1; }")
	shop2 := load("v42", fmt.Sprintf(head, "shop", "exports"), "service S { rpc Put(M) returns (M); }\nmessage M { int64 x = 1; }")
	m, err := compat.Matrix(context.Background(), compat.MatrixRequest{Versions: []compat.Version{
		{Name: "v7", Set: web, Worker: true}, {Name: "v41", Set: shop1, Object: true}, {Name: "v42", Set: shop2, Object: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Cells) != 1 {
		t.Fatalf("cells %+v, want one", m.Cells)
	}
	c := m.Cells[0]
	if c.Class != "Cart" || c.Caller != "web@v7" || c.Object != "v41" || c.Method != "/a.S/Put" || c.Rule != "FIELD_INT_RANGE_CHANGED" || c.Leg != "request" {
		t.Errorf("cell %+v", c)
	}
}

// TestExplain: every rule's example runs and shows its rule.
func TestExplain(t *testing.T) {
	for _, rule := range compat.Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			x, err := compat.Explain(context.Background(), rule.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(x.Verdicts) == 0 {
				t.Error("the example shows nothing of the rule")
			}
			text := x.Text("")
			for _, want := range []string{rule.ID, rule.Title, "Try it:", rule.Buf} {
				if !strings.Contains(text, want) {
					t.Errorf("the text lacks %q", want)
				}
			}
			if at := strings.Index(text, "Do: "); strings.ContainsAny(text[at:], "{}") {
				t.Errorf("a place in braces is left: %s", text[at:])
			}
		})
	}
	if _, err := compat.Explain(context.Background(), "NO_SUCH_RULE"); err == nil {
		t.Error("an unknown rule is explained")
	}
}

// TestExpressions: a CEL rule that changed is told, not judged.
func TestExpressions(t *testing.T) {
	validate, err := os.ReadFile("example/buf/validate/validate.proto")
	if err != nil {
		t.Fatal(err)
	}
	in := func(expression string) schema.Input {
		return schema.Sources(map[string]string{"buf/validate/validate.proto": string(validate), "a.proto": `syntax = "proto3"; package a; import "buf/validate/validate.proto";
service S { rpc A(M) returns (N); }
message N {}
message M { int32 x = 1 [(buf.validate.field).cel = {id: "x", expression: "` + expression + `"}]; }`})
	}
	same := checkInputs(t, in("this > 0"), in("this > 0"), compat.Options{}, true)
	if len(same.Findings)+len(same.Notices) > 0 {
		t.Errorf("the same expression: %+v %+v", same.Findings, same.Notices)
	}
	changed := checkInputs(t, in("this > 0"), in("this > 10"), compat.Options{}, false)
	if len(changed.Findings) > 0 || len(changed.Notices) != 1 || !strings.Contains(changed.Notices[0].Message, "a.M.x") {
		t.Errorf("a changed expression: %+v %+v", changed.Findings, changed.Notices)
	}
}
