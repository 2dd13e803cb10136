package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

func TestBakeDecides(t *testing.T) {
	t.Parallel()
	limits := Limits{MinRequests: 50, MaxErrorRise: 0.01, MaxP99Ratio: 2}
	for _, c := range []struct {
		name  string
		auto  bool
		calls func(m *mesh)
		want  Phase
		says  string
	}{
		{"healthy goes on", false, func(m *mesh) {
			m.calls(m.tally("g"), 100, "web@v1", "v41", "", time.Millisecond)
			m.calls(m.tally("g2"), 100, "web@v1", "v42", "", time.Millisecond)
		}, Completed, ""},
		{"errors pause", false, func(m *mesh) {
			m.calls(m.tally("g"), 100, "web@v1", "v41", "", time.Millisecond)
			m.calls(m.tally("g2"), 100, "web@v1", "v42", "upstream_failed", time.Millisecond)
		}, Paused, "errors 100.00 % on v42"},
		{"errors abort when told so", true, func(m *mesh) {
			m.calls(m.tally("g"), 100, "web@v1", "v41", "", time.Millisecond)
			m.calls(m.tally("g2"), 100, "web@v1", "v42", "upstream_failed", time.Millisecond)
		}, Aborted, "errors 100.00 %"},
		{"slow pauses", false, func(m *mesh) {
			m.calls(m.tally("g"), 100, "web@v1", "v41", "", time.Millisecond)
			m.calls(m.tally("g2"), 100, "web@v1", "v42", "", 300*time.Millisecond)
		}, Paused, "p90"}, // of a hundred calls, the p99 is one call
		{"no data never aborts", true, func(m *mesh) {
			m.calls(m.tally("g"), 100, "web@v1", "v41", "", time.Millisecond)
			m.calls(m.tally("g2"), 3, "web@v1", "v42", "upstream_failed", time.Millisecond)
		}, Paused, "no-data: 3 requests"},
		{"no gateway is no data", true, func(*mesh) {}, Paused, "no-data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, err := owners.StartEmbedded("127.0.0.1:0", true)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			m := newMesh(t, e.URL())
			m.host("h1", "v41")
			m.host("h2", "v42")
			m.start(Spec{To: "v41"})
			m.start(Spec{To: "v42", Replace: true, Steps: []float64{50}, Bake: wire.Seconds(2 * time.Second), Limits: limits, AutoAbort: c.auto})
			m.control("c1")
			m.until("the bake begins", func() bool { return !m.status().Record.Rollout.BakeAt.IsZero() })
			c.calls(m)
			m.until("phase "+string(c.want), m.phase(c.want))
			rec, err := m.r.Records.Get(t.Context(), "shop")
			if err != nil || !strings.Contains(rec.Rollout.Reason, c.says) {
				t.Errorf("reason %q, want %q in it (%v)", rec.Rollout.Reason, c.says, err)
			}
			if c.want == Aborted && (len(rec.Deployment) != 1 || rec.Deployment[0].Name != "v41") {
				t.Errorf("aborted, but deployed is %+v", rec.Deployment)
			}
		})
	}
}

// What the running minute had counted before the bake is not held against it.
func TestBakeJudgesOnlyItsOwnTime(t *testing.T) {
	a := &skew.Answer{Evidence: skew.Evidence{Seen: 1, Expected: 1}}
	add := func(version string, calls, errors int64) {
		a.Lines = append(a.Lines, skew.Line{Version: version, Calls: calls, Errors: errors})
	}
	add("v41", 1000, 0)
	add("v42", 1000, 100)
	l := Limits{MinRequests: 50, MaxErrorRise: 0.01, MaxP99Ratio: 2}
	if got := analyse(a, nil, "v42", l); got.Verdict != BakeFailed {
		t.Errorf("without a baseline: %+v", got)
	}
	before := a.Totals()
	if got := analyse(a, before, "v42", l); got.Verdict != BakeNoData {
		t.Errorf("nothing since: %+v", got)
	}
	a.Lines = nil
	add("v41", 1100, 0)
	add("v42", 1100, 100)
	if got := analyse(a, before, "v42", l); got.Verdict != BakePassed || got.New.Calls != 100 {
		t.Errorf("healthy since: %+v", got)
	}
}
