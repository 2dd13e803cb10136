package compat_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// constraintCase is a message M before and after, and for each direction a
// value that shows that the reader's rules refuse what the writer's allow;
// empty: there is none.
type constraintCase struct {
	name, old, new string
	tightened      string // old writes, new refuses
	loosened       string // new writes, old refuses
	told           bool   // a CEL rule changed: told, not judged
}

// rules is M with one field.
func rules(field, text string) string {
	if text != "" {
		text = " [" + text + "]"
	}
	return "message M { " + field + text + "; }"
}

func rule(text string) string { return "(buf.validate.field)." + text }

func on(field, name, old, new, tightened, loosened string) constraintCase {
	make := func(text string) string {
		var parts []string
		for part := range strings.SplitSeq(text, "; ") {
			if part != "" {
				parts = append(parts, rule(part))
			}
		}
		return rules(field, strings.Join(parts, ", "))
	}
	return constraintCase{name: name, old: make(old), new: make(new), tightened: tightened, loosened: loosened}
}

var constraintCases = []constraintCase{
	on("string a = 1", "required added", "", "required = true", `{}`, ""),
	on("optional string a = 1", "required, with presence", "", "required = true", `{}`, ""),
	on("string a = 1", "len", "string.len = 4", "string.len = 5", `{"a":"aaaa"}`, `{"a":"aaaaa"}`),
	on("string a = 1", "min_len to len", "string.min_len = 2", "string.len = 3", `{"a":"aa"}`, ""),
	on("string a = 1", "long max_len", "string.max_len = 20000", "string.max_len = 10000", `{"a":"`+strings.Repeat("a", 20000)+`"}`, ""),
	on("string a = 1", "characters to bytes", "string.max_len = 5", "string.max_bytes = 5", `{"a":"ééééé"}`, ""),
	on("string a = 1", "pattern, a hole in a class", `string.pattern = "^[a-z]+$"`, `string.pattern = "^[a-ln-z]+$"`, `{"a":"mm"}`, ""),
	on("string a = 1", "pattern, a class with more", `string.pattern = "^[a-z]{3}$"`, `string.pattern = "^[a-z_]{3}$"`, "", `{"a":"___"}`),
	on("string a = 1", "pattern", `string.pattern = "^[0-9]{4}$"`, `string.pattern = "^[0-9]{3,4}$"`, "", `{"a":"123"}`),
	on("string a = 1", "another pattern", `string.pattern = "^[a-f]+-[0-9]{2}$"`, `string.pattern = "^[a-f]+-[0-9]{3}$"`, `{"a":"a-12"}`, `{"a":"a-123"}`),
	on("string a = 1", "pattern added", "", `string.pattern = "^v[0-9]+$"`, `{"a":"x"}`, ""),
	on("string a = 1", "prefix", `string.prefix = "a/"`, `string.prefix = "a/b/"`, `{"a":"a/"}`, ""),
	on("string a = 1", "suffix", `string.suffix = ".go"`, `string.suffix = "_test.go"`, `{"a":"x.go"}`, ""),
	on("string a = 1", "contains", `string.contains = "@"`, `string.contains = "@@"`, `{"a":"@"}`, ""),
	on("string a = 1", "not_contains", `string.not_contains = "qq"`, `string.not_contains = "q"`, `{"a":"q"}`, ""),
	on("string a = 1", "uuid to tuuid", "string.uuid = true", "string.tuuid = true", `{"a":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}`, `{"a":"3f2504e04f8941d39a0c0305e82c3301"}`),
	on("string a = 1", "ip to ipv6", "string.ip = true", "string.ipv6 = true", `{"a":"127.0.0.1"}`, ""),
	on("string a = 1", "hostname to address", "string.hostname = true", "string.address = true", "", `{"a":"::1"}`),
	on("string a = 1", "uri to uri_ref", "string.uri_ref = true", "string.uri = true", `{"a":"/x"}`, ""),
	on("string a = 1", "in", `string.in = "a"; string.in = "b"`, `string.in = "a"`, `{"a":"b"}`, ""),
	on("string a = 1", "not_in", `string.not_in = "a"`, `string.not_in = "b"`, `{"a":"b"}`, `{"a":"a"}`),
	on("int32 a = 1", "range narrowed", "int32.gte = 0; int32.lt = 100", "int32.gte = 10; int32.lt = 90", `{"a":0}`, ""),
	on("int32 a = 1", "range reversed", "int32.gt = 0; int32.lt = 10", "int32.gt = 7; int32.lt = 3", `{"a":5}`, `{"a":-1}`),
	on("int32 a = 1", "reversed range widened", "int32.gt = 10; int32.lt = 5", "int32.gt = 8; int32.lt = 6", "", `{"a":9}`),
	on("int64 a = 1", "beyond doubles", "int64.lte = 9007199254740993", "int64.lte = 9007199254740992", `{"a":"9007199254740993"}`, ""),
	on("uint64 a = 1", "the largest", "uint64.lte = 18446744073709551615", "uint64.lt = 18446744073709551615", `{"a":"18446744073709551615"}`, ""),
	on("double a = 1", "finite", "", "double.finite = true", `{"a":"NaN"}`, ""),
	on("double a = 1", "between doubles", "double.lte = 0.75", "double.lte = 0.7", `{"a":0.75}`, ""),
	on("float a = 1", "const", "float.const = 1.5", "float.const = 2.5", `{"a":1.5}`, `{"a":2.5}`),
	on("bool a = 1", "bool const", "", "bool.const = true", `{"a":false}`, ""),
	on("bytes a = 1", "bytes len", "bytes.max_len = 4", "bytes.len = 4", `{}`, ""),
	on("bytes a = 1", "bytes ip", "bytes.ip = true", "bytes.ipv4 = true", `{"a":"AAAAAAAAAAAAAAAAAAAAAA=="}`, ""),
	on("repeated int32 a = 1", "min_items", "repeated.min_items = 1", "repeated.min_items = 2", `{"a":[1]}`, ""),
	on("repeated int32 a = 1", "unique", "", "repeated.unique = true", `{"a":[1,1]}`, ""),
	on("repeated string a = 1", "max_items of unique uuids", "repeated.max_items = 3; repeated.unique = true; repeated.items.string.min_len = 7", "repeated.max_items = 2; repeated.unique = true; repeated.items.string.min_len = 7", `{"a":["aaaaaa1","aaaaaa2","aaaaaa3"]}`, ""),
	on("repeated string a = 1", "items", "repeated.items.string.min_len = 1", "repeated.items.string.min_len = 3", `{"a":["a"]}`, ""),
	on("map<string, int32> a = 1", "min_pairs", "", "map.min_pairs = 2", `{}`, ""),
	on("map<string, int32> a = 1", "max_pairs", "map.max_pairs = 4", "map.max_pairs = 3", `{"a":{"a":1,"b":1,"c":1,"d":1}}`, ""),
	on("map<string, int32> a = 1", "keys", "map.keys.string.min_len = 2", "map.keys.string.min_len = 5", `{"a":{"aa":1}}`, ""),
	on("map<int32, int32> a = 1", "integer keys", "map.keys.int32.lt = 1000", "map.keys.int32.lt = 900", `{"a":{"950":1}}`, ""),
	on("map<string, int32> a = 1", "values", "map.values.int32.lt = 50", "map.values.int32.lt = 40", `{"a":{"a":45}}`, ""),
	on("E a = 1", "defined_only", "", "enum.defined_only = true", `{"a":7}`, ""),
	on("E a = 1", "enum in", "enum.in = 1; enum.in = 2", "enum.in = 2", `{"a":1}`, ""),
	on("E a = 1", "enum const", "enum.const = 1", "enum.const = 2", `{"a":1}`, `{"a":2}`),
	on("int32 a = 1", "ignore zero removed", "int32.gt = 5; ignore = IGNORE_IF_ZERO_VALUE", "int32.gt = 5", `{}`, ""),
	on("int32 a = 1", "ignore always removed", "int32.gt = 5; ignore = IGNORE_ALWAYS", "int32.gt = 5", `{"a":1}`, ""),
	on("In a = 1", "ignore always of a message", "ignore = IGNORE_ALWAYS", "", `{"a":{"x":1}}`, ""),
	on("google.protobuf.Duration a = 1", "duration", `duration.gte = {seconds: 1}`, `duration.gte = {seconds: 2}`, `{"a":"1s"}`, ""),
	on("google.protobuf.Duration a = 1", "duration in nanoseconds", `duration.lte = {nanos: 5}`, `duration.lt = {nanos: 5}`, `{"a":"0.000000005s"}`, ""),
	on("google.protobuf.Timestamp a = 1", "timestamp", `timestamp.gt = {seconds: 1700000000}`, `timestamp.gt = {seconds: 1800000000}`, `{"a":"2025-01-01T00:00:00Z"}`, ""),
	on("google.protobuf.Timestamp a = 1", "timestamp lt_now", "", "timestamp.lt_now = true", `{"a":"2200-01-01T00:00:00Z"}`, ""),
	on("google.protobuf.Any a = 1", "any in", `any.in = "type.googleapis.com/a.M"; any.in = "type.googleapis.com/a.In"`, `any.in = "type.googleapis.com/a.In"`, `{"a":{"@type":"type.googleapis.com/a.M"}}`, ""),
	on("google.protobuf.StringValue a = 1", "wrapped", "string.max_len = 30", "string.max_len = 20", `{"a":"`+strings.Repeat("a", 25)+`"}`, ""),
	on("google.protobuf.FieldMask a = 1", "field mask", `field_mask.in = "p"; field_mask.in = "q"`, `field_mask.in = "p"`, `{"a":"q"}`, ""),
	{name: "oneof required", old: "message M { oneof o { int32 a = 1; int32 b = 2; } }", new: "message M { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; int32 b = 2; } }", tightened: `{}`},
	{name: "a new member of a required oneof", old: "message M { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; } }", new: "message M { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; int32 b = 2; } }", loosened: `{"b":1}`},
	{name: "oneof of a message", old: "message M { string a = 1; string b = 2; }", new: `message M { option (buf.validate.message).oneof = {fields: ["a", "b"]}; string a = 1; string b = 2; }`, tightened: `{"a":"x","b":"x"}`},
	{name: "oneof of a message, required", old: `message M { option (buf.validate.message).oneof = {fields: ["a", "b"]}; string a = 1; string b = 2; }`, new: `message M { option (buf.validate.message).oneof = {fields: ["a", "b"], required: true}; string a = 1; string b = 2; }`, tightened: `{}`},
	{name: "an enum with defined_only grows", old: "enum E { Z = 0; ONE = 1; } " + rules("E a = 1", rule("enum.defined_only = true")), new: "enum E { Z = 0; ONE = 1; TWO = 2; } " + rules("E a = 1", rule("enum.defined_only = true")), loosened: `{"a":2}`},
	{name: "field cel", old: rules("int32 a = 1", rule(`cel = {id: "x", expression: "this > 1"}`)), new: rules("int32 a = 1", rule(`cel = {id: "x", expression: "this > 2"}`)), told: true},
	{name: "message cel", old: `message M { option (buf.validate.message).cel = {id: "x", expression: "this.a > 1"}; int32 a = 1; }`, new: `message M { option (buf.validate.message).cel = {id: "x", expression: "this.a > 2"}; int32 a = 1; }`, told: true},
	{name: "a writer's cel keeps to the new rule", old: rules("int32 a = 1", rule(`cel = {id: "x", expression: "this < 10"}`)), new: rules("int32 a = 1", rule("int32.lt = 20")+", "+rule(`cel = {id: "x", expression: "this < 10"}`))},
	{name: "a writer's message cel keeps to the new rule", old: `message M { option (buf.validate.message).cel = {id: "x", expression: "this.a < 10"}; int32 a = 1; }`, new: `message M { option (buf.validate.message).cel = {id: "x", expression: "this.a < 10"}; int32 a = 1 [(buf.validate.field).int32.lt = 20]; }`},
	{name: "beside a required field", old: "message M { string a = 1 [(buf.validate.field).string.max_len = 9]; string b = 2 [(buf.validate.field).required = true]; }", new: "message M { string a = 1 [(buf.validate.field).string.max_len = 5]; string b = 2 [(buf.validate.field).required = true]; }", tightened: `{"a":"aaaaaaa","b":"x"}`},
	{name: "predefined", old: predefined + "message M { int32 a = 1 [(buf.validate.field).int32.(a.even) = true]; int32 b = 2 [(buf.validate.field).int32.lt = 9]; }", new: predefined + "message M { int32 a = 1 [(buf.validate.field).int32.(a.even) = true]; int32 b = 2 [(buf.validate.field).int32.lt = 5]; }", tightened: `{"b":7}`},
	{name: "predefined added", old: predefined + "message M { int32 a = 1; }", new: predefined + "message M { int32 a = 1 [(buf.validate.field).int32.(a.even) = true]; }", tightened: `{"a":1}`},
}

const predefined = `extend buf.validate.Int32Rules { bool even = 80048954 [(buf.validate.predefined).cel = {id: "int32.even", message: "not even", expression: "this % 2 == 0"}]; } `

// constraintSet compiles one side of a case.
func constraintSet(t *testing.T, name, body string) *schema.Set {
	t.Helper()
	data, err := os.ReadFile(validateFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(body, "enum E ") {
		body += " enum E { Z = 0; ONE = 1; TWO = 2; }"
	}
	text := "edition = \"2023\"; package a; import \"buf/validate/validate.proto\"; import \"google/protobuf/any.proto\"; import \"google/protobuf/duration.proto\"; " +
		"import \"google/protobuf/field_mask.proto\"; import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\"; option features.field_presence = IMPLICIT;\n" +
		strings.ReplaceAll(body, "optional string a = 1", "string a = 1 [features.field_presence = EXPLICIT]") +
		" message In { int32 x = 1 [(buf.validate.field).int32.gt = 5]; }"
	text = strings.ReplaceAll(text, "EXPLICIT] [", "EXPLICIT, ")
	set, err := schema.Load(t.Context(), schema.Sources(map[string]string{"a.proto": text, "buf/validate/validate.proto": string(data)}),
		schema.Options{Name: name, Want: func(*schema.Manifest) *schema.Want { return &schema.Want{All: true} }})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return set
}

// TestConstraintsAreExecuted holds what is found to what protovalidate does,
// in both directions. The table itself is run first: a value that it gives is
// taken by the writer's rules and refused by the reader's.
func TestConstraintsAreExecuted(t *testing.T) {
	for _, x := range constraintCases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			sets := [2]*schema.Set{constraintSet(t, "old", x.old), constraintSet(t, "new", x.new)}
			for i, value := range []string{x.tightened, x.loosened} {
				if value != "" {
					refusedBy(t, sets[i], sets[1-i], value)
				}
			}
			r, err := compat.Check(t.Context(), compat.Request{Old: sets[0], New: sets[1], Options: compat.Options{AllMessages: true, Encodings: encodings}})
			if err != nil {
				t.Fatal(err)
			}
			for rule, want := range map[string]string{"CONSTRAINT_TIGHTENED": x.tightened, "CONSTRAINT_LOOSENED": x.loosened} {
				i := slices.IndexFunc(r.Findings, func(f report.Finding) bool { return f.Rule == rule })
				if (i >= 0) != (want != "") {
					t.Errorf("%s is found: %t, want %t", rule, i >= 0, want != "")
				}
				if i >= 0 && (r.Findings[i].Witness == nil || !strings.HasPrefix(r.Findings[i].Witness.Outcome, "refused by validation: ")) {
					t.Errorf("%s has the witness %+v", rule, r.Findings[i].Witness)
				}
			}
			if told := countNotices(r, report.NotChecked) > 0; told != x.told {
				t.Errorf("an expression that changed is told: %t, %v", told, r.Notices)
			}
		})
	}
}

// refusedBy fails the test unless the writer's rules take a value that the
// reader's refuse.
func refusedBy(t *testing.T, writer, reader *schema.Set, value string) {
	t.Helper()
	resolver := compat.Universe(writer)
	m := dynamicpb.NewMessage(writer.Message("a.M"))
	if err := (protojson.UnmarshalOptions{Resolver: resolver}).Unmarshal([]byte(value), m); err != nil {
		t.Fatal(err)
	}
	check := func(m proto.Message, set *schema.Set) error {
		v, err := protovalidate.New(protovalidate.WithExtensionTypeResolver(compat.Universe(set)))
		if err != nil {
			t.Fatal(err)
		}
		return v.Validate(m)
	}
	if err := check(m, writer); err != nil {
		t.Fatalf("the table is wrong: the writer's rules refuse %s: %v", value, err)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got := dynamicpb.NewMessage(reader.Message("a.M"))
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	var refused *protovalidate.ValidationError
	if err := check(got, reader); !errors.As(err, &refused) {
		t.Fatalf("the table is wrong: the reader's rules take %s (%v)", value, err)
	}
}

// TestConstraintsThatDoNotCompile: rules for another type than the field's are
// not taken for rules that refuse nothing.
func TestConstraintsThatDoNotCompile(t *testing.T) {
	good := constraintSet(t, "old", "message M { int32 a = 1; }")
	for body, want := range map[string]int{
		"message M { int32 a = 1 [(buf.validate.field).string.min_len = 3]; }": 1,
		"message M { int32 a = 1 [(buf.validate.field).int32.gt = -1]; }":      0,
	} {
		r, err := compat.Check(t.Context(), compat.Request{Old: good, New: constraintSet(t, "new", body), Options: compat.Options{AllMessages: true}})
		if err != nil {
			t.Fatal(err)
		}
		if n := countNotices(r, report.NotChecked); n != want {
			t.Errorf("%s: %d notices: %v", body, n, r.Notices)
		}
		for _, n := range r.Notices {
			if !strings.Contains(n.Message, "the buf.validate rules of a.M in new are not valid") || n.File != "a.proto" {
				t.Errorf("notice %+v", n)
			}
		}
	}
}
