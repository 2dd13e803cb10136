package rollout

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

func TestDrainMovesActiveObjectsStepByStep(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h1", "v41")
		m.host("h2", "v42")
		const n = 60
		m.start(Spec{To: "v41"}) // deploys v41 alone
		m.control("c1")
		m.until("v41 is deployed", m.phase(Completed))
		if got := m.callAll(n); got["v41"] != n {
			t.Fatalf("before the rollout: %v", got)
		}

		rec := m.start(Spec{To: "v42", Steps: []float64{50, 100}, Move: Move{Mode: routing.MoveDrain}})
		half := share(rec.Versions(), "v42", n)
		if half < n/4 || half > n*3/4 {
			t.Fatalf("%d of %d assigned at 50 %%", half, n)
		}
		m.until("half have moved", func() bool { return m.callAll(n)["v42"] >= half })
		m.until("the rollout completes", func() bool { m.callAll(n); return m.phase(Completed)() })
		if got := m.callAll(n); got["v42"] != n {
			t.Errorf("after the rollout: %v", got)
		}
		s := m.status()
		if s.Moves.Done != n || s.Moves.Failed != 0 || !s.Converged {
			t.Errorf("status %+v, converged %v", s.Moves, s.Converged)
		}
		if rec := s.Record; len(rec.Deployment) != 1 || rec.Deployment[0].Name != "v42" {
			t.Errorf("deployed %+v", rec.Deployment)
		}
		h, err := m.r.Records.History(t.Context(), "shop", 100)
		if err != nil || len(h) < 6 || h[0].Action != "complete" || h[0].By != "c1" {
			t.Errorf("history %+v, %v", h, err)
		}
		moves, err := m.r.Moves.Of(t.Context(), owners.Key{Class: "Cart", ID: "0"}, 10)
		if err != nil || len(moves) != 1 || moves[0].Reason != ReasonRollout || moves[0].ToVersion != "v42" || moves[0].FromHost != "h1" {
			t.Errorf("moves of one object: %+v, %v", moves, err)
		}
	})
}

func TestLazyMovesNothingUntilIdle(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		h1 := m.host("h1", "v41")
		m.host("h2", "v42")
		m.control("c1")
		m.start(Spec{To: "v41"})
		m.callAll(20)
		m.start(Spec{To: "v42", Replace: true})
		m.until("the rollout completes", m.phase(Completed))
		if got := m.callAll(20); got["v41"] != 20 {
			t.Errorf("active objects moved: %v", got)
		}
		if h1.releases.Load() != 0 {
			t.Error("a lazy rollout asked for releases")
		}
		m.idle(20)
		if got := m.callAll(20); got["v42"] != 20 {
			t.Errorf("idle objects did not take their assigned version: %v", got)
		}
	})
}

func TestMovesStayWithinTheBudget(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		h1 := m.host("h1", "v41")
		h1.takes = 20 * time.Millisecond
		m.host("h2", "v42")
		m.start(Spec{To: "v41"})
		m.callAll(200)
		stop1, stop2 := m.control("c1"), m.control("c2") // two replicas, one budget
		defer stop1()
		defer stop2()
		const rate, burst, inFlight = 20, 20, 3
		began := time.Now()
		m.start(Spec{To: "v42", Replace: true, Move: Move{Mode: routing.MoveDrain, Rate: rate, InFlight: inFlight}})
		m.until("80 objects have moved", func() bool { return m.callAll(200)["v42"] >= 80 })
		took := time.Since(began).Seconds()
		moved := float64(m.callAll(200)["v42"])
		if most := burst + rate*took + 1; moved > most {
			t.Errorf("%v moves in %.1f s, the budget allows %.0f", moved, took, most)
		}
		if got := h1.most.Load(); got > inFlight {
			t.Errorf("%d releases at a time, %d are allowed", got, inFlight)
		}
	})
}

// The budget's negative control: the same calls without it exceed it.
func TestBudgetIsWhatHoldsThemBack(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.classes[0].Move.Rate = 5
		m.host("h1", "v41")
		m.host("h2", "v42")
		m.start(Spec{To: "v41"})
		m.callAll(50)
		m.start(Spec{To: "v42", Replace: true})
		m.idle(50)
		began := time.Now()
		got := m.callAll(50)["v42"]
		if most := 5 + 5*time.Since(began).Seconds() + 1; float64(got) > most {
			t.Errorf("%d of 50 moved at once, %.0f are allowed", got, most)
		}
		m.classes[0].Move.Rate = 0
		m.idle(50)
		if got := m.callAll(50)["v42"]; got != 50 {
			t.Errorf("without a limit %d of 50 moved: the test above proves nothing", got)
		}
	})
}

func TestGrantIsNotPaidTwice(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx, b := t.Context(), m.r.Budget
		if err := b.Override(ctx, "Cart", 0.001, 2); err != nil { // one token, then none for a quarter of an hour
			t.Fatal(err)
		}
		begin := func(id string) begun {
			t.Helper()
			got, err := b.start(ctx, "Cart", id, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		take := func() bool {
			t.Helper()
			ok, err := b.Take(ctx, "Cart")
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if begin("1") != begunOK || begin("1") != elsewhere || begin("2") != noBudget || take() {
			t.Fatal("one token: the first begins, the same again is elsewhere, nobody else gets any")
		}
		if err := b.finish(ctx, "Cart", "1", false); err != nil {
			t.Fatal(err)
		}
		if begin("2") != begunOK {
			t.Fatal("the token of a failed release was lost")
		}
		if err := b.finish(ctx, "Cart", "2", true); err != nil {
			t.Fatal(err)
		}
		if !take() || take() {
			t.Fatal("a released object may move once without a new token")
		}
		s, err := b.Spent(ctx, "Cart")
		if err != nil || s != (Spent{Taken: 1, Released: 1, Failed: 1}) {
			t.Errorf("spent %+v, %v", s, err)
		}
	})
}

func TestAnotherReplicaCarriesOn(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h1", "v41")
		m.host("h2", "v42")
		m.start(Spec{To: "v41"})
		m.callAll(30)
		stop := m.control("c1")
		m.until("v41 is deployed", m.phase(Completed))
		m.start(Spec{To: "v42", Steps: []float64{10, 50, 100}, Move: Move{Mode: routing.MoveDrain, Rate: 20}})
		m.until("the first step is over", func() bool { return m.callAll(30)["v42"] > 2 })
		stop()
		m.control("c2")
		m.until("the rollout completes", func() bool { m.callAll(30); return m.phase(Completed)() })
		h, err := m.r.Records.History(t.Context(), "shop", 1)
		if err != nil || h[0].By != "c2" {
			t.Errorf("completed by %+v, %v", h, err)
		}
	})
}

func TestRecordsChangeOneAtATime(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		first, err := m.r.Records.Get(ctx, "shop")
		if err != nil {
			t.Fatal(err)
		}
		second := *first
		if err := m.r.Records.Put(ctx, first, Change{Action: "a"}); err != nil {
			t.Fatal(err)
		}
		if err := m.r.Records.Put(ctx, &second, Change{Action: "b"}); !errors.Is(err, ErrConflict) {
			t.Fatalf("a second change of the same revision: %v", err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := m.r.change(ctx, "shop", func(rec *Record, _ time.Time) (Change, error) {
					rec.Generation++
					return Change{Action: "count"}, nil
				})
				if err != nil && !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		rec, err := m.r.Records.Get(ctx, "shop")
		if err != nil || rec.Generation != rec.Revision-1 {
			t.Errorf("revision %d, generation %d: a change was lost, %v", rec.Revision, rec.Generation, err)
		}
	})
}

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
			m.start(Spec{To: "v42", Replace: true, Steps: []float64{50}, Bake: wire.Seconds(3 * time.Second), Limits: limits, AutoAbort: c.auto})
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

func TestActions(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx := t.Context()
		m.host("h1", "v41")
		m.host("h2", "v42")
		code := func(err error) string {
			var r *Refusal
			if errors.As(err, &r) {
				return r.Reasons[0].Code
			}
			return ""
		}
		if _, err := m.r.Pause(ctx, "shop", Ask{}); code(err) != CodeNoRollout {
			t.Errorf("pause of nothing: %v", err)
		}
		m.start(Spec{To: "v41"})
		if _, err := m.r.Promote(ctx, "shop", Ask{By: "x"}); err != nil {
			t.Fatal(err)
		}
		m.start(Spec{To: "v42", Steps: []float64{10, 20, 50, 100}, Bake: wire.Seconds(time.Hour)})
		if _, err := m.r.Start(ctx, Spec{App: "shop", To: "v43"}); code(err) != CodeUnderWay {
			t.Errorf("a second rollout: %v", err)
		}
		weight := func(rec *Record, err error) float64 {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return math.Round(shares(rec.Deployment)["v42"]*1000) / 1000
		}
		if w := weight(m.r.Promote(ctx, "shop", Ask{By: "x"})); w != 20 {
			t.Errorf("promoted to %v", w)
		}
		if w := weight(m.r.Pause(ctx, "shop", Ask{By: "x"})); w != 20 {
			t.Errorf("paused at %v", w)
		}
		if _, err := m.r.Pause(ctx, "shop", Ask{}); code(err) != CodeWrongPhase {
			t.Errorf("paused twice: %v", err)
		}
		if w := weight(m.r.Resume(ctx, "shop", Ask{By: "x"})); w != 20 {
			t.Errorf("resumed at %v", w)
		}
		before, err := m.r.Records.Get(ctx, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if w := weight(m.r.Abort(ctx, "shop", Ask{By: "x", Reason: "smoke"})); w != 0 {
			t.Errorf("aborted at %v", w)
		}
		if _, err := m.r.Abort(ctx, "shop", Ask{}); code(err) != CodeWrongPhase {
			t.Errorf("aborted twice: %v", err)
		}
		again, err := m.r.Retry(ctx, "shop", Ask{By: "x"})
		if w := weight(again, err); w != 10 {
			t.Errorf("retried at %v", w)
		}
		salt := func(r *Record) string {
			i := slices.IndexFunc(r.Deployment, func(v Version) bool { return v.Name == "v42" })
			return r.Deployment[i].Salt
		}
		if salt(before) != salt(again) {
			t.Error("a retry picks other objects than the first try")
		}
		if w := weight(m.r.Promote(ctx, "shop", Ask{By: "x", Full: true})); w != 100 {
			t.Errorf("promoted in full to %v", w)
		}
		if w := weight(m.r.Undo(ctx, "shop", Ask{By: "x"})); w != 0 {
			t.Errorf("undone at %v", w)
		}
		h, err := m.r.Records.History(ctx, "shop", 100)
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, c := range slices.Backward(h) {
			actions = append(actions, c.Action)
		}
		if got := strings.Join(actions, " "); got != "start complete start promote pause resume abort retry promote start" {
			t.Errorf("history: %s", got)
		}
	})
}

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
		m.host("h2", "v42")
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
				if moved := Desired(vs, map[string]int{"v41": 1, "v42": 1}, "Cart", keys[i].ID) == "v42"; moved != (percent == o.Percent) {
					t.Errorf("%s is said to move at %v %%; at %v %% it is %v", o.Object, o.Percent, percent, moved)
				}
			}
		}
	})
}

func TestRefusedReleaseIsTriedAgainAndCounted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		h := m.host("h1", "v41")
		h.refuse.Store(true)
		m.host("h2", "v42")
		m.start(Spec{To: "v41"})
		m.callAll(3)
		m.control("c1")
		m.start(Spec{To: "v42", Replace: true, Move: Move{Mode: routing.MoveNow}})
		m.until("releases fail", func() bool { return m.status().Moves.Failed >= 3 })
		if got := m.callAll(3); got["v41"] != 3 || m.phase(Completed)() {
			t.Errorf("nothing was released, but %v", got)
		}
		h.refuse.Store(false)
		m.until("the rollout completes", func() bool { m.callAll(3); return m.phase(Completed)() })
	})
}

func TestThrashGuard(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		mv := newMover(m.r)
		k := owners.Key{Class: "Cart", ID: "1"}
		a := &aim{rec: &Record{Move: Move{MinPause: wire.Seconds(time.Hour)}}}
		check := func(want bool) {
			t.Helper()
			if got, err := mv.tooSoon(context.Background(), a, k); err != nil || got != want {
				t.Fatalf("too soon: %v, %v; want %v", got, err, want)
			}
		}
		check(false)
		if err := m.r.Moves.Add(t.Context(), k, Moved{At: time.Now(), Reason: ReasonRollout}); err != nil {
			t.Fatal(err)
		}
		check(true)
		a.rec.Move.MinPause = 0
		check(false)
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
