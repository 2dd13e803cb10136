package gateway

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// fleet makes a snapshot with hosts "v1/a" (version/name) and weights.
func fleet(t testing.TB, weights map[string]float64, hosts ...routing.Host) *snapshot {
	t.Helper()
	spec := routing.Spec{Classes: []routing.Class{cartClass}, Hosts: hosts, Apps: []routing.App{{Name: "shop"}}}
	for v, w := range weights {
		spec.Apps[0].Deployment = append(spec.Apps[0].Deployment, routing.Weighted{Version: v, Weight: w, Salt: v + "salt"})
	}
	table, err := routing.NewTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	return newSnapshot(table, table)
}

func ready(version, name string) routing.Host {
	return routing.Host{Session: version + name, Name: name, Addr: "127.0.0.1:1", App: "shop", Version: version, Classes: []string{"Cart"}, Ready: true}
}

func TestVersions(t *testing.T) {
	hosts := []routing.Host{ready("v1", "a"), ready("v2", "b"), ready("v2", "c")}
	preview := ready("p9", "p")
	preview.Preview = "pr"
	for name, tc := range map[string]struct {
		weights map[string]float64
		hosts   []routing.Host
		req     Request
		strict  bool
		last    string
		want    string // the first; "" is an error
	}{
		"assigned":                      {map[string]float64{"v1": 0, "v2": 1}, hosts, Request{}, false, "v1", "v2"},
		"assigned, wherever it was":     {map[string]float64{"v1": 1, "v2": 0}, hosts, Request{}, false, "v2", "v1"},
		"no host of it: the next best":  {map[string]float64{"v1": 1e-9, "v3": 1e9}, hosts, Request{}, false, "", "v1"},
		"the same, strict":              {map[string]float64{"v1": 1e-9, "v3": 1e9}, hosts, Request{}, true, "", ""},
		"only undeployed versions live": {map[string]float64{"v7": 1}, hosts, Request{}, false, "v1", ""},
		"all weights zero":              {map[string]float64{"v1": 0}, hosts, Request{}, false, "v1", ""},
		"follow: where it was":          {nil, hosts, Request{}, false, "v1", "v1"},
		"follow: it is gone":            {nil, hosts[1:], Request{}, false, "v1", "v2"},
		"follow: nobody lives":          {nil, nil, Request{}, false, "v1", ""},
		"override":                      {map[string]float64{"v1": 1, "v2": 0}, hosts, Request{Overrides: `shop="v2"`}, false, "", "v2"},
		"override, follow":              {nil, hosts, Request{Overrides: `shop="v2"`}, false, "v1", "v2"},
		"override not deployed":         {map[string]float64{"v1": 1}, hosts, Request{Overrides: `shop="v2"`}, false, "", "v1"},
		"override of another app":       {map[string]float64{"v1": 1, "v2": 0}, hosts, Request{Overrides: `billing="v2"`}, false, "", "v1"},
		"override without a host":       {map[string]float64{"v1": 1, "v3": 0}, hosts, Request{Overrides: `shop="v3"`}, false, "", "v1"},
		"preview":                       {map[string]float64{"v1": 1}, append(slices.Clone(hosts), preview), Request{Preview: "pr"}, false, "", "p9"},
		"outside of the preview":        {map[string]float64{"p9": 1}, []routing.Host{preview}, Request{}, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := fleet(t, tc.weights, tc.hosts...)
			class := cartClass
			class.StrictVersion = tc.strict
			tc.req.Class = &class
			d, err := decide(s, tc.req, owners.Key{Class: "Cart", ID: "1"})
			if err != nil {
				t.Fatal(err)
			}
			vs, err := d.versions(tc.last)
			if tc.want == "" {
				if !errors.Is(err, errNoVersion) {
					t.Fatalf("%v %v, want an error", vs, err)
				}
				return
			}
			if err != nil || vs[0] != tc.want {
				t.Fatalf("%v %v, want %s", vs, err, tc.want)
			}
		})
	}
}

func TestOverrideIsAlwaysAnswered(t *testing.T) {
	hosts := []routing.Host{ready("v1", "a"), ready("v2", "b")}
	weights := map[string]float64{"v1": 1, "v2": 0, "v3": 0}
	for _, tc := range []struct {
		header, runs string
		deferred     bool
		want         string
	}{
		{"", "v1", false, ""},
		{`shop="v2"`, "v2", false, "applied"},
		{`shop="v2"`, "v1", false, "ignored; reason=active"},
		{`shop="v2"`, "v1", true, "ignored; reason=move-budget"},
		{`shop="v9"`, "v1", false, "ignored; reason=not-in-use"},
		{`shop="v3"`, "v1", false, "ignored; reason=no-host"},
		{`shop`, "v1", false, "ignored; reason=malformed"},
		{`other="v2"`, "v1", false, "ignored; reason=other-app"},
	} {
		d, err := decide(fleet(t, weights, hosts...), Request{Class: &cartClass, Overrides: tc.header}, owners.Key{Class: "Cart", ID: "1"})
		if err != nil {
			t.Fatal(err)
		}
		d.deferred = tc.deferred
		if got := d.overrideAnswer(tc.runs); got != tc.want {
			t.Errorf("%q while it runs %s: %q, want %q", tc.header, tc.runs, got, tc.want)
		}
	}
}

func TestVersionKeyAssignsInPlaceOfTheIDWhereNothingIsOwned(t *testing.T) {
	s := fleet(t, map[string]float64{"v1": 1, "v2": 1}, ready("v1", "a"), ready("v2", "b"))
	class := cartClass
	first := func(id, key string) string {
		d, err := decide(s, Request{Class: &class, VersionKey: key}, owners.Key{Class: "Cart", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		vs, err := d.versions("")
		if err != nil {
			t.Fatal(err)
		}
		return vs[0]
	}
	for i := range 40 {
		if id := fmt.Sprint(i); first(id, "one") != first(id, "") {
			t.Fatal("a client's key decided the version of an owned object: the mover would move it back")
		}
	}
	class.Mode = routing.ModeAffinity
	seen := map[string]bool{}
	for i := range 40 {
		id := fmt.Sprint(i)
		seen[first(id, "")] = true
		if first(id, "one") != first("another", "one") {
			t.Fatal("two objects with one key got two versions")
		}
	}
	if len(seen) != 2 {
		t.Fatal("40 ids without a key all got one version")
	}
}

func TestPreviewErrors(t *testing.T) {
	p := ready("p9", "p")
	p.Preview, p.Classes = "pr", []string{"Room"}
	s := fleet(t, nil, p)
	for preview, want := range map[string]wire.Code{"pr": wire.PreviewNotExported, "nobody": wire.NoHost, "b/a d": wire.PreviewNotExported} {
		_, err := decide(s, Request{Class: &cartClass, Preview: preview}, owners.Key{Class: "Cart", ID: "1"})
		var problem *wire.Problem
		if !errors.As(err, &problem) || problem.Code != want {
			t.Errorf("%s: %v, want %s", preview, err, want)
		}
	}
}

// Properties of placing: everybody agrees; a host that goes takes only its own
// objects away, and one that comes back gets the same ones again.
func TestPlaceMovesLittle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}-[0-9]{1,2}`), 2, 12, rapid.ID).Draw(rt, "names")
		gone := rapid.IntRange(0, len(names)-1).Draw(rt, "gone")
		all, less := make([]routing.Host, 0, len(names)), make([]routing.Host, 0, len(names))
		for i, n := range names {
			all = append(all, ready("v1", n))
			if i != gone {
				less = append(less, ready("v1", n))
			}
		}
		slices.Reverse(less)
		before, after := fleet(t, nil, all...), fleet(t, nil, less...)
		for i := range 50 {
			key := owners.Key{Class: "Cart", ID: fmt.Sprint(i)}
			d1, d2 := decision{snap: before, class: &cartClass, key: key}, decision{snap: after, class: &cartClass, key: key}
			h1, _ := d1.place("v1", nil)
			h2, _ := d2.place("v1", nil)
			if h1.Name != names[gone] && h1.Name != h2.Name {
				rt.Fatalf("%s moved from %s to %s when %s went", key, h1.Name, h2.Name, names[gone])
			}
		}
	})
}

func TestPlaceSpreads(t *testing.T) {
	var hosts []routing.Host
	for i := range 10 {
		hosts = append(hosts, ready("v1", fmt.Sprintf("shop-%d", i)))
	}
	s := fleet(t, nil, hosts...)
	n := map[string]int{}
	for i := range 20_000 {
		d := decision{snap: s, class: &cartClass, key: owners.Key{Class: "Cart", ID: fmt.Sprint(i)}}
		h, _ := d.place("v1", nil)
		n[h.Name]++
	}
	for name, got := range n {
		if got < 1800 || got > 2200 {
			t.Errorf("%s has %d of 20000 objects on 10 hosts", name, got)
		}
	}
}

func TestGuardTable(t *testing.T) {
	hosts := []routing.Host{ready("v1", "a"), ready("v2", "b")}
	row := func(object, method string) routing.Incompatible {
		return routing.Incompatible{Class: "Cart", Caller: "web@v1", Object: object, Method: method, Rule: "R"}
	}
	toV2 := map[string]float64{"v1": 0, "v2": 1}
	for name, tc := range map[string]struct {
		matrix  []routing.Incompatible
		weights map[string]float64
		mode    routing.OnIncompatible
		caller  string
		method  string
		runs    string
		want    verdict
		counted bool
	}{
		"compatible":                       {nil, toV2, routing.Refuse, "web@v1", "/S/A", "v1", allowed, false},
		"another method":                   {[]routing.Incompatible{row("v1", "/S/B")}, toV2, routing.Refuse, "web@v1", "/S/A", "v1", allowed, false},
		"unidentified caller":              {[]routing.Incompatible{row("v1", "")}, toV2, routing.Refuse, "", "/S/A", "v1", allowed, false},
		"pass counts":                      {[]routing.Incompatible{row("v1", "/S/A")}, toV2, routing.Pass, "web@v1", "/S/A", "v1", allowed, true},
		"default is pass":                  {[]routing.Incompatible{row("v1", "/S/A")}, toV2, "", "web@v1", "/S/A", "v1", allowed, true},
		"refuse":                           {[]routing.Incompatible{row("v1", "/S/A")}, toV2, routing.Refuse, "web@v1", "/S/A", "v1", refused, true},
		"upgrade":                          {[]routing.Incompatible{row("v1", "/S/A")}, toV2, routing.Upgrade, "web@v1", "/S/A", "v1", upgradable, true},
		"upgrade, runs its version":        {[]routing.Incompatible{row("v2", "/S/A")}, toV2, routing.Upgrade, "web@v1", "/S/A", "v2", refused, true},
		"upgrade would not help":           {[]routing.Incompatible{row("v1", "/S/A"), row("v2", "")}, toV2, routing.Upgrade, "web@v1", "/S/A", "v1", refused, true},
		"upgrade without a deployment":     {[]routing.Incompatible{row("v1", "/S/A")}, nil, routing.Upgrade, "web@v1", "/S/A", "v1", refused, true},
		"all methods, where none is known": {[]routing.Incompatible{row("v1", "")}, toV2, routing.Refuse, "web@v1", "", "v1", refused, true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := fleet(t, tc.weights, hosts...).table.Spec()
			spec.Matrix = tc.matrix
			table, err := routing.NewTable(spec)
			if err != nil {
				t.Fatal(err)
			}
			class := cartClass
			class.OnIncompatible = tc.mode
			d := decision{snap: newSnapshot(table, table), class: &class, key: owners.Key{Class: "Cart", ID: "1"}, by: "1"}
			got, why := d.guard(Request{Caller: tc.caller, Method: tc.method}, tc.runs)
			if got != tc.want || (why != nil) != tc.counted {
				t.Fatalf("%v %v, want %v, counted %v", got, why, tc.want, tc.counted)
			}
		})
	}
}

func TestCallersThatAreBelieved(t *testing.T) {
	for in, ok := range map[string]bool{
		"web@v41": true, "team/web@v1.2.3-rc1+x": true, "": false, "web": false, "@v1": false, "web@": false, "a@b@c": false,
		"we b@v1": false, "web@v1\"": false, "web@v1,x@v2": false, "wéb@v1": false,
	} {
		if got := wellFormedCaller(in); got != ok {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestGRPCTimeout(t *testing.T) {
	for in, want := range map[string]string{
		"1S": "1s", "100m": "100ms", "99999999H": "", "2H": "2h0m0s", "5u": "5µs", "7n": "7ns", "3M": "3m0s",
		"": "", "S": "", "-1S": "", "1s": "", "123456789S": "", "1.5S": "",
	} {
		d, ok := grpcTimeout(in)
		if ok != (want != "") || (ok && d.String() != want) {
			t.Errorf("%q: %v %v, want %q", in, d, ok, want)
		}
	}
}

func FuzzObjectKey(f *testing.F) {
	f.Add("1", true, false)
	f.Add("", true, false)
	f.Add("\x00", true, true)
	f.Fuzz(func(t *testing.T, id string, has, twice bool) {
		key, err := objectKey(Request{Class: &cartClass, ID: id, HasID: has, IDTwice: twice})
		if err != nil {
			var p *wire.Problem
			if !errors.As(err, &p) || p.Code.Row().HTTP != 400 {
				t.Fatalf("%q: %v is not a 400", id, err)
			}
			return
		}
		if again, err := owners.ParseKey(key.String()); err != nil || again != key || key.ID != id || len(id) == 0 || len(id) > 512 {
			t.Fatalf("%q became %q, %v", id, key, err)
		}
	})
}
