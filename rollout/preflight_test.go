package rollout

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

func TestPreflightRefuses(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		m.host("h1", "v41")
		m.start(Spec{To: "v41"})
		try := func(s Spec) (codes []string) {
			t.Helper()
			s.App, s.Replace = "shop", true
			_, err := m.r.Start(ctx, s)
			var r *Refusal
			if err != nil && !errors.As(err, &r) {
				t.Fatal(err)
			}
			if r != nil {
				for _, x := range r.Reasons {
					codes = append(codes, x.Code)
					if x.Next == "" {
						t.Errorf("%s does not say what to type next", x.Code)
					}
				}
			}
			return codes
		}
		if got := try(Spec{To: "v42"}); !slices.Equal(got, []string{CodeNoHost}) {
			t.Errorf("no host: %v", got)
		}
		m.host("h2", "v42")
		m.matrix(skew.Matrix{Objects: []string{"v41"}, Callers: []string{"web@v1"}})
		if got := try(Spec{To: "v42"}); !slices.Equal(got, []string{CodeUnknownVersion}) {
			t.Errorf("unknown version: %v", got)
		}
		m.calls(m.tally("g"), 1, "web@v1", "v41", "", 0)
		m.matrix(skew.Matrix{Objects: []string{"v41", "v42"}, Callers: []string{"web@v1"}, Incompatible: []skew.Incompatible{
			{Class: "Cart", Caller: "web@v1", Object: "v42", Method: "/Old", Rule: "METHOD_REMOVED"}}})
		if got := try(Spec{To: "v42"}); !slices.Equal(got, []string{CodeIncompatible}) {
			t.Errorf("incompatible pair: %v", got)
		}
		m.matrix(skew.Matrix{Objects: []string{"v41", "v42"}, Callers: []string{"web@v1"}, Incompatible: []skew.Incompatible{
			{Class: "Cart", Caller: "web@v1", Object: "v41", Method: "/New", Rule: "METHOD_ADDED"}}})
		if got := try(Spec{To: "v42"}); !slices.Equal(got, []string{CodeWrongOrder}) {
			t.Errorf("wrong order: %v", got)
		}
		m.matrix(skew.Matrix{Objects: []string{"v41", "v42"}, State: []skew.StateCell{{Writer: "v41", Reader: "v42", Verdict: skew.Fail, Rule: "FIELD_TYPE"}}})
		if got := try(Spec{To: "v42"}); !slices.Equal(got, []string{CodeStateUnreadable}) {
			t.Errorf("state: %v", got)
		}
		if got := try(Spec{To: "v42", Override: "I know"}); got != nil {
			t.Errorf("overridden: %v", got)
		}
		h, err := m.r.Records.History(ctx, "shop", 1)
		if err != nil || h[0].Override != "I know" {
			t.Errorf("the override is not in the history: %+v, %v", h, err)
		}
	})
}

func TestPreflightCapacity(t *testing.T) {
	w := World{Classes: []routing.Class{{Name: "Cart", App: "shop"}}}
	add := func(version string, hosts, objects int) {
		for range hosts {
			w.Sessions = append(w.Sessions, owners.Session{App: "shop", Version: version, State: owners.Live, Ready: true, Classes: []string{"Cart"}, Objects: objects})
		}
	}
	add("v41", 6, 1000)
	add("v42", 2, 0)
	spec := Spec{App: "shop", To: "v42"}
	if got := preflightCapacity(w, spec, 20); got != nil {
		t.Errorf("20 %% fits: %v", got)
	}
	if got := preflightCapacity(w, spec, 100); len(got) != 1 || got[0].Code != CodeCapacity {
		t.Errorf("100 %% of six hosts' load on two: %v", got)
	}
}

func TestFollowNeedsToKnowWhereFrom(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h1", "v40")
		m.host("h2", "v41")
		m.host("h3", "v42")
		_, err := m.r.Start(t.Context(), Spec{App: "shop", To: "v42"})
		var r *Refusal
		if !errors.As(err, &r) || r.Reasons[0].Code != CodeNoBase || !strings.Contains(r.Reasons[0].Next, "--from v41") {
			t.Fatalf("%v", err)
		}
		rec := m.start(Spec{To: "v42", From: "v41", Steps: []float64{25, 100}})
		if s := shares(rec.Deployment); math.Abs(s["v42"]-25) > 1e-9 || math.Abs(s["v41"]-75) > 1e-9 {
			t.Errorf("shares %v", s)
		}
	})
}

func TestPointOfNoReturnFreezes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		m.host("h1", "v41")
		m.start(Spec{To: "v41"})
		h2 := m.host("h2", "v42")
		m.matrix(skew.Matrix{Objects: []string{"v41", "v42"}, State: []skew.StateCell{
			{Writer: "v41", Reader: "v42", Verdict: skew.OK},
			{Writer: "v42", Reader: "v41", Verdict: skew.Fail, Rule: "FIELD_ADDED_LOST", Message: "coupon"}}})
		m.start(Spec{To: "v42", Replace: true, Steps: []float64{50, 100}, Bake: wire.Seconds(time.Hour)})
		// Nothing ran v42 yet: abort is abort.
		if rec, err := m.r.Abort(ctx, "shop", Ask{By: "x"}); err != nil || rec.Rollout.Phase != Aborted {
			t.Fatalf("before the point of no return: %+v, %v", rec, err)
		}
		if _, err := m.r.Retry(ctx, "shop", Ask{By: "x"}); err != nil {
			t.Fatal(err)
		}
		m.control("c1")
		if got := m.callAll(20); got["v42"] == 0 {
			t.Fatalf("%v", got)
		}
		if _, err := m.store.Renew(ctx, h2.sid, owners.Health{Ready: true, Objects: 1}); err != nil {
			t.Fatal(err)
		}
		m.until("the crossing is noted", func() bool { return m.status().NoReturn != "" })
		rec, err := m.r.Abort(ctx, "shop", Ask{By: "x"})
		if err != nil || rec.Rollout.Phase != Frozen || !strings.Contains(rec.Rollout.Reason, "Cart/") || !strings.Contains(rec.Rollout.Reason, "FIELD_ADDED_LOST") {
			t.Fatalf("after it: %+v, %v", rec.Rollout, err)
		}
		if s := shares(rec.Deployment); math.Abs(s["v42"]-50) > 1e-9 {
			t.Errorf("frozen, but the shares are %v", s)
		}
	})
}

func TestPreviewSaysWhatStartDoes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h1", "v41")
		m.host("h2", "v42")
		m.start(Spec{To: "v41"})
		m.callAll(100)
		spec := Spec{App: "shop", To: "v42", Steps: []float64{20, 100}, Replace: true}
		keys := []owners.Key{{Class: "Cart", ID: "0"}, {Class: "Cart", ID: "1"}, {Class: "Cart", ID: "2"}}
		p, err := m.r.Preview(t.Context(), spec, keys)
		if err != nil {
			t.Fatal(err)
		}
		rec := m.start(Spec{To: "v42", Steps: []float64{20, 100}, Replace: true})
		if got, want := p.Steps[0].Total, share(rec.Versions(), "v42", 100); got != want || p.Active != 100 || p.Steps[1].Total != 100 {
			t.Errorf("preview %+v, really %d", p, want)
		}
		for i, o := range p.Objects {
			base := Record{Deployment: rec.Rollout.Base}
			for _, percent := range []float64{o.Percent - 0.02, o.Percent} {
				vs, err := scaled(base.Versions(), "v42", percent)
				if err != nil {
					t.Fatal(err)
				}
				place := Placement{Deployment: vs, Class: routing.Class{Name: "Cart"}, Hosts: map[string]int{"v41": 1, "v42": 1}}
				if moved := place.Desired(keys[i].ID, "") == "v42"; moved != (percent == o.Percent) {
					t.Errorf("%s is said to move at %v %%; at %v %% it is %v", o.Object, o.Percent, percent, moved)
				}
			}
		}
	})
}

func TestSpecs(t *testing.T) {
	for _, s := range []Spec{
		{}, {App: "shop"}, {App: "a b", To: "v1"}, {App: "shop", To: "v1", Steps: []float64{0}}, {App: "shop", To: "v1", Steps: []float64{50, 20}},
		{App: "shop", To: "v1", Steps: []float64{101}}, {App: "shop", To: "v1", Bake: -1}, {App: "shop", To: "v1", Move: Move{Mode: "fast"}},
		{App: "shop", To: "v1", Move: Move{Rate: math.NaN()}}, {App: "shop", To: "v1", Steps: []float64{math.NaN()}},
	} {
		if err := s.withDefaults().Validate(); !errors.Is(err, ErrSpec) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if err := (Spec{App: "shop", To: "v1", Steps: []float64{0.001, 100}}).withDefaults().Validate(); err != nil {
		t.Error(err)
	}
}
