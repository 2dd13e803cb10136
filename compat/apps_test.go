package compat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// appVersion is a version of an app for a matrix: name@version says which.
func appVersion(t *testing.T, name, body string, files ...string) compat.Version {
	t.Helper()
	app := strings.TrimRight(name, "0123456789")
	all := map[string]string{schema.ManifestName: "apiVersion: skewgate/v1\nkind: App\napp: " + app + "\n" + body}
	for i, text := range files {
		all[fmt.Sprintf("f%d.proto", i)] = "syntax = \"proto3\";\n" + text
	}
	set, err := schema.Load(t.Context(), schema.Sources(all), schema.Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	exports := strings.HasPrefix(body, "exports")
	return compat.Version{Name: name, Set: set, Worker: !exports, Object: exports}
}

const (
	cartAPI = "package shop.v1; service Cart { rpc Get(G) returns (G); %s } message G { string id = 1; } "
	roomAPI = "package chat.v1; service Room { rpc Say(L) returns (L); } message L { string text = 1; }"
	binds   = "binds:\n  Cart: {services: [shop.v1.Cart]}\n  Room: {services: [chat.v1.Room]}\n"
	carts   = "exports:\n  Cart: {services: [shop.v1.Cart]}\n"
	rooms   = "exports:\n  Room: {services: [chat.v1.Room]}\n"
)

// TestAppsHaveAgesOfTheirOwn: in a matrix of several apps, which version is
// the newest is asked of each app: one of another app makes no pair possible
// that is not, and none impossible that is.
func TestAppsHaveAgesOfTheirOwn(t *testing.T) {
	plain := fmt.Sprintf(cartAPI, "")
	coupon := func(kind string) string {
		return fmt.Sprintf(cartAPI, "rpc Apply(C) returns (G);") + "message C { " + kind + " code = 1; }"
	}
	web1, web2 := appVersion(t, "web1", binds, plain, roomAPI), appVersion(t, "web2", binds, coupon("bytes"), roomAPI)
	cart1, cartString, cartBytes := appVersion(t, "cart1", carts, plain), appVersion(t, "cart2", carts, coupon("string")), appVersion(t, "cart2", carts, coupon("bytes"))
	room1, phone := appVersion(t, "room1", rooms, roomAPI), appVersion(t, "phone1", binds, plain, roomAPI)
	phoneNew := appVersion(t, "phone1", binds, coupon("bytes"), roomAPI)
	for _, x := range []struct {
		name     string
		versions []compat.Version
		order    string
	}{
		{"the newest do not fit", []compat.Version{web1, web2, cart1, cartString}, report.ExpandContract},
		{"nor with another app after them", []compat.Version{web1, web2, cart1, cartString, room1}, report.ExpandContract},
		{"nor with another app before them", []compat.Version{room1, web1, web2, cart1, cartString}, report.ExpandContract},
		{"objects first", []compat.Version{web1, web2, cart1, cartBytes}, report.ObjectsFirst},
		{"objects first with another app", []compat.Version{web1, web2, cart1, cartBytes, room1}, report.ObjectsFirst},
		{"a worker app that is not rolled out", []compat.Version{web1, web2, phone, cart1, cartBytes, room1}, report.ObjectsFirst},
		{"one that cannot call old objects", []compat.Version{web1, web2, phoneNew, cart1, cartBytes}, report.ExpandContract},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			m, err := compat.Matrix(t.Context(), compat.MatrixRequest{Versions: x.versions})
			if err != nil {
				t.Fatal(err)
			}
			r := m.Report
			if r.Order != x.order || (r.Verdict == report.Compatible) != (x.order != report.ExpandContract) {
				t.Errorf("%s, order %s, want %s", r.Verdict, r.Order, x.order)
			}
			for _, f := range r.Findings {
				if bad := f.Severity == "error"; bad && f.InWindow != (x.order == report.ExpandContract) {
					t.Errorf("%s %s %s→%s in the window: %t", f.Rule, f.Path, f.Writer, f.Reader, f.InWindow)
				}
			}
		})
	}
}

// TestAppsOfTwoInputs: an old and a new version are just that, whether both
// have a manifest and call themselves the same or not.
func TestAppsOfTwoInputs(t *testing.T) {
	named := func(app, method string) schema.Input {
		files := map[string]string{"a.proto": "syntax = \"proto3\";\n" + fmt.Sprintf(cartAPI, method)}
		if app != "" {
			files[schema.ManifestName] = "apiVersion: skewgate/v1\nkind: App\napp: " + app + "\n" + carts
		}
		return schema.Sources(files)
	}
	for _, apps := range [][2]string{{"shop", "shop"}, {"", "shop"}, {"shop", ""}, {"shop", "store"}} {
		r := checkInputs(t, named(apps[0], ""), named(apps[1], "rpc Put(G) returns (G);"), compat.Options{}, false)
		if r.Order != report.ObjectsFirst {
			t.Errorf("%v: order %s", apps, r.Order)
		}
	}
}

// TestNoticesAreOfWhatWasAsked: what is not checked of other classes is no news.
func TestNoticesAreOfWhatWasAsked(t *testing.T) {
	versions := []compat.Version{appVersion(t, "web1", binds, fmt.Sprintf(cartAPI, ""), roomAPI), appVersion(t, "room1", rooms, roomAPI)}
	for class, want := range map[string]int{"Room": 0, "Cart": 1, "": 1} {
		opts := compat.Options{}
		if class != "" {
			opts.Classes = []string{class}
		}
		m, err := compat.Matrix(t.Context(), compat.MatrixRequest{Versions: versions, Options: opts})
		if err != nil {
			t.Fatal(err)
		}
		if n := countNotices(m.Report, report.NotChecked); n != want {
			t.Errorf("class %q: %d notices, want %d: %v", class, n, want, m.Report.Notices)
		}
	}
}

// TestWaiverHints: what a waiver that excuses nothing may have meant.
func TestWaiverHints(t *testing.T) {
	in := func(body, waiver string) schema.Input {
		files := map[string]string{"a.proto": "syntax = \"proto3\"; package a; service S { rpc A(M) returns (M); } message M { string id = 1; " + body + " }"}
		if waiver != "" {
			files[schema.ManifestName] = "apiVersion: skewgate/v1\nkind: App\napp: a\nexports:\n  S: {services: [a.S]}\ncompat:\n  waivers:\n  - {" + waiver + "}\n"
		}
		return schema.Sources(files)
	}
	for waiver, want := range map[string]string{
		`rule: FIELD_REMOVED, path: a.M.note, reason: x, expires: 2027-01-01`:  "",
		`rule: FIELD_REMOVED, path: a.M.notes, reason: x, expires: 2027-01-01`: "did you mean a.M.note? If not, remove it",
		`rule: FIELD_REMOVED, path: b.Other.x, reason: x, expires: 2027-01-01`: "excuses nothing; remove it",
		`rule: FIELD_REMOVE, path: a.M.note, reason: x, expires: 2027-01-01`:   "there is no such rule: did you mean FIELD_REMOVED?",
		`rule: FIELD_REMOVED, path: "a.M.*", reason: x, expires: 2027-01-01`:   "there are no wildcards",
		`rule: FIELD_REMOVED, path: a.M.note, reason: x, expires: 2026-01-01`:  "expired on 2026-01-01; what it excused counts again",
		`rule: FIELD_REMOVED, path: a.M.gone, reason: x, expires: 2026-01-01`:  "expired on 2026-01-01; it excuses nothing; remove it",
	} {
		r := checkInputs(t, in("string note = 2;", ""), in("", waiver), compat.Options{Now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), Encodings: encodings}, false)
		var text []string
		for _, n := range r.Notices {
			text = append(text, n.Message)
		}
		if got := strings.Join(text, "\n"); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", waiver, got, want)
		}
		if excused := want == ""; r.Findings[0].Waived != excused || r.Fails("error") == excused {
			t.Errorf("%s: waived %t", waiver, r.Findings[0].Waived)
		}
	}
}
