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

// TestAClassThatOneManifestLeavesOut: a class that was renamed, came or went
// in the manifest is compared all the same, with what the other version
// declares of it, from sources, from images and in full.
func TestAClassThatOneManifestLeavesOut(t *testing.T) {
	const cart = "syntax = \"proto3\"; package shop.v1; service Cart { rpc Get(G) returns (G); } message G { string id = 1; } message State { int32 n = 1; }"
	const other = "syntax = \"proto3\"; package shop.v1; service Other { rpc Ping(P) returns (P); } message P { string id = 1; }"
	const none, keeps = "exports:\n  Other: {services: [shop.v1.Other]}\n", "exports:\n  Cart: {services: [shop.v1.Cart], state: [shop.v1.State]}\n"
	input := func(manifest, api string) schema.Input {
		files := map[string]string{"other.proto": other}
		if api != "" {
			files["cart.proto"] = api
		}
		if manifest != "" {
			files[schema.ManifestName] = "apiVersion: skewgate/v1\nkind: App\napp: shop\n" + manifest
		}
		return schema.Sources(files)
	}
	changed := strings.Replace(cart, "string id", "int32 id", 1)
	for _, x := range []struct {
		name     string
		old, new schema.Input
		order    string
		rules    string
		notices  int
	}{
		{"the same, left out", input(keeps, cart), input(none, cart), report.AnyOrder, "", 2},
		{"renamed in the manifest and equal", input(keeps, cart), input(strings.Replace(keeps, "Cart:", "Basket:", 1), cart), report.AnyOrder, "", 2},
		{"renamed in the manifest and changed", input(keeps, cart), input(strings.Replace(keeps, "Cart:", "Basket:", 1), changed), report.ExpandContract, "FIELD_TYPE_CHANGED", 2},
		{"left out and changed", input(keeps, cart), input(none, changed), report.ExpandContract, "FIELD_TYPE_CHANGED", 2},
		{"listed later and changed", input(none, cart), input(keeps, changed), report.ExpandContract, "FIELD_TYPE_CHANGED", 2},
		{"gone", input(keeps, cart), input(none, ""), report.WorkersFirst, "SERVICE_REMOVED STATE_MESSAGE_REMOVED", 2},
		{"gone with the manifest", input(keeps, cart), input("", ""), report.WorkersFirst, "SERVICE_REMOVED STATE_MESSAGE_REMOVED", 0},
		{"come", input(none, ""), input(keeps, cart), report.ObjectsFirst, "SERVICE_ADDED STATE_MESSAGE_ADDED", 2},
		{"bound by the newer", input(keeps, cart), input("binds:\n  Cart: {services: [shop.v1.Cart]}\n", changed), report.ExpandContract, "FIELD_TYPE_CHANGED", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			for _, full := range []bool{false, true} {
				r := checkInputs(t, x.old, x.new, compat.Options{}, full)
				var rules []string
				for _, f := range r.Findings {
					if f.Class != "Other" {
						rules = append(rules, f.Rule)
					}
				}
				slices.Sort(rules)
				if got := strings.Join(slices.Compact(rules), " "); got != x.rules || r.Order != x.order {
					t.Errorf("full %t: order %s, rules %q, want %s, %q", full, r.Order, got, x.order, x.rules)
				}
				if n := countNotices(r, report.NotChecked); n != x.notices {
					t.Errorf("full %t: %d notices, want %d: %v", full, n, x.notices, r.Notices)
				}
			}
		})
	}
}

// TestNobodyMeets: where only callers are given, or only who runs objects
// without state, nothing was compared, and that is not "compatible".
func TestNobodyMeets(t *testing.T) {
	plain := fmt.Sprintf(cartAPI, "")
	for name, versions := range map[string][]compat.Version{
		"only callers":   {appVersion(t, "web1", binds, plain, roomAPI), appVersion(t, "web2", binds, plain, roomAPI)},
		"only exporters": {appVersion(t, "cart1", carts, plain), appVersion(t, "cart2", carts, plain)},
	} {
		_, err := compat.Matrix(t.Context(), compat.MatrixRequest{Versions: versions, Ahead: true})
		if err == nil || !strings.Contains(err.Error(), "nothing to check") {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := compat.Matrix(t.Context(), compat.MatrixRequest{Ahead: true, Versions: []compat.Version{
		appVersion(t, "web1", binds, plain, roomAPI), appVersion(t, "cart1", carts, plain),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n := countNotices(m.Report, report.NotChecked); n != 1 || !strings.Contains(m.Report.Notices[0].Message, "Room was not checked") {
		t.Errorf("notices %v", m.Report.Notices)
	}
}
