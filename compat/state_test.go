package compat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// stateInput is an app of one class: its state, as the manifest lists it, and
// files by name.
func stateInput(state, services string, files ...string) schema.Input {
	all := map[string]string{}
	for i, text := range files {
		all[fmt.Sprintf("f%d.proto", i)] = "syntax = \"proto3\";\n" + text
	}
	if state+services != "" {
		all[schema.ManifestName] = "apiVersion: skewgate/v1\nkind: App\napp: shop\nexports:\n  Cart: {services: [" + services + "], state: [" + state + "]}\n"
	}
	return schema.Sources(all)
}

// TestRenamedState: a state message is compared with what it is called on the
// other side where that is in no doubt, by its fields; else it is gone, which
// is a warning.
func TestRenamedState(t *testing.T) {
	const v1, v2wide, v2same = "package t.v1; message St { int32 a = 1; }", "package t.v2; message St { string a = 1; }", "package t.v2; message St { int32 a = 1; }"
	const service = " service S { rpc A(E) returns (E); } message E {}"
	for _, x := range []struct {
		name     string
		old, new schema.Input
		state    []string // --state
		found    string   // rules in state, and severities
		renamed  int      // notices
	}{
		{"package, by the manifest", stateInput("t.v1.St", "", v1), stateInput("t.v2.St", "", v2wide), nil, "FIELD_TYPE_CHANGED error", 1},
		{"package, same fields", stateInput("t.v1.St", "", v1), stateInput("t.v2.St", "", v2same), nil, "", 1},
		{"the old one is still there, not as state", stateInput("t.v1.St", "", v1), stateInput("t.v2.St", "", v1, v2wide), nil, "FIELD_TYPE_CHANGED error", 1},
		{"both are in both, unchanged", stateInput("t.v1.St", "", v1, v2wide), stateInput("t.v2.St", "", v1, v2wide), nil, "FIELD_TYPE_CHANGED error", 1},
		{"both are state of the newer", stateInput("t.v1.St", "", v1), stateInput("t.v1.St, t.v2.St", "", v1, v2wide), nil, "STATE_MESSAGE_ADDED info", 0},
		{"no name in common", stateInput("t.v1.St", "", v1), stateInput("t.v1.Other", "", strings.Replace(v2wide, "v2; message St", "v1; message Other", 1)), nil, "FIELD_TYPE_CHANGED error", 1},
		{"--state of both", stateInput("", "", v1), stateInput("", "", v2wide), []string{"t.v1.St", "t.v2.St"}, "FIELD_TYPE_CHANGED error", 1},
		{"--state of the old one", stateInput("", "", v1), stateInput("", "", v2wide), []string{"t.v1.St"}, "STATE_MESSAGE_REMOVED warning", 0},
		{"--state of the new one", stateInput("", "", v1), stateInput("", "", v2wide), []string{"t.v2.St"}, "STATE_MESSAGE_ADDED info", 0},
		{
			"two, by their names", stateInput("a.St, a.Log", "", "package a; message St { int32 a = 1; } message Log { int32 a = 1; }"),
			stateInput("b.St, b.Log", "", "package b; message St { int32 a = 1; } message Log { string a = 1; }"), nil, "FIELD_TYPE_CHANGED error", 2,
		},
		{
			"two, and no telling which", stateInput("a.A, a.B", "", "package a; message A { int32 a = 1; } message B { int32 a = 1; }"),
			stateInput("a.C, a.D", "", "package a; message C { int32 a = 1; } message D { string a = 1; }"), nil, "STATE_MESSAGE_ADDED info, STATE_MESSAGE_REMOVED warning", 0,
		},
		{
			"one name in two packages", stateInput("a.St, b.St", "", "package a; message St { int32 a = 1; }", "package b; message St { string a = 1; }"),
			stateInput("c.St, d.St", "", "package c; message St { int32 a = 1; }", "package d; message St { string a = 1; }"), nil, "STATE_MESSAGE_ADDED info, STATE_MESSAGE_REMOVED warning", 0,
		},
		{
			"where a service went", stateInput("a.St, b.St", "a.S", "package a; message St { int32 a = 1; }"+service, "package b; message St { string a = 1; }"),
			stateInput("c.St, d.St", "c.S", "package c; message St { int64 a = 1; }"+service, "package d; message St { string a = 1; }"), nil, "FIELD_INT_RANGE_CHANGED error", 2,
		},
		{
			"one is only gone", stateInput("a.St, a.Log", "", "package a; message St { int32 a = 1; } message Log {}"),
			stateInput("a.St", "", "package a; message St { int32 a = 1; }"), nil, "STATE_MESSAGE_REMOVED warning", 0,
		},
	} {
		for _, full := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, full %t", x.name, full), func(t *testing.T) {
				t.Parallel()
				r := checkInputs(t, x.old, x.new, compat.Options{State: x.state}, full)
				if got := stateFindings(r); got != x.found {
					t.Errorf("got %q, want %q", got, x.found)
				}
				if n := countNotices(r, report.StateRenamed); n != x.renamed {
					t.Errorf("%d messages are paired, want %d: %v", n, x.renamed, r.Notices)
				}
				if hint := countNotices(r, report.NotChecked) > 0; hint != (len(x.state) == 1) {
					t.Errorf("a hint to name both: %t", hint)
				}
			})
		}
	}
}

func stateFindings(r *report.Report) string {
	var found []string
	for _, f := range r.Findings {
		if text := f.Rule + " " + f.Severity; f.Leg == "state" && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return strings.Join(found, ", ")
}

func countNotices(r *report.Report, kind string) int {
	n := 0
	for _, notice := range r.Notices {
		if notice.Kind == kind {
			n++
		}
	}
	return n
}

// TestRenamedStateIsTheSameBothWays: going back finds the same pairs, the
// other way round.
func TestRenamedStateIsTheSameBothWays(t *testing.T) {
	old := stateInput("t.v1.St", "", "package t.v1; message St { int32 a = 1; }")
	new := stateInput("t.v2.St", "", "package t.v2; message St { int64 a = 1; }")
	for _, x := range []struct {
		old, new schema.Input
		rollback string
		order    string
	}{{old, new, report.RollbackUnsafe, report.AnyOrder}, {new, old, report.RollbackSafe, report.ExpandContract}} {
		r := checkInputs(t, x.old, x.new, compat.Options{}, false)
		if r.Rollback != x.rollback || r.Order != x.order {
			t.Errorf("rollback %s, order %s; want %s, %s", r.Rollback, r.Order, x.rollback, x.order)
		}
	}
}

// TestRenamedStateInAMatrix: each version's own name is followed through three.
func TestRenamedStateInAMatrix(t *testing.T) {
	inputs := []schema.Input{
		stateInput("t.v1.St", "", "package t.v1; message St { int32 a = 1; }"),
		stateInput("t.v2.St", "", "package t.v2; message St { int64 a = 1; }"),
		stateInput("t.v3.St", "", "package t.v3; message St { string a = 1; }"),
	}
	var versions []compat.Version
	for i, in := range inputs {
		set, err := schema.Load(t.Context(), in, schema.Options{Name: fmt.Sprintf("v%d", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, compat.Version{Name: set.Name, Set: set, Worker: true, Object: true})
	}
	m, err := compat.Matrix(t.Context(), compat.MatrixRequest{Versions: versions})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Report.State {
		if want := s.Writer == "v1" && s.Reader == "v2"; s.OK != want {
			t.Errorf("%s → %s: ok is %t", s.Writer, s.Reader, s.OK)
		}
	}
	if n := countNotices(m.Report, report.StateRenamed); n != 3 || len(m.Report.State) != 6 {
		t.Errorf("%d pairs are told of, %d ways of state", n, len(m.Report.State))
	}
}

// TestStateOfAnotherForm: what is stored in ProtoJSON as a message is not read
// as a well-known type, also where binary does not notice; its own twin is.
func TestStateOfAnotherForm(t *testing.T) {
	const own = "package a; message St { string value = 1; }"
	const wkt = "package google.protobuf; message StringValue { string value = 1; }" // an input may have its own copy
	for _, x := range []struct {
		name     string
		to       string
		files    []string
		encoding compat.Encoding
		want     int
	}{
		{"json", "google.protobuf.StringValue", []string{own, wkt}, compat.JSON, 2},
		{"json-lenient", "google.protobuf.StringValue", []string{own, wkt}, compat.Lenient, 2},
		{"binary", "google.protobuf.StringValue", []string{own, wkt}, compat.Binary, 0},
		{"a message that is no well-known type", "a.Other", []string{own + " message Other { string value = 1; }"}, compat.JSON, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := checkInputs(t, stateInput("a.St", "", x.files...), stateInput(x.to, "", x.files...), compat.Options{Encodings: []compat.Encoding{x.encoding}}, false)
			found := 0
			for _, f := range r.Findings {
				if f.Rule != "MESSAGE_JSON_FORM_CHANGED" || f.Leg != "state" || f.Effect != "error" {
					t.Errorf("%s %s %s %s", f.Rule, f.Path, f.Leg, f.Effect)
				}
				found++
			}
			if found != x.want || (r.Order == report.ExpandContract) != (x.want > 0) {
				t.Errorf("%d findings, want %d; order %s", found, x.want, r.Order)
			}
		})
	}
}

// TestAllMessagesAcrossPackages: with --all-messages a message whose package is
// another now is compared with its namesake, if there is one of that name; what
// has none is told.
func TestAllMessagesAcrossPackages(t *testing.T) {
	const money = "message Money { %s units = 1; message Part { %s x = 1; } }"
	v := func(pkg, kind, more string) string {
		return "package " + pkg + "; " + strings.ReplaceAll(money, "%s", kind) + more
	}
	for _, x := range []struct {
		name     string
		old, new []string
		paths    string
		told     []string
	}{
		{"v1 to v2", []string{v("lib.v1", "int64", "")}, []string{v("lib.v2", "int32", "")}, "lib.v2.Money.Part.x lib.v2.Money.units", []string{"2 messages of package lib.v1 of old are compared"}},
		{"nothing else changed", []string{v("lib.v1", "int64", "")}, []string{v("lib.v2", "int64", "")}, "", []string{"2 messages of package lib.v1"}},
		{"both are there", []string{v("lib.v1", "int64", "")}, []string{v("lib.v1", "int64", ""), v("lib.v2", "int32", "")}, "", []string{"not compared: 2 messages of new"}},
		{"two that came", []string{v("lib.v1", "int64", "")}, []string{v("lib.v2", "int32", ""), v("lib.v3", "int32", "")}, "", []string{"not compared: 2 messages of old", "not compared: 4 messages of new"}},
		{"another name", []string{v("lib", "int64", " message A { int64 a = 1; }")}, []string{v("lib", "int64", " message B { int32 a = 1; }")}, "", []string{"lib.A", "lib.B"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := checkInputs(t, stateInput("", "", x.old...), stateInput("", "", x.new...), compat.Options{AllMessages: true}, false)
			var paths, told []string
			for _, f := range r.Findings {
				paths = append(paths, f.Path)
			}
			for _, n := range r.Notices {
				told = append(told, n.Message)
			}
			slices.Sort(paths)
			if got := strings.Join(slices.Compact(paths), " "); got != x.paths {
				t.Errorf("found %q, want %q", got, x.paths)
			}
			for _, want := range x.told {
				if !strings.Contains(strings.Join(told, "\n"), want) {
					t.Errorf("told %q, want %q", told, want)
				}
			}
		})
	}
}
