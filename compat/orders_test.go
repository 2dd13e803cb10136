package compat_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// TestNoReturnIsOfItsClass: where classes are rolled out apart, there is no way
// back from the step that rolls out the class whose state is the reason.
func TestNoReturnIsOfItsClass(t *testing.T) {
	app := func(a, b, stateA, stateB string) schema.Input {
		return schema.Sources(map[string]string{
			"a.proto": "syntax = \"proto3\";\npackage a;\nservice A { rpc M(X) returns (X); " + a + " }\nservice B { rpc M(X) returns (X); " + b + " }\nmessage X {}\n" +
				"message SA { " + stateA + " f = 1; }\nmessage SB { " + stateB + " f = 1; }\n",
			schema.ManifestName: "apiVersion: skewgate/v1\nkind: App\napp: a\nexports:\n  A: {services: [a.A], state: [a.SA]}\n  B: {services: [a.B], state: [a.SB]}\n",
		})
	}
	const n = "rpc N(X) returns (X);"
	for _, x := range []struct {
		old, new schema.Input
		step     int // 0: there is a way back
		path     string
	}{
		{app("", n, "int32", "int32"), app(n, "", "int32", "int32"), 0, ""},
		{app("", n, "int32", "int32"), app(n, "", "int64", "int32"), 1, "a.SA.f"},
		{app("", n, "int32", "int32"), app(n, "", "int32", "int64"), 5, "a.SB.f"},
		{app("", n, "int32", "int32"), app(n, "", "int64", "int64"), 1, "a.SA.f"},
	} {
		p := compat.Plan(checkInputs(t, x.old, x.new, compat.Options{}, false))
		switch {
		case len(p.Steps) != 6:
			t.Errorf("%d steps", len(p.Steps))
		case (p.NoReturn != nil) != (x.step > 0):
			t.Errorf("no return: %+v, want step %d", p.NoReturn, x.step)
		case p.NoReturn != nil && (p.NoReturn.Step != x.step || p.NoReturn.Changes[0].Path != x.path):
			t.Errorf("step %d, %+v, want %d, %s", p.NoReturn.Step, p.NoReturn.Changes, x.step, x.path)
		}
	}
}

// TestOrdersOfClasses: where classes need opposite orders, the text and the
// plan say so, and what to do; where one class has no order, only that one
// takes two releases.
func TestOrdersOfClasses(t *testing.T) {
	const services = "service A { rpc M(X) returns (X); %s }\nservice B { rpc M(Y) returns (Y); %s }\nservice C { rpc M(Y) returns (Y); }\n" +
		"service D { rpc M(Z) returns (Z); }\nmessage X {}\nmessage Y {}\nmessage Z { %s f = 1; }\n"
	in := func(a, b, f string) string { return fmt.Sprintf(services, a, b, f) }
	for _, x := range []struct {
		name, old, new string
		steps          []string // of the plan, how each begins
		text           []string
	}{
		{"opposite", in("", "rpc N(Y) returns (Y);", "int32"), in("rpc N(X) returns (X);", "", "int32"),
			[]string{"roll objects of a.A, a.C, a.D", "bake", "roll workers", "bake", "roll objects of a.B", "remove"},
			[]string{"objects first, then workers:  a.A\n", "workers first, then objects:  a.B\n", "any order:                    a.C, a.D\n", "rolled out apart"}},
		{"one without an order", in("", "rpc N(Y) returns (Y);", "int32"), in("rpc N(X) returns (X);", "", "string"),
			[]string{"release 1", "wait", "release 2", "remove"},
			[]string{"objects first, then workers:  a.A\n", "two releases:                 a.D\n", "--class NAME plans one"}},
		{"all without an order", in("", "", "int32"), in("", "", "string"),
			[]string{"release 1", "wait", "release 2", "remove"},
			[]string{"two releases:                 a.D\n"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := checkInputs(t, one(x.old), one(x.new), compat.Options{}, false)
			plan := compat.Plan(r)
			if len(plan.Steps) != len(x.steps) || len(plan.Releases) != 2 || len(plan.Classes) != 4 {
				t.Fatalf("%d steps, %d releases, %d classes", len(plan.Steps), len(plan.Releases), len(plan.Classes))
			}
			for i, want := range x.steps {
				if !strings.HasPrefix(plan.Steps[i].Do, want) {
					t.Errorf("step %d is %q, want %q", i+1, plan.Steps[i].Do, want)
				}
			}
			var text, planned bytes.Buffer
			if err := report.Text(&text, r, report.Options{}); err != nil {
				t.Fatal(err)
			}
			if err := report.PlanText(&planned, plan, report.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, want := range x.text {
				if !strings.Contains(text.String(), want) || !strings.Contains(planned.String(), want) {
					t.Errorf("the text or the plan lacks %q:\n%s\n%s", want, &text, &planned)
				}
			}
		})
	}
}
