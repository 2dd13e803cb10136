package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/schema"
	"github.com/skewgate/skewgate/wire"
)

func code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestHostsAreListedCordonedAndDrained(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		m.host("h-1", "v41")
		h, err := m.client.Host(ctx, "h-1")
		if err != nil || h.App != "shop" || h.Version != "v41" || h.State != "ready" || time.Duration(h.Lease) != hostLease {
			t.Fatalf("%+v, %v", h, err)
		}
		if h.Heartbeat <= 0 || time.Duration(h.Heartbeat) > hostLease || h.Active == nil || h.Active.Session != h.Session {
			t.Errorf("heartbeat %s, active %+v", time.Duration(h.Heartbeat), h.Active)
		}
		if h, err = m.client.ActOnHost(ctx, "h-1", "cordon"); err != nil || h.State != "cordoned" {
			t.Fatalf("cordon: %+v, %v", h, err)
		}
		if s := m.session("h-1"); s.Wanted != owners.WantedCordon {
			t.Errorf("the store does not know: %+v", s)
		}
		if h, err = m.client.ActOnHost(ctx, h.Session[:8], "uncordon"); err != nil || h.State != "ready" {
			t.Fatalf("uncordon by session: %+v, %v", h, err)
		}
		if _, err := m.client.ActOnHost(ctx, "h-1", "explode"); code(err) != "bad_request" {
			t.Errorf("unknown verb: %v", err)
		}
		if _, err := m.client.Host(ctx, "nobody"); code(err) != "not_found" || !strings.Contains(err.Error(), "hosts list") {
			t.Errorf("unknown host: %v", err)
		}
		audit, err := m.client.Audit(ctx, 10)
		if err != nil || len(audit.Items) != 3 || audit.Items[2].By != "tester" || audit.Items[2].Result != "ok" || audit.Items[0].Result == "ok" {
			t.Errorf("audit %+v, %v", audit, err)
		}
	})
}

func TestDrainedHostEnds(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	if _, err := m.client.ActOnHost(t.Context(), "h-1", "drain"); err != nil {
		t.Fatal(err)
	}
	m.until("h-1 has ended", func() bool {
		l, err := m.client.Hosts(t.Context(), HostQuery{All: true})
		if err != nil {
			t.Fatal(err)
		}
		return len(l.Items) == 1 && l.Items[0].State == "closed"
	})
	if l, err := m.client.Hosts(t.Context(), HostQuery{}); err != nil || len(l.Items) != 0 {
		t.Errorf("hosts that are alive: %+v, %v", l, err)
	}
}

func TestObjectsSayWhereAndWhy(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		m.host("h-1", "v41")
		m.host("h-2", "v42")
		k := owners.Key{Class: "Cart", ID: "a/b ü"}
		o, err := m.client.Object(ctx, k)
		if err != nil || o.State != "none" || !strings.HasPrefix(o.Why, "follow") {
			t.Fatalf("never called: %+v, %v", o, err)
		}
		m.call("8812", "h-1")
		k.ID = "8812"
		o, err = m.client.Object(ctx, k)
		if err != nil || o.State != "owned" || o.Host != "h-1" || o.Version != "v41" || !o.Gate || o.Fence != "redis" || o.Active == nil || o.Active.State != "ready" {
			t.Fatalf("active: %+v (%+v), %v", o, o.Active, err)
		}
		if _, err := m.client.StartRollout(ctx, RolloutStart{Spec: rollout.Spec{App: "shop", To: "v42", From: "v41"}}); err != nil {
			t.Fatal(err)
		}
		o, err = m.client.Object(ctx, k)
		if err != nil || o.Assigned != "v42" || !strings.Contains(o.Why, "when it is next idle") {
			t.Errorf("assigned elsewhere: %+v, %v", o, err)
		}
		l, err := m.client.Objects(ctx, ObjectQuery{Class: "Cart", Moving: true})
		if err != nil || len(l.Items) != 1 || l.Items[0].Object != "Cart/8812" {
			t.Errorf("moving: %+v, %v", l, err)
		}
		if l, err := m.client.Objects(ctx, ObjectQuery{Host: "h-2"}); err != nil || len(l.Items) != 0 {
			t.Errorf("on h-2: %+v, %v", l, err)
		}
		moved, err := m.client.MoveObject(ctx, k, ObjectMove{Reason: "hot"})
		if err != nil || moved.From != "h-1" || moved.To != "h-2" {
			t.Fatalf("move: %+v, %v", moved, err)
		}
		m.call("8812", "h-2")
		o, err = m.client.Object(ctx, k)
		if err != nil || o.Host != "h-2" || o.Version != "v42" || o.Token != moved.Token || o.Active == nil {
			t.Errorf("after the move: %+v, %v", o, err)
		}
		h, err := m.client.ObjectHistory(ctx, k, 10)
		if err != nil || len(h.Items) != 1 || h.Items[0].Reason != rollout.ReasonOperator || h.Items[0].Detail != "tester hot" {
			t.Errorf("history: %+v, %v", h, err)
		}
	})
}

func TestRolloutThroughTheAPI(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		m.host("h-1", "v41")
		start := RolloutStart{Spec: rollout.Spec{App: "shop", To: "v42", Steps: []float64{20, 100}, Bake: wire.Seconds(time.Hour)}}
		_, err := m.client.StartRollout(ctx, start)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusConflict || !e.Refused() || e.Unknown || e.Reasons[0].Code != rollout.CodeNoHost {
			t.Fatalf("without a host: %v", err)
		}
		m.host("h-2", "v42")
		m.call("1", "h-1")
		start.Objects = []string{"Cart/1"}
		p, err := m.client.PreviewRollout(ctx, start)
		if err != nil || p.Active != 1 || len(p.Steps) != 2 || p.Steps[1].Total != 1 || len(p.Objects) != 1 || p.Objects[0].Runs != "v41" {
			t.Fatalf("preview: %+v, %v", p, err)
		}
		r, err := m.client.StartRollout(ctx, start)
		if err != nil || r.Record.Rollout.Phase != rollout.Progressing || r.Record.Rollout.Spec.By != "tester" {
			t.Fatalf("start: %+v, %v", r, err)
		}
		if r, err = m.client.ActOnRollout(ctx, "shop", "pause", rollout.Ask{Reason: "lunch"}); err != nil || r.Record.Rollout.Phase != rollout.Paused || len(r.Next) == 0 {
			t.Fatalf("pause: %+v, %v", r, err)
		}
		can, err := m.client.CanI(ctx, skew.Promote, "shop", "v42", time.Hour)
		if err != nil || can.Answer != "no" || !strings.Contains(can.Reasons[0].Message, "lunch") {
			t.Errorf("can-i promote: %+v, %v", can, err)
		}
		if r, err = m.client.ActOnRollout(ctx, "shop", "abort", rollout.Ask{}); err != nil || r.Record.Rollout.Phase != rollout.Aborted {
			t.Fatalf("abort: %+v, %v", r, err)
		}
		h, err := m.client.RolloutHistory(ctx, "shop", 10)
		if err != nil || len(h.Items) != 3 || h.Items[0].Action != "abort" || h.Items[0].By != "tester" {
			t.Errorf("history: %+v, %v", h, err)
		}
		all, err := m.client.Rollouts(ctx)
		if err != nil || len(all.Items) != 1 {
			t.Errorf("list: %+v, %v", all, err)
		}
		if _, err := m.client.Rollout(ctx, "nobody"); code(err) != "not_found" {
			t.Errorf("unknown app: %v", err)
		}
		if _, err := m.client.StartRollout(ctx, RolloutStart{Spec: rollout.Spec{App: "shop", To: "v42", Steps: []float64{50, 20}}}); code(err) != "bad_request" {
			t.Errorf("falling steps: %v", err)
		}
	})
}

func TestVersionsComeFromWhatIsLive(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h-1", "v41")
		m.tally(10, "web@v7", "v41", "/Get", "")
		l, err := m.client.Versions(t.Context(), "")
		if err != nil || len(l.Items) != 2 {
			t.Fatalf("%+v, %v", l, err)
		}
		if v := l.Items[0]; v.App != "shop" || v.State != "active" || v.Hosts != 1 || v.Calls != 10 || !slices.Equal(v.Callers, []string{"web@v7"}) {
			t.Errorf("shop: %+v", v)
		}
		if v := l.Items[1]; v.App != "web" || v.State != "calling" || v.Calling != 10 {
			t.Errorf("web: %+v", v)
		}
		if _, err := m.client.Version(t.Context(), "shop", "v99"); code(err) != "not_found" {
			t.Errorf("unknown version: %v", err)
		}
	})
}

// example is a version of the example app, as a push carries it.
func example(t *testing.T, dir string) SchemaPush {
	t.Helper()
	in, err := schema.ParseInput("../examples/shop/" + dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := schema.Load(t.Context(), in, schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(set.DescriptorSet())
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := EncodeManifest(set.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return SchemaPush{DescriptorSet: b, Manifest: manifest}
}

// packing is a push whose manifest also says what an Any field holds.
func packing(t *testing.T, push SchemaPush, field string) SchemaPush {
	t.Helper()
	m, err := schema.ParseManifest("skewgate.yaml", []byte(push.Manifest))
	if err != nil {
		t.Fatal(err)
	}
	cart := m.Exports["Cart"]
	cart.Payloads = []schema.Payload{{Field: field, Types: []string{cart.State[0]}}}
	m.Exports["Cart"] = cart
	if push.Manifest, err = EncodeManifest(m); err != nil {
		t.Fatal(err)
	}
	return push
}

func TestSchemasBecomeAMatrix(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		v1, v2 := example(t, "v1"), example(t, "v2")
		if s, err := m.client.PushSchema(ctx, "shop", "v1", v1); err != nil || s.Digest == "" || !slices.Equal(s.Exports, []string{"Cart"}) {
			t.Fatalf("push: %+v, %v", s, err)
		}
		if l, err := m.client.Matrices(ctx, "Cart"); err != nil || len(l.Items) != 1 || !slices.Equal(l.Items[0].Objects, []string{"v1"}) {
			t.Fatalf("one version: %+v, %v", l, err)
		}
		if _, err := m.client.PushSchema(ctx, "shop", "v2", v2); err != nil {
			t.Fatal(err)
		}
		worker := SchemaPush{DescriptorSet: v2.DescriptorSet} // no manifest: it binds what the mesh says
		if s, err := m.client.PushSchema(ctx, "web", "v2", worker); err != nil || !slices.Equal(s.Binds, []string{"Cart"}) {
			t.Fatalf("push of a worker: %+v, %v", s, err)
		}
		l, err := m.client.Matrices(ctx, "")
		if err != nil || len(l.Items) != 1 {
			t.Fatalf("%+v, %v", l, err)
		}
		x := l.Items[0].Matrix
		if x.App != "shop" || !slices.Equal(x.Objects, []string{"v1", "v2"}) || !slices.Contains(x.Callers, "web@v2") {
			t.Errorf("matrix: %+v", x)
		}
		if bad, known := x.Pair("web@v2", "v1"); !known || len(bad) == 0 || !strings.HasPrefix(bad[0].Method, "/shop.v1.CartService/") {
			t.Errorf("a new worker and an old object: %+v, known %v", bad, known)
		}
		if bad, known := x.Pair("web@v2", "v2"); !known || len(bad) != 0 {
			t.Errorf("the same version: %+v, known %v", bad, known)
		}
		if c := x.Reads("v2", "v1"); c.Verdict != skew.Fail || c.Rule == "" {
			t.Errorf("the example forbids going back: %+v", c)
		}
		if c := x.Reads("v1", "v2"); c.Verdict != skew.OK {
			t.Errorf("going on: %+v", c)
		}
		if s, err := m.client.RetireSchema(ctx, "shop", "v1"); err != nil || s.Retired.IsZero() {
			t.Fatalf("retire: %+v, %v", s, err)
		}
		if l, err := m.client.Matrices(ctx, "Cart"); err != nil || !slices.Equal(l.Items[0].Objects, []string{"v2"}) {
			t.Errorf("a retired version is still in the matrix: %+v, %v", l, err)
		}
	})
}

func TestVersionIsImmutable(t *testing.T) {
	m := embedded(t)
	ctx := t.Context()
	v1, v2 := example(t, "v1"), example(t, "v2")
	for range 2 { // the same again is no error
		if _, err := m.client.PushSchema(ctx, "shop", "v1", v1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.client.PushSchema(ctx, "shop", "v1", v2); code(err) != "schema_differs" {
		t.Errorf("another schema under the same version: %v", err)
	}
	if _, err := m.client.PushSchema(ctx, "web", "v1", v1); code(err) != "bad_request" {
		t.Errorf("a manifest of another app: %v", err)
	}
	if _, err := m.client.PushSchema(ctx, "shop", "v3", SchemaPush{DescriptorSet: []byte("nonsense")}); code(err) != "bad_request" {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := m.client.PushSchema(ctx, "shop", "v3", packing(t, v1, "shop.v1.Gone.any")); code(err) != "bad_request" || !strings.Contains(err.Error(), "shop.v1.Gone.any") {
		t.Errorf("payloads of a field that is not there: %v", err)
	}
	_, err := m.client.Schema(ctx, "shop", "v9")
	var e *Error
	if !errors.As(err, &e) || !e.Unknown || e.Status != http.StatusNotFound {
		t.Errorf("an unknown version: %v", err)
	}
}

func TestCanIKnowsNoYesWithoutEvidence(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h-1", "v41")
		can, err := m.client.CanI(t.Context(), skew.Remove, "shop", "v40", time.Hour)
		if err != nil || can.Answer != "unknown" {
			t.Fatalf("without a gateway: %+v, %v", can, err)
		}
		if _, err := m.client.CanI(t.Context(), "dance", "shop", "v40", time.Hour); code(err) != "bad_request" {
			t.Errorf("unknown question: %v", err)
		}
		if _, err := m.client.CanI(t.Context(), skew.Remove, "nobody", "v40", time.Hour); code(err) != "not_found" {
			t.Errorf("unknown app: %v", err)
		}
	})
}

func TestDoctorNamesWhatIsWrong(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		d, err := m.client.Doctor(t.Context())
		if err != nil || d.Errors == 0 {
			t.Fatalf("no host, no watcher: %+v, %v", d, err)
		}
		find := func(name string) Check {
			t.Helper()
			for _, c := range d.Checks {
				if c.Name == name {
					return c
				}
			}
			t.Fatalf("no check %q in %+v", name, d.Checks)
			return Check{}
		}
		for _, name := range []string{"hosts of Cart", "watchers", "gateways", "proxy edge-1"} {
			if c := find(name); c.OK || c.Fix == "" {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if c := find("store eviction"); !c.OK {
			t.Errorf("%+v", c)
		}
		m.host("h-1", "v41")
		if d, err = m.client.Doctor(t.Context()); err != nil || !find("hosts of Cart").OK {
			t.Errorf("with a host: %+v, %v", d, err)
		}
	})
}

func TestTokenIsAskedFor(t *testing.T) {
	e, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m := newMesh(t, e.URL(), "s3cret")
	if _, err := m.client.Hosts(t.Context(), HostQuery{}); err != nil {
		t.Fatalf("with the token: %v", err)
	}
	for _, wrong := range []string{"", "s3cre", "s3crets"} {
		c := *m.client
		c.Token = wrong
		if _, err := c.Hosts(t.Context(), HostQuery{}); code(err) != "unauthorized" {
			t.Errorf("token %q: %v", wrong, err)
		}
	}
	if status, _ := m.raw(t, "GET", "/livez", nil); status != http.StatusOK {
		t.Errorf("/livez wants a token: %d", status)
	}
}

func (m *mesh) raw(t *testing.T, method, path string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, m.api+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := m.client.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestOtherPagesMayNotUseALoopbackAPI(t *testing.T) {
	m := embedded(t)
	for _, h := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}} {
		if status, body := m.raw(t, "GET", "/v1/hosts", h); status != http.StatusForbidden || !strings.Contains(body, "cross_origin") {
			t.Errorf("%v: %d %s", h, status, body)
		}
	}
	for _, h := range []map[string]string{nil, {"Sec-Fetch-Site": "same-origin"}, {"Origin": m.api}} {
		if status, body := m.raw(t, "GET", "/v1/hosts", h); status != http.StatusOK {
			t.Errorf("%v: %d %s", h, status, body)
		}
	}
}

func TestProblemsAreProblems(t *testing.T) {
	m := embedded(t)
	for path, want := range map[string]int{
		"/v1/nonsense": 404, "/v1/objects/Cart/%01": 400, "/v1/objects/Cart/" + strings.Repeat("x", 600): 400, "/v1/objects?limit=0": 400,
		"/v1/skew?since=9000h": 400, "/v1/skew?since=x": 400, "/v1/objects/Nope/1": 404,
	} {
		status, body := m.raw(t, "GET", path, nil)
		var p struct{ Type, Title, Code, Detail string }
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != want || p.Type == "" || p.Title == "" || p.Code == "" || p.Detail == "" {
			t.Errorf("%s: %d %s (%v)", path, status, body, err)
		}
	}
}

func TestIDsThatLookLikePaths(t *testing.T) {
	m := embedded(t)
	for _, id := range []string{".", "..", "a/b", "a%2Fb", "?x=1", "#", " ", "日本"} {
		k := owners.Key{Class: "Cart", ID: id}
		if o, err := m.client.Object(t.Context(), k); err != nil || o.ID != id || o.Object != k.String() {
			t.Errorf("%q: %+v, %v", id, o, err)
		}
	}
}

func TestReadyzSaysWhy(t *testing.T) {
	m := embedded(t)
	if status, body := m.raw(t, "GET", "/readyz?verbose", nil); status != http.StatusOK || !strings.Contains(body, "[+]store") {
		t.Errorf("%d %s", status, body)
	}
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
	if status, body := m.raw(t, "GET", "/readyz?verbose", nil); status != http.StatusServiceUnavailable || !strings.Contains(body, "[-]store") {
		t.Errorf("without a store: %d %s", status, body)
	}
}

func TestEncodeNamesTheKind(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{List[Host]{Items: []Host{}}, `{"apiVersion":"skewgate/v1","kind":"HostList","items":[]}`},
		{struct{}{}, `{"apiVersion":"skewgate/v1","kind":""}`},
		{&MovedObject{Object: "Cart/1"}, `{"apiVersion":"skewgate/v1","kind":"MovedObject","object":"Cart/1","from":"","to":"","token":0}`},
	} {
		if got, err := Encode(c.v); err != nil || !bytes.Equal(got, []byte(c.want)) {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
	if _, err := Encode([]int{1}); err == nil {
		t.Error("a list without a name was encoded")
	}
}

func TestManifestSurvivesAPush(t *testing.T) {
	for _, dir := range []string{"v1", "v2"} {
		text, err := os.ReadFile("../examples/shop/" + dir + "/skewgate.yaml")
		if err != nil {
			t.Fatal(err)
		}
		before, err := schema.ParseManifest("skewgate.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := EncodeManifest(before)
		if err != nil {
			t.Fatal(err)
		}
		after, err := schema.ParseManifest("skewgate.yaml", []byte(encoded))
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		for name, c := range before.Exports {
			d := after.Exports[name]
			if !slices.Equal(c.Services, d.Services) || !slices.Equal(c.State, d.State) || c.Opaque != d.Opaque || !slices.Equal(c.Encodings, d.Encodings) {
				t.Errorf("%s: %+v became %+v", name, c, d)
			}
		}
	}
}
