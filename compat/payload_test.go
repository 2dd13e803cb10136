package compat_test

import (
	"context"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/schema"
)

const (
	payloadHead = `syntax = "proto3"; package a; import "google/protobuf/any.proto";
service S { rpc Put(M) returns (N); }
message M { google.protobuf.Any any = 1; repeated google.protobuf.Any list = 2; map<string, google.protobuf.Any> map = 3; int32 n = 4; }
message N {}
`
	payloadManifest = "apiVersion: skewgate/v1\nkind: App\napp: shop\nexports:\n  S:\n    services: [a.S]\n    encodings: [binary, json]\n    payloads:\n"
)

func payloadInput(payloads, messages string) schema.Input {
	files := map[string]string{"a.proto": payloadHead, "payloads.proto": "syntax = \"proto3\"; package a;\n" + messages}
	if payloads != "" {
		files[schema.ManifestName] = payloadManifest + payloads
	}
	return schema.Sources(files)
}

// TestPayloads: what Anys hold is compared where a manifest of either version
// says what it is, though nothing imports the file that declares it, with
// shortcuts and without.
func TestPayloads(t *testing.T) {
	const (
		held   = "      a.M.any: [a.P]\n      a.M.list: [a.P]\n      a.M.map: [a.P]\n"
		narrow = "message P { int32 x = 1; }"
		wide   = "message P { int64 x = 1; }"
	)
	for _, x := range []struct {
		name     string
		old, new schema.Input
		want     string // rule, path and methods reached
	}{
		{"nobody says what they hold", payloadInput("", narrow), payloadInput("", wide), ""},
		{"both say", payloadInput(held, narrow), payloadInput(held, wide), "FIELD_INT_RANGE_CHANGED a.P.x"},
		{"only the newer says", payloadInput("", narrow), payloadInput(held, wide), "FIELD_INT_RANGE_CHANGED a.P.x"},
		{"only the older says", payloadInput(held, narrow), payloadInput("", wide), "FIELD_INT_RANGE_CHANGED a.P.x"},
		{"one type is new", payloadInput("", ""), payloadInput(held, narrow), "ANY_PAYLOAD_ADDED a.P"},
		{"one type is gone", payloadInput(held, narrow), payloadInput("", ""), "ANY_PAYLOAD_REMOVED a.P"},
		{"nothing changed", payloadInput(held, wide), payloadInput(held, wide), ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			opts := compat.Options{Encodings: encodings}
			r := checkInputs(t, x.old, x.new, opts, false)
			if full := jsonOf(t, checkInputs(t, x.old, x.new, opts, true)); full != jsonOf(t, r) {
				t.Errorf("the shortcuts change the report:\n%s", firstDifference(full, jsonOf(t, r)))
			}
			found := make(map[string]bool)
			for _, f := range r.Findings {
				found[f.Rule+" "+f.Path] = true
				if len(f.Methods) != 1 || f.Methods[0] != "/a.S/Put" || !f.Witness.Executed || f.Witness.Value == nil {
					t.Errorf("%s: methods %v, witness %+v", f.Rule, f.Methods, f.Witness)
				}
			}
			if x.want == "" && len(found) > 0 || x.want != "" && (len(found) != 1 || !found[x.want]) {
				t.Errorf("found %v, want %q", found, x.want)
			}
			matrix := payloadMatrix(t, x.old, x.new)
			if (matrix > 0) != (x.want != "") {
				t.Errorf("a matrix finds %d", matrix)
			}
		})
	}
}

// payloadMatrix counts what a matrix of the same inputs finds.
func payloadMatrix(t *testing.T, inputs ...schema.Input) int {
	t.Helper()
	sets, err := schema.LoadEach(context.Background(), inputs, []schema.Options{{Name: "old"}, {Name: "new"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := compat.Matrix(context.Background(), compat.MatrixRequest{Versions: []compat.Version{
		{Name: "old", Set: sets[0], Worker: true, Object: true}, {Name: "new", Set: sets[1], Worker: true, Object: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return len(m.Report.Findings)
}

// TestPayloadMistakes: what a manifest says of payloads that no version has is
// an error with its line.
func TestPayloadMistakes(t *testing.T) {
	for _, x := range []struct{ payloads, line, message string }{
		{"      a.M.anny: [a.P]\n", ":9:7:", `there is no field a.M.anny`},
		{"      a.M.any: [a.P, a.Q]\n", ":9:22:", `there is no message a.Q`},
		{"      a.M.n: [a.P]\n", ":9:7:", `a.M.n is not a field of type google.protobuf.Any`},
		{"      a.M: [a.P]\n", ":9:7:", `a.M is not a field`},
	} {
		in := payloadInput(x.payloads, "message P {}")
		pair, err := schema.LoadPair(context.Background(), in, in, schema.Options{})
		if err == nil {
			_, err = compat.Check(context.Background(), compat.Request{Pair: pair})
		}
		if err == nil || !strings.Contains(err.Error(), x.message) || !strings.Contains(err.Error(), x.line) {
			t.Errorf("%q: %v", x.payloads, err)
		}
	}
	for _, payloads := range []string{"      any: [a.P]\n", "      a.M.any: []\n", "      a.M.any: [a.P, a.P]\n", "      a.M.any: a.P\n"} {
		if _, err := schema.ParseManifest("m", []byte(payloadManifest+payloads)); err == nil || !strings.Contains(err.Error(), "m:9:") {
			t.Errorf("%q: %v", payloads, err)
		}
	}
}

// TestNothingThereIsNoYes: a service or message that no version has is an
// error, asked for by name or by a manifest.
func TestNothingThereIsNoYes(t *testing.T) {
	const text = "syntax = \"proto3\"; package a; message M { int32 n = 1; } service S { rpc A(M) returns (M); }"
	manifest := func(class string) string {
		return "apiVersion: skewgate/v1\nkind: App\napp: shop\nexports:\n  C: {" + class + "}\n"
	}
	for _, x := range []struct {
		manifest string
		opts     compat.Options
		missing  string
	}{
		{"", compat.Options{Services: []string{"a.S"}}, ""},
		{"", compat.Options{Services: []string{"a.S", "a.Gone"}}, "service a.Gone"},
		{"", compat.Options{State: []string{"a.M"}}, ""},
		{"", compat.Options{State: []string{"a.Gone"}}, "message a.Gone"},
		{manifest("services: [a.S], state: [a.M]"), compat.Options{}, ""},
		{manifest("services: [a.S, a.Gone]"), compat.Options{}, "service a.Gone of class C"},
		{manifest("services: [a.S], state: [a.Gone]"), compat.Options{}, "message a.Gone of class C"},
	} {
		files := map[string]string{"a.proto": text}
		if x.manifest != "" {
			files[schema.ManifestName] = x.manifest
		}
		for _, full := range []bool{false, true} {
			in := schema.Sources(files)
			pair, err := schema.LoadPair(t.Context(), in, in, schema.Options{Want: x.opts.Want, Full: full})
			if err != nil {
				t.Fatal(err)
			}
			_, err = compat.Check(t.Context(), compat.Request{Pair: pair, Options: x.opts})
			if x.missing == "" && err != nil || x.missing != "" && (err == nil || !strings.Contains(err.Error(), x.missing)) {
				t.Errorf("%+v: want %q, is %v", x.opts, x.missing, err)
			}
		}
	}
}
