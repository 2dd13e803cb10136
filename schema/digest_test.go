package schema_test

import (
	"testing"

	"github.com/skewgate/skewgate/schema"
)

func digest(t *testing.T, files map[string]string) string {
	t.Helper()
	set, err := schema.Load(t.Context(), schema.Sources(files), schema.Options{Want: everything, Full: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := set.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigestKnowsContentFromForm(t *testing.T) {
	base := digest(t, map[string]string{"a.proto": simpleA + ` message M { string s = 1; } message N {}`, "b.proto": `syntax = "proto3"; import "a.proto"; import "google/protobuf/any.proto"; message B { a.M m = 1; google.protobuf.Any x = 2; }`})
	same := digest(t, map[string]string{
		"a.proto": "// hello\nsyntax = \"proto3\";\npackage a;\nmessage N {}\n/* x */ service A {\n}\nmessage M {\n  string s = 1; // note\n}\n",
		"b.proto": `syntax = "proto3"; import "google/protobuf/any.proto"; import "a.proto"; message B { a.M m = 1; google.protobuf.Any x = 2; }`,
	})
	other := digest(t, map[string]string{"a.proto": simpleA + ` message M { string s = 2; } message N {}`, "b.proto": `syntax = "proto3"; import "a.proto"; import "google/protobuf/any.proto"; message B { a.M m = 1; google.protobuf.Any x = 2; }`})
	if base != same {
		t.Error("comments, layout and order change the digest")
	}
	if base == other {
		t.Error("a changed field number does not change the digest")
	}
}
