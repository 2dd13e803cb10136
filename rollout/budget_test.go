package rollout

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func TestMovesStayWithinTheBudget(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		h1 := m.host("h1", "v41")
		h1.takes = 20 * time.Millisecond
		m.host("h2", "v42")
		m.start(Spec{To: "v41"})
		m.callAll(80)
		stop1, stop2 := m.control("c1"), m.control("c2") // two replicas, one budget
		defer stop1()
		defer stop2()
		const rate, burst, inFlight = 20, 20, 3
		began := time.Now()
		m.start(Spec{To: "v42", Replace: true, Move: Move{Mode: routing.MoveDrain, Rate: rate, InFlight: inFlight}})
		m.until("45 objects have moved", func() bool { return m.callAll(80)["v42"] >= 45 })
		took := time.Since(began).Seconds()
		moved := float64(m.callAll(80)["v42"])
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
		m.classes[0].Move.Rate, m.classes[0].Move.InFlight = 0.001, 2 // one token, then none for a quarter of an hour
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

// A rollout and its limits come into the store together: a control that dies in
// between would leave a rollout with somebody else's.
func TestLimitsComeWithTheRecordOrNotAtAll(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		ctx, key := t.Context(), m.r.Budget.keys("Cart")[0]
		own := func() string {
			t.Helper()
			rate, err := m.store.Redis().HGet(ctx, key, "rate").Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				t.Fatal(err)
			}
			return rate
		}
		rec := &Record{App: "shop"}
		if err := m.r.Records.Put(ctx, rec, Change{Action: "start", limits: m.r.limits(Spec{App: "shop", Move: Move{Rate: 7, InFlight: 3}})}); err != nil {
			t.Fatal(err)
		}
		if got := own(); got != "7" {
			t.Errorf("the rollout's rate in the store is %q", got)
		}
		late := &Record{App: "shop"} // read before the other was written
		err := m.r.Records.Put(ctx, late, Change{Action: "start", limits: m.r.limits(Spec{App: "shop", Move: Move{Rate: 9}})})
		if !errors.Is(err, ErrConflict) || own() != "7" {
			t.Errorf("a change that came too late: %v; the rate is %s", err, own())
		}
		if err := m.r.Records.Put(ctx, rec, Change{Action: "pause"}); err != nil || own() != "7" {
			t.Errorf("another change of the same rollout: %v; the rate is %s", err, own())
		}
		if err := m.r.Records.Put(ctx, rec, Change{Action: "start", limits: m.r.limits(Spec{App: "shop"})}); err != nil || own() != "" {
			t.Errorf("a rollout without limits: %v; the rate is %s", err, own())
		}
	})
}
