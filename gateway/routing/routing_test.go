package routing

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustTable(t testing.TB, s Spec) *Table {
	t.Helper()
	table, err := NewTable(s)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func class(name string, routes ...string) Class {
	return Class{Name: name, App: "shop", Mode: ModeOwn, Routes: routes}
}

func TestMatch(t *testing.T) {
	cart := class("Cart", "/carts/{id}/**", "/c/*/{id}")
	cart.Services = []string{"shop.v1.CartService"}
	table := mustTable(t, Spec{Classes: []Class{
		cart,
		class("Special", "/carts/special/**", "/carts/{id}/admin"),
		class("All", "/**"),
		class("Exact", "/exact", "/exact/"),
	}})
	for _, tc := range []struct {
		path, class, id, method string
		hasID                   bool
	}{
		{"/carts/8812", "Cart", "8812", "", true},
		{"/carts/8812/", "Cart", "8812", "", true},
		{"/carts/8812/items/3", "Cart", "8812", "", true},
		{"/carts/8812/admin", "Special", "8812", "", true},
		{"/carts/8812/admin/x", "Cart", "8812", "", true},
		{"/carts/special", "Special", "", "", false},
		{"/carts/special/x", "Special", "", "", false},
		{"/carts/a%2Fb/items", "Cart", "a/b", "", true},
		{"/carts/a+b%20c", "Cart", "a+b c", "", true},
		{"/carts/%E2%82%AC", "Cart", "€", "", true},
		{"/carts//items", "Cart", "", "", true},
		{"/carts/", "Cart", "", "", true},
		{"/carts", "All", "", "", false},
		{"/c/any/7", "Cart", "7", "", true},
		{"/c//7", "All", "", "", false},
		{"/", "All", "", "", false},
		{"/exact", "Exact", "", "", false},
		{"/exact/", "Exact", "", "", false},
		{"/exact/x", "All", "", "", false},
		{"/shop.v1.CartService/Get", "Cart", "", "/shop.v1.CartService/Get", false},
		{"/shop.v1.CartService/Get/x", "All", "", "", false},
		{"/shop.v1.CartService/", "All", "", "", false},
		{"/shop.v1.CartServices/Get", "All", "", "", false},
	} {
		m, err := table.Match(tc.path)
		if err != nil {
			t.Errorf("%s: %v", tc.path, err)
			continue
		}
		if m.Class.Name != tc.class || m.ID != tc.id || m.HasID != tc.hasID || m.Method != tc.method {
			t.Errorf("%s: %s id %q (%v) method %q; want %+v", tc.path, m.Class.Name, m.ID, m.HasID, m.Method, tc)
		}
	}
}

func TestPathsThatHostsReadDifferentlyAreRefused(t *testing.T) {
	table := mustTable(t, Spec{Classes: []Class{class("Cart", "/carts/{id}/**")}})
	for _, path := range []string{
		"/carts/1/../2", "/carts/1/%2e%2e/2", "/carts/1/%2E./2", "/carts/./2", "/carts/1/..", "/../carts/1", "carts/1", "*", "",
		`/carts/1\..\2`, "/carts/1%5C..%5c2", "/carts/%zz",
	} {
		if m, err := table.Match(path); err == nil {
			t.Errorf("%s is an object of %s with id %q", path, m.Class.Name, m.ID)
		}
	}
	for _, path := range []string{"/carts/...", "/carts/..a", "/carts/1/..b.", "/carts/%2e%2e%2e"} {
		if _, err := table.Match(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := table.Match("/rooms/1"); !errors.Is(err, ErrNoRoute) || !strings.Contains(err.Error(), "served are /carts/{id}/**") {
		t.Errorf("%v", err)
	}
}

// Property: an id that is put into a path comes out again, and nothing else of the path matters.
func TestIDRoundTrip(t *testing.T) {
	table := mustTable(t, Spec{Classes: []Class{class("Cart", "/carts/{id}/**")}})
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.StringN(1, 60, 200).Draw(rt, "id")
		tail := rapid.SampledFrom([]string{"", "/", "/items", "/a/b/c", "//"}).Draw(rt, "tail")
		if id == "." || id == ".." || strings.Contains(id, `\`) {
			return
		}
		m, err := table.Match("/carts/" + url.PathEscape(id) + tail)
		if err != nil || m.ID != id || !m.HasID {
			rt.Fatalf("%q came out as %q, %v", id, m.ID, err)
		}
	})
}

func FuzzMatch(f *testing.F) {
	table := mustTable(f, Spec{Classes: []Class{class("Cart", "/carts/{id}/**", "/x/*/{id}"), class("Two", "/carts/{id}/two/**")}})
	for _, s := range []string{"/carts/1", "/carts/%2e%2e/1", "//", "/x/y/z", "/carts/1/two/", "/a.B/C"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		m, err := table.Match(path)
		if err != nil {
			return
		}
		if m.Class == nil || (m.ID != "" && !m.HasID) {
			t.Fatalf("%q: %+v", path, m)
		}
		u, err := url.PathUnescape(path)
		if err == nil && m.HasID && !strings.Contains(u, m.ID) {
			t.Fatalf("%q has no %q in it", path, m.ID)
		}
	})
}

func TestTablesThatAreRefused(t *testing.T) {
	for name, s := range map[string]Spec{
		"same class twice":        {Classes: []Class{class("A"), class("A")}},
		"same route twice":        {Classes: []Class{class("A", "/x/{id}"), class("B", "/x/{id}")}},
		"** in the middle":        {Classes: []Class{class("A", "/x/**/y")}},
		"two ids":                 {Classes: []Class{class("A", "/{id}/{id}")}},
		"unknown variable":        {Classes: []Class{class("A", "/{name}")}},
		"no leading slash":        {Classes: []Class{class("A", "x/{id}")}},
		"dot segment":             {Classes: []Class{class("A", "/x/../{id}")}},
		"no mode":                 {Classes: []Class{{Name: "A", App: "shop"}}},
		"no app":                  {Classes: []Class{{Name: "A", Mode: ModeOwn}}},
		"observe without address": {Classes: []Class{{Name: "A", App: "shop", Mode: ModeObserve}}},
		"guard misspelled":        {Classes: []Class{{Name: "A", App: "shop", Mode: ModeOwn, OnIncompatible: "block"}}},
		"service twice":           {Classes: []Class{{Name: "A", App: "s", Mode: ModeOwn, Services: []string{"s"}}, {Name: "B", App: "s", Mode: ModeOwn, Services: []string{"s"}}}},
		"version twice":           {Apps: []App{{Name: "shop", Deployment: []Weighted{{Version: "v1"}, {Version: "v1"}}}}},
		"negative weight":         {Apps: []App{{Name: "shop", Deployment: []Weighted{{Version: "v1", Weight: -1}}}}},
		"session twice":           {Hosts: []Host{{Session: "s", Addr: "a:1"}, {Session: "s", Addr: "a:2"}}},
		"host without address":    {Hosts: []Host{{Session: "s"}}},
	} {
		if _, err := NewTable(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := NewTable(Spec{Classes: []Class{{Name: "A"}, class("B", "nope")}})
	if err == nil || !strings.Contains(err.Error(), "mode") || !strings.Contains(err.Error(), "nope") {
		t.Errorf("not all problems at once: %v", err)
	}
}

func TestHostsAndPreviews(t *testing.T) {
	h := func(s, v string, change func(*Host)) Host {
		x := Host{Session: s, Name: s, Addr: s + ":1", App: "shop", Version: v, Classes: []string{"Cart"}, Ready: true}
		if change != nil {
			change(&x)
		}
		return x
	}
	table := mustTable(t, Spec{Hosts: []Host{
		h("d", "v2", nil), h("b", "v1", nil), h("a", "v1", nil),
		h("draining", "v1", func(x *Host) { x.Draining = true }),
		h("cordoned", "v1", func(x *Host) { x.Cordoned = true }),
		h("ill", "v3", func(x *Host) { x.Ready = false }),
		h("p", "v9", func(x *Host) { x.Preview = "pr" }),
		h("other", "v1", func(x *Host) { x.Classes = []string{"Room"} }),
	}})
	hosts := table.Hosts("Cart", "shop", "v1", "")
	if len(hosts) != 2 || hosts[0].Name != "a" || hosts[1].Name != "b" {
		t.Errorf("hosts %v", hosts)
	}
	if vs := table.Versions("Cart", "shop", ""); len(vs) != 2 || vs[0] != "v1" || vs[1] != "v2" {
		t.Errorf("versions %v", vs)
	}
	if vs := table.Versions("Cart", "shop", "pr"); len(vs) != 1 || vs[0] != "v9" {
		t.Errorf("preview's versions %v", vs)
	}
	for _, tc := range []struct {
		preview, class string
		known, exports bool
	}{{"pr", "Cart", true, true}, {"pr", "Room", true, false}, {"qr", "Cart", false, false}} {
		if k, e := table.Preview(tc.preview, tc.class); k != tc.known || e != tc.exports {
			t.Errorf("%+v: %v %v", tc, k, e)
		}
	}
	if s, ok := table.Session("draining"); !ok || !s.Draining {
		t.Error("a draining host's session is not found")
	}
}

func TestMatrix(t *testing.T) {
	table := mustTable(t, Spec{Matrix: []Incompatible{
		{Class: "Cart", Caller: "web@v1", Object: "v2", Method: "/S/A", Rule: "R1"},
		{Class: "Cart", Caller: "web@v1", Object: "v3", Rule: "R2"},
	}})
	for _, tc := range []struct{ caller, object, method, rule string }{
		{"web@v1", "v2", "/S/A", "R1"}, {"web@v1", "v2", "/S/B", ""}, {"web@v1", "v2", "", ""},
		{"web@v1", "v3", "/S/B", "R2"}, {"web@v1", "v3", "", "R2"}, {"web@v2", "v2", "/S/A", ""}, {"web@v1", "v1", "/S/A", ""},
	} {
		row, bad := table.Incompatible("Cart", tc.caller, tc.object, tc.method)
		if bad != (tc.rule != "") || row.Rule != tc.rule {
			t.Errorf("%+v: %v %v", tc, row, bad)
		}
	}
}

func TestParseOverride(t *testing.T) {
	for _, tc := range []struct {
		in, version string
		ok, bad     bool
	}{
		{`shop="v42"`, "v42", true, false},
		{`shop=v42`, "v42", true, false},
		{`other="v1", shop="v42"`, "v42", true, false},
		{`shop="v1",shop="v2"`, "v2", true, false},
		{`other="v1"`, "", false, false},
		{``, "", false, false},
		{`shop="a\"b\\c"`, `a"b\c`, true, false},
		{`shop="dc8dcd28-271b-4367-9840-6c244f84cb40"`, "dc8dcd28-271b-4367-9840-6c244f84cb40", true, false},
		{`shop`, "", false, true},
		{`shop=`, "", false, true},
		{`shop=""`, "", false, true},
		{`="v1"`, "", false, true},
		{`shop="v42`, "", false, true},
		{`shop="v42" x`, "", false, true},
		{`shop="v42",`, "", false, true},
		{`shop="v42", ,`, "", false, true},
		{`shop="a\nb"`, "", false, true},
		{"shop=\"a\x01\"", "", false, true},
		{`shop=v1;q=2`, "", false, true},
		{strings.TrimSuffix(strings.Repeat(`a="b",`, 33), ","), "", false, true},
	} {
		v, ok, err := ParseOverride(tc.in, "shop")
		if (err != nil) != tc.bad || ok != tc.ok || v != tc.version {
			t.Errorf("%q: %q %v %v", tc.in, v, ok, err)
		}
	}
}

func FuzzParseOverride(f *testing.F) {
	f.Add(`shop="v42", other=v1`, "shop")
	f.Add(`shop="a\"b"`, "shop")
	f.Fuzz(func(t *testing.T, header, app string) {
		v, ok, err := ParseOverride(header, app)
		if err != nil && (ok || v != "") {
			t.Fatalf("%q: an error and a version %q", header, v)
		}
		if ok && (v == "" || !strings.Contains(header, app)) {
			t.Fatalf("%q names no %q", header, app)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	cart := class("Cart", "/carts/{id}/**")
	cart.Services = []string{"shop.v1.CartService"}
	table := mustTable(b, Spec{Classes: []Class{cart}})
	for name, path := range map[string]string{"route": "/carts/8812/items", "rpc": "/shop.v1.CartService/Get"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := table.Match(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
