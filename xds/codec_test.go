package xds

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/gateway/routing"
)

// specs generates by reflection, so that a field added to routing.Spec and
// forgotten here fails the test.
func specs() *rapid.Generator[routing.Spec] {
	return rapid.Custom(func(t *rapid.T) routing.Spec {
		s := rapid.Make[routing.Spec]().Draw(t, "spec")
		for i := range s.Classes {
			c := &s.Classes[i]
			c.Mode = rapid.SampledFrom([]routing.Mode{routing.ModeOwn, routing.ModeAffinity, routing.ModeObserve}).Draw(t, "mode")
			c.OnIncompatible = rapid.SampledFrom([]routing.OnIncompatible{"", routing.Pass, routing.Refuse, routing.Upgrade}).Draw(t, "onIncompatible")
			c.Move.Mode = rapid.SampledFrom([]routing.MoveMode{"", routing.MoveLazy, routing.MoveDrain, routing.MoveNow}).Draw(t, "move")
			c.Services, c.Routes = nilIfEmpty(c.Services), nilIfEmpty(c.Routes)
		}
		for i := range s.Apps {
			s.Apps[i].Deployment = nilIfEmpty(s.Apps[i].Deployment)
		}
		addrs := rapid.SampledFrom([]string{"127.0.0.1:9001", "127.0.0.1:9002", "[::1]:9001", "[0::1]:1", "10.0.0.1:09", "shop-0.shop:9001", "fe80::1%eth0", ""})
		for i := range s.Hosts {
			h := &s.Hosts[i]
			h.Session += "/" + string(rune('a'+i%26)) + strings.Repeat("x", i) // one of a kind
			h.Addr = addrs.Draw(t, "addr")
			h.Classes = nilIfEmpty(h.Classes)
		}
		sortHosts(s.Hosts)
		s.Classes, s.Apps, s.Hosts, s.Matrix, s.State = nilIfEmpty(s.Classes), nilIfEmpty(s.Apps), nilIfEmpty(s.Hosts), nilIfEmpty(s.Matrix), nilIfEmpty(s.State)
		return s
	})
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := specs().Draw(t, "spec")
		r := overTheWire(t, Encode(want))
		got, err := Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestEncodeIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := specs().Draw(t, "spec")
		a := Encode(s)
		slices.Reverse(s.Hosts)
		b := Encode(s)
		for name := range a.Endpoints {
			if !proto.Equal(a.Endpoints[name], b.Endpoints[name]) {
				t.Fatalf("EDS %s depends on the order in which hosts are listed", name)
			}
		}
		if !proto.Equal(a.Routes[RouteName], b.Routes[RouteName]) {
			t.Fatal("RDS depends on the order in which hosts are listed")
		}
	})
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func overTheWire(t fataler, r Resources) Resources {
	t.Helper()
	out := Resources{Clusters: map[string]*clusterv3.Cluster{}, Endpoints: map[string]*endpointv3.ClusterLoadAssignment{}, Routes: map[string]*routev3.RouteConfiguration{}}
	for n, m := range r.Clusters {
		out.Clusters[n] = wire(t, m)
	}
	for n, m := range r.Endpoints {
		out.Endpoints[n] = wire(t, m)
	}
	for n, m := range r.Routes {
		out.Routes[n] = wire(t, m)
	}
	return out
}

func wire[M proto.Message](t fataler, m M) M {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func shop() routing.Spec {
	return routing.Spec{
		Version: "c1",
		Classes: []routing.Class{
			{Name: "Cart", App: "shop", Mode: routing.ModeOwn, Services: []string{"shop.v1.CartService"}, Routes: []string{"/carts/{id}/**"}, IDHeader: "cart-id", OnIncompatible: routing.Pass},
			{Name: "CartAdmin", App: "shop", Mode: routing.ModeOwn, Routes: []string{"/carts/{id}/admin/*"}},
			{Name: "Legacy", App: "legacy", Mode: routing.ModeObserve, Routes: []string{"/legacy/{id}"}, Upstream: "legacy.svc:80"},
			{Name: "Room", App: "chat", Mode: routing.ModeOwn, Routes: []string{"/rooms/{id}"}},
			{Name: "Empty", App: "none", Mode: routing.ModeOwn, Routes: []string{"/none/{id}"}},
		},
		Apps: []routing.App{{Name: "shop", Deployment: []routing.Weighted{{Version: "v41", Weight: 75, Salt: "s1"}, {Version: "v42", Weight: 25, Salt: "s2"}, {Version: "v40", Weight: 0, Salt: "s0"}}}},
		Hosts: []routing.Host{
			{Session: "a1", Name: "shop-0", Addr: "10.0.0.1:9001", App: "shop", Version: "v41", Classes: []string{"Cart", "CartAdmin"}, Ready: true},
			{Session: "a2", Name: "shop-1", Addr: "10.0.0.2:9001", App: "shop", Version: "v41", Classes: []string{"Cart"}, Ready: true, Draining: true},
			{Session: "a3", Name: "shop-2", Addr: "10.0.0.3:9001", App: "shop", Version: "v42", Classes: []string{"Cart"}, Ready: false},
			{Session: "a4", Name: "pr", Addr: "10.0.0.4:9001", App: "shop", Version: "v43", Preview: "pr-1", Classes: []string{"Cart"}, Ready: true},
			{Session: "b1", Name: "chat-0", Addr: "10.0.1.1:9001", App: "chat", Version: "1", Classes: []string{"Room"}, Ready: true},
			{Session: "b2", Name: "chat-1", Addr: "chat-1.chat:9001", App: "chat", Version: "2", Classes: []string{"Room"}, Ready: true},
		},
		Matrix: []routing.Incompatible{{Class: "Cart", Caller: "web@v40", Object: "v42", Method: "/shop.v1.CartService/Add", Rule: "FIELD_REMOVED", Message: "…"}},
		State:  []routing.Unreadable{{Class: "Cart", Writer: "v42", Reader: "v41", Rule: "FIELD_INT_RANGE_CHANGED", Message: "…"}},
	}
}

func TestDecodeSaysEveryReason(t *testing.T) {
	r := overTheWire(t, Encode(shop()))
	fieldsOf := r.Routes[RouteName].Metadata.FilterMetadata[MetadataKey].Fields
	class := fieldsOf["classes"].GetListValue().Values[0].GetStructValue().Fields
	class["mode"] = structpb.NewStringValue("sometimes")
	class["services"] = structpb.NewStringValue("x")
	fieldsOf["apps"].GetListValue().Values[0].GetStructValue().Fields["deployment"].GetListValue().Values[0].GetStructValue().Fields["weight"] = structpb.NewStringValue("all")
	cla := r.Endpoints["shop@v41"]
	cla.Endpoints[0].LbEndpoints[0].Metadata = &corev3.Metadata{}
	cla.Endpoints[0].LbEndpoints[1].Metadata.FilterMetadata[MetadataKey].Fields["version"] = structpb.NewStringValue("v9")
	delete(r.Routes, MatrixName)

	_, err := Decode(r)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`RDS skewgate: classes[0]: mode "sometimes" is not known here`,
		"RDS skewgate: classes[0]: services is not a list",
		"RDS skewgate: apps[0]: deployment[0]: weight is not a number",
		"EDS shop@v41 endpoint 0: has no socket address or no skewgate metadata",
		"EDS shop@v41: session a2 belongs to cluster shop@v9",
		"RDS skewgate-matrix: is missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("reason %q is missing in:\n%v", want, err)
		}
	}
}

func TestDecodeLeavesUnknownKeysAlone(t *testing.T) {
	r := overTheWire(t, Encode(shop()))
	f := r.Routes[RouteName].Metadata.FilterMetadata[MetadataKey].Fields
	f["laterKey"] = structpb.NewBoolValue(true)
	f["classes"].GetListValue().Values[0].GetStructValue().Fields["laterToo"] = structpb.NewNumberValue(1)
	got, err := Decode(r)
	if err != nil || !reflect.DeepEqual(got, shopSorted()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func shopSorted() routing.Spec {
	s := shop()
	sortHosts(s.Hosts)
	return s
}

func TestRoutesOfOtherClients(t *testing.T) {
	rc := Encode(shop()).Routes[RouteName]
	type row struct{ name, match, to string }
	var got []row
	for _, r := range rc.VirtualHosts[0].Routes {
		match := r.GetMatch().GetPrefix() + r.GetMatch().GetSafeRegex().GetRegex()
		to := r.GetRoute().GetCluster()
		for _, w := range r.GetRoute().GetWeightedClusters().GetClusters() {
			to += w.GetName() + ":" + w.GetWeight().String() + " "
		}
		if r.GetDirectResponse().GetStatus() != 0 {
			to = "503"
		}
		got = append(got, row{r.GetName(), match, strings.ReplaceAll(strings.TrimSpace(to), "value:", "")})
	}
	want := []row{
		{"Cart shop.v1.CartService", "/shop.v1.CartService/", "shop@v41:750000 shop@v42:250000"},
		{"Legacy /legacy/{id}", `/legacy/[^/]*`, "observe/Legacy"},
		{"Room /rooms/{id}", `/rooms/[^/]*`, "chat@1:500000 chat@2:500000"},
		{"Empty /none/{id}", `/none/[^/]*`, "503"},
		{"CartAdmin /carts/{id}/admin/*", `/carts/[^/]*/admin/[^/]+`, "shop@v41:750000 shop@v42:250000"},
		{"Cart /carts/{id}/**", `/carts/[^/]*(/.*)?`, "shop@v41:750000 shop@v42:250000"},
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("routes:\n%v\nwant:\n%v", got, want)
		}
	}
}

// An Envoy that takes the first route that matches must choose the class that
// a gateway's Table chooses.
func TestRouteOrderAgreesWithTheTable(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "{id}", "*"})
	word := rapid.SampledFrom([]string{"a", "b", "c", ""})
	rapid.Check(t, func(t *rapid.T) {
		var s routing.Spec
		seen := map[string]bool{}
		for i := range rapid.IntRange(1, 6).Draw(t, "classes") {
			segs := rapid.SliceOfN(segment, 1, 4).Draw(t, "segments")
			if rapid.Bool().Draw(t, "rest") {
				segs = append(segs, "**")
			}
			template := "/" + strings.Join(segs, "/")
			if strings.Count(template, "{id}") > 1 || seen[template] {
				continue
			}
			seen[template] = true
			s.Classes = append(s.Classes, routing.Class{Name: "C" + strconv.Itoa(i), App: "x", Mode: routing.ModeOwn, Routes: []string{template}})
		}
		table, err := routing.NewTable(s)
		if err != nil {
			t.Fatal(err)
		}
		path := "/" + strings.Join(rapid.SliceOfN(word, 1, 5).Draw(t, "path"), "/")
		want := ""
		if m, err := table.Match(path); err == nil {
			want = m.Class.Name
		}
		got := ""
		for _, r := range Encode(s).Routes[RouteName].VirtualHosts[0].Routes {
			if regexp.MustCompile("^(?:" + r.GetMatch().GetSafeRegex().GetRegex() + ")$").MatchString(path) {
				got, _, _ = strings.Cut(r.GetName(), " ")
				break
			}
		}
		if got != want {
			t.Fatalf("path %q: routes say %q, the table says %q; %v", path, got, want, s.Classes)
		}
	})
}

func TestEndpointsOfOtherClients(t *testing.T) {
	r := Encode(shop())
	health := func(cluster string) (out []string) {
		for _, e := range r.Endpoints[cluster].Endpoints[0].LbEndpoints {
			out = append(out, e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress()+" "+e.GetHealthStatus().String())
		}
		return out
	}
	for cluster, want := range map[string][]string{
		"shop@v41":              {"10.0.0.1 HEALTHY", "10.0.0.2 DRAINING"},
		"shop@v42":              {"10.0.0.3 UNHEALTHY"},
		"shop@v40":              nil, // deployed, no host
		"shop@v43/preview/pr-1": {"10.0.0.4 HEALTHY"},
		"chat@2":                nil, // known by name only: for gateways
	} {
		if got := health(cluster); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", cluster, got, want)
		}
		if r.Clusters[cluster] == nil {
			t.Errorf("no cluster %s", cluster)
		}
	}
	if _, ok := r.Clusters["observe/Legacy"]; !ok {
		t.Error("no cluster for the observed class")
	}
}

// A host that came back at its old address is there twice until its first
// session is found dead: other clients must see the address once, gateways
// both sessions.
func TestTwoSessionsAtOneAddress(t *testing.T) {
	old := routing.Host{Session: "a-old", Addr: "10.0.0.1:9001", App: "shop", Version: "v1", Ready: false}
	fresh := routing.Host{Session: "b-new", Addr: "10.0.0.1:9001", App: "shop", Version: "v1", Ready: true}
	cla := Endpoints("shop@v1", []routing.Host{old, fresh})
	eps := cla.Endpoints[0].LbEndpoints
	if len(eps) != 1 || eps[0].GetHealthStatus() != corev3.HealthStatus_HEALTHY {
		t.Errorf("endpoints %v", eps)
	}
	var errs []error
	if hosts := readEndpoints(cla, &errs); len(hosts) != 2 || errs != nil {
		t.Errorf("gateways see %v, %v", hosts, errs)
	}
}

func FuzzDecode(f *testing.F) {
	r := Encode(shop())
	rds, _ := proto.Marshal(r.Routes[RouteName])
	eds, _ := proto.Marshal(r.Endpoints["shop@v41"])
	f.Add(rds, eds)
	f.Fuzz(func(t *testing.T, rds, eds []byte) {
		rc, cla := &routev3.RouteConfiguration{}, &endpointv3.ClusterLoadAssignment{}
		if proto.Unmarshal(rds, rc) != nil || proto.Unmarshal(eds, cla) != nil {
			return
		}
		in := Resources{
			Clusters:  map[string]*clusterv3.Cluster{cla.GetClusterName(): {}},
			Endpoints: map[string]*endpointv3.ClusterLoadAssignment{cla.GetClusterName(): cla},
			Routes:    map[string]*routev3.RouteConfiguration{RouteName: rc, MatrixName: r.Routes[MatrixName]},
		}
		spec, err := Decode(in)
		if err != nil && !reflect.DeepEqual(spec, routing.Spec{}) {
			t.Fatal("an error came with a part of a Spec")
		}
	})
}
