package compat_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// everyAnswer is all that check, plan and matrix say of three versions, in
// every format.
func everyAnswer(t *testing.T, inputs [3]schema.Input) []byte {
	t.Helper()
	opts := compat.Options{Encodings: encodings}
	var out bytes.Buffer
	render := func(r *report.Report) {
		for _, format := range report.Formats {
			for _, verbose := range []bool{false, true} {
				fmt.Fprintf(&out, "\n== %s, verbose: %v\n", format, verbose)
				if err := report.Render(&out, format, r, report.Options{Verbose: verbose, FailOn: "error"}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	r := checkInputs(t, inputs[0], inputs[2], opts, false)
	render(r)
	plan := compat.Plan(r)
	if err := report.JSON(&out, plan); err != nil {
		t.Fatal(err)
	}
	if err := report.PlanText(&out, plan, report.Options{}); err != nil {
		t.Fatal(err)
	}
	sets, err := schema.LoadEach(t.Context(), inputs[:], []schema.Options{{Name: "v1"}, {Name: "v2"}, {Name: "v3"}})
	if err != nil {
		t.Fatal(err)
	}
	var versions []compat.Version
	for _, set := range sets {
		versions = append(versions, compat.Version{Name: set.Name, Set: set, Worker: true, Object: true})
	}
	m, err := compat.Matrix(t.Context(), compat.MatrixRequest{Versions: versions, Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	render(m.Report)
	return out.Bytes()
}

// TestEveryFormatHasTheSameBytes: ten runs on one processor, two and eight. The
// schemas have many classes with many changes, so that what goes through maps
// and goroutines has room to change places.
func TestEveryFormatHasTheSameBytes(t *testing.T) {
	version := func(number, kind string) schema.Input {
		files := map[string]string{}
		for i := range 12 {
			text := fmt.Sprintf("syntax = \"proto3\"; package p%d; import \"shared.proto\";\n", i)
			text += fmt.Sprintf("service S%d { rpc A(M) returns (shared.N); rpc B%s(shared.N) returns (stream M); }\n", i, number)
			text += fmt.Sprintf("message M { %s a = 1; string b%s = %s; map<string, M> m = 9; shared.E e = 10; oneof o { int32 x = 11; %s y = 12; } }\n", kind, number, number, kind)
			files[fmt.Sprintf("d%d/f.proto", i)] = text
		}
		files["shared.proto"] = fmt.Sprintf("syntax = \"proto3\"; package shared; message N { repeated %s r = 1; string n%s = %s; } enum E { E_NONE = 0; E_%s = 1; }", kind, number, number, number)
		return schema.Sources(files)
	}
	inputs := [3]schema.Input{version("2", "int32"), version("3", "int64"), version("4", "sint64")}
	want := everyAnswer(t, inputs)
	if n := bytes.Count(want, []byte(`"rule": `)); n < 100 {
		t.Fatalf("only %d findings in JSON", n)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i := range 10 {
		runtime.GOMAXPROCS([]int{1, 2, 8}[i%3])
		if got := everyAnswer(t, inputs); !bytes.Equal(got, want) {
			t.Fatalf("run %d differs:\n%s", i, firstDifference(string(want), string(got)))
		}
	}
}
