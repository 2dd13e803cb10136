package rollout

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
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
