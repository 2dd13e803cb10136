package compat

import (
	"testing"

	"github.com/skewgate/skewgate/schema"
)

// TestAnysWithoutType: wherever an Any may stand, one that is not empty and
// names no type is refused by readers that follow the specification, and taken
// for an empty one by Go; what is no Any is left alone.
func TestAnysWithoutType(t *testing.T) {
	t.Parallel()
	in := schema.Sources(map[string]string{"a.proto": `edition = "2023";
package a;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
message M {
  extensions 100 to 200;
  google.protobuf.Any any_field = 1;
  repeated google.protobuf.Any list = 2;
  map<string, google.protobuf.Any> map = 3;
  M in = 4;
  google.protobuf.Struct free = 5;
  int32 number = 6;
}
extend M { google.protobuf.Any ext = 100; }
`})
	set, err := schema.Load(t.Context(), in, schema.Options{Want: func(*schema.Manifest) *schema.Want { return &schema.Want{All: true} }})
	if err != nil {
		t.Fatal(err)
	}
	u, md := universeOf(set), set.Message("a.M")
	for text, refused := range map[string]bool{
		`{}`:                                  false,
		`{"anyField":{}}`:                     false,
		`{"anyField":null}`:                   false,
		`{"anyField":{"x":1}}`:                true,
		`{"any_field":{"x":1}}`:               true,
		`{"list":[{},{"x":1}]}`:               true,
		`{"map":{"k":{"x":1}}}`:               true,
		`{"map":{"k":{}}}`:                    false,
		`{"in":{"in":{"list":[{}]}}}`:         false,
		`{"in":{"in":{"list":[{"x":null}]}}}`: true,
		`{"[a.ext]":{"x":1}}`:                 true,
		`{"anyField":{"@type":"type.googleapis.com/a.M"}}`:                                                       false,
		`{"anyField":{"@type":"type.googleapis.com/a.M","in":{"anyField":{"x":1}}}}`:                             true,
		`{"anyField":{"@type":"type.googleapis.com/google.protobuf.Any","value":{"x":1}}}`:                       true,
		`{"anyField":{"@type":"type.googleapis.com/google.protobuf.Any","value":{}}}`:                            false,
		`{"anyField":{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"anyField":{"x":1}}}}`:       false,
		`{"free":{"anyField":{"x":1}},"number":1,"unknown":{"anyField":{"x":1}},"in":{"[a.other]":{"x":["y"]}}}`: false,
	} {
		for profile, wrong := range map[Profile]bool{Spec: refused, Go: false} {
			if _, err := readAs([]byte(text), md, u, Lenient, profile, true); (err != nil) != wrong {
				t.Errorf("%s, profile %s: %v", text, profile, err)
			}
		}
	}
	if _, err := readAs([]byte(`{"x":1}`), set.Message(anyName), u, Lenient, Spec, true); err == nil {
		t.Error("an Any that is the whole message is read without its type")
	}
}
