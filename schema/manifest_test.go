package schema_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/skewgate/skewgate/problem"
	"github.com/skewgate/skewgate/schema"
)

func TestManifestIsReadWithItsDefaults(t *testing.T) {
	m, err := schema.ParseManifest("skewgate.yaml", []byte(`apiVersion: skewgate/v1
kind: App
app: shop
schema: {roots: [proto/, ./more]}
profile: go                 # how this app's language reads
exports:
  Cart: {services: [shop.v1.CartService], state: [shop.v1.CartState], encodings: [binary, json-lenient]}
  Box: {services: [shop.v1.BoxService], state: opaque}
binds:
  Room:
    services: [chat.v1.RoomService]
compat:
  window: workers-first
  waivers:
  - {rule: FIELD_REMOVED, path: shop.v1.Cart.legacy_note, reason: "unused since v31, see CHANGELOG", expires: 2027-03-01}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &schema.Manifest{
		File: "skewgate.yaml", APIVersion: "skewgate/v1", Kind: "App", App: "shop", Roots: []string{"proto", "more"}, Profile: "go",
		Exports: map[string]schema.Class{
			"Cart": {Services: []string{"shop.v1.CartService"}, State: []string{"shop.v1.CartState"}, Encodings: []string{"binary", "json-lenient"}, Line: 7},
			"Box":  {Services: []string{"shop.v1.BoxService"}, Opaque: true, Encodings: []string{"binary"}, Line: 8},
		},
		Binds: map[string]schema.Class{"Room": {Services: []string{"chat.v1.RoomService"}, Encodings: []string{"binary"}, Line: 11}},
		Compat: schema.Policy{Window: "workers-first", FailOn: "error", Waivers: []schema.Waiver{{
			Rule: "FIELD_REMOVED", Path: "shop.v1.Cart.legacy_note", Reason: "unused since v31, see CHANGELOG",
			Expires: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), Line: 15,
		}}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("manifest\n%+v\nwant\n%+v", m, want)
	}
	if w := m.Want("Cart"); len(w.Services) != 1 || len(w.Messages) != 1 {
		t.Errorf("Cart wants %+v", w)
	}
	if w := m.Want(); len(w.Services) != 3 {
		t.Errorf("all classes want %+v", w)
	}
}

func TestManifestProblemsAreAllThereWithTheirPlace(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		want []string
	}{
		"unknown keys": {"apiVersion: skewgate/v1\nkind: App\napp: a\nexport: {}\nbinds:\n  Room: {services: [a.B], state: [a.C]}\n", []string{
			`m.yaml:4:1: unknown key "export"`, `did you mean "exports"?`, `m.yaml:6:27: unknown key "state" in binds.Room`}},
		"values": {`apiVersion: skewgate/v2
kind: Mesh
app: "a b"
profile: golang
schema: {roots: [../x, a, a/]}
exports:
  Cart: {services: [.shop.Cart, x.Y, x.Y], encodings: [xml]}
  "9": {state: opaque}
  Empty: {}
compat:
  window: both
  failOn: never
  waivers:
  - {rule: X, reason: r}
`, []string{
			`m.yaml:1:1: apiVersion is "skewgate/v2"`, `m.yaml:2:1: kind is "Mesh"`, `m.yaml:3:1: app "a b" is not a name`,
			`m.yaml:4:1: profile: "golang" is not known`, `m.yaml:5:18: root "../x" is not`, `m.yaml:5:27: root "a/" is given twice`,
			`m.yaml:7:21: ".shop.Cart" is not a service's full name`, `m.yaml:7:38: service x.Y is given twice`, `m.yaml:7:56: encodings: "xml"`,
			`m.yaml:8:3: class "9"`, `m.yaml:9:3: class Empty names no service`,
			`m.yaml:11:3: window: "both"`, `m.yaml:12:3: failOn: "never"`, `m.yaml:14:5: a waiver without path`, `m.yaml:14:5: a waiver without expires`}},
		"empty":    {"", []string{`apiVersion is ""`, `app is missing`}},
		"bad day":  {"compat: {waivers: [{expires: 1 March}]}\n", []string{`m.yaml:1:30: want a day as YYYY-MM-DD, not "1 March"`}},
		"no state": {"exports: {Cart: {state: 7}}\n", []string{`want opaque or a list of messages, not "7"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schema.ParseManifest("m.yaml", []byte(row.text))
			wantError(t, err, row.want...)
			var list problem.List
			if !errors.As(err, &list) {
				t.Errorf("%T is no problem.List", err)
			}
		})
	}
}

func TestManifestFileReplacesTheInputsOwn(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"in/skewgate.yaml": "this: is not read\n", "in/p/a.proto": simpleA,
		"other.yaml": "apiVersion: skewgate/v1\nkind: App\napp: other\nschema: {roots: [p]}\n",
	})
	set := mustLoad(t, dir+"/in", schema.Options{ManifestFile: dir + "/other.yaml"})
	if set.Manifest.App != "other" || set.Service("a.A") == nil {
		t.Errorf("manifest %+v", set.Manifest)
	}
	_, err := load(t, dir+"/in", schema.Options{})
	wantError(t, err, "in/skewgate.yaml:1:1: unknown key \"this\"")
	_, err = load(t, dir+"/in", schema.Options{ManifestFile: dir + "/nothing.yaml"})
	wantError(t, err, "nothing.yaml", "cannot be read")
}
