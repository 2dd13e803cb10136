package rollout

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// BenchmarkPass is one look of the mover at 20,000 active objects, none of which must move.
func BenchmarkPass(b *testing.B) {
	ctx := b.Context()
	store, err := owners.Open(ctx, owners.Options{URL: "redis://" + testenv.Redis(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Init(ctx); err != nil {
		b.Fatal(err)
	}
	sid := owners.NewSID()
	if _, err := store.Register(ctx, owners.Registration{
		SID: sid, Addr: "127.0.0.1:1", Name: "h", App: "shop", Version: "v1", Classes: []string{"Cart"}, Lease: 30 * time.Second, Ready: true,
	}); err != nil {
		b.Fatal(err)
	}
	const objects = 20_000
	for i := range objects {
		if _, won, err := store.Acquire(ctx, owners.Acquire{Key: owners.Key{Class: "Cart", ID: fmt.Sprint(i)}, SID: sid}); err != nil || !won {
			b.Fatal(won, err)
		}
	}
	classes := func() []routing.Class { return []routing.Class{{Name: "Cart", App: "shop", Mode: routing.ModeOwn}} }
	r := New(Options{Store: store, Classes: classes, Logger: slog.New(slog.DiscardHandler)})
	if _, err := r.Start(ctx, Spec{App: "shop", To: "v1"}); err != nil {
		b.Fatal(err)
	}
	m := newMover(r)
	if _, err := r.change(ctx, "shop", func(rec *Record, _ time.Time) (Change, error) {
		rec.Move.Mode = routing.MoveDrain
		return Change{}, nil
	}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, n, err := m.pass(ctx, "shop", &appMoves{}); err != nil || n != 0 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(objects)*float64(b.N)/b.Elapsed().Seconds(), "pins/s")
}
