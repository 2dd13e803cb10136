package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
)

// The death of a host with many objects is written down in few calls: the
// host's name is read once, and what waits is written together.
func TestMovesOfADeadHostAreNotedInFewCalls(t *testing.T) {
	t.Parallel()
	const moves = 300
	server := testenv.StartRedis(t)
	store, err := owners.Open(t.Context(), owners.Options{URL: "redis://" + server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	sid := owners.NewSID()
	if _, err := store.Register(t.Context(), owners.Registration{
		SID: sid, Addr: "127.0.0.1:1", Name: "gone", App: "shop", Version: "v1", Classes: []string{"Cart"}, Lease: time.Second,
	}); err != nil {
		t.Fatal(err)
	}
	if err := store.CloseSession(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	log := rollout.NewMoveLog(store.Redis(), store.Prefix())
	m := newMoveRecorder(log, owners.NewWatcher(store, "test", nil), store, slog.New(slog.DiscardHandler))
	key := func(i int) owners.Key { return owners.Key{Class: "Cart", ID: fmt.Sprint(i)} }
	for i := range moves {
		m.add(&gateway.Event{Object: key(i), Move: &gateway.Move{From: sid, ToHost: "next", Token: int64(i + 1), Reason: "host-gone"}})
	}
	if err := store.Redis().ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.run(ctx) }()
	for i := range moves {
		var got []rollout.Moved
		for len(got) == 0 {
			if got, err = log.Of(t.Context(), key(i), 10); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) != 1 || got[0].FromHost != "gone" || got[0].ToHost != "next" || got[0].Token != int64(i+1) {
			t.Fatalf("object %d: %+v", i, got)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stats, err := store.Redis().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stats, "cmdstat_hgetall:calls=1,") { // all sessions' records are hashes read whole
		t.Errorf("the name of the host was not read once:\n%s", stats)
	}
	if !strings.Contains(stats, fmt.Sprintf("cmdstat_lpush:calls=%d,", moves)) {
		t.Errorf("not every move was written once:\n%s", stats)
	}
}

// What a host gives back because it leaves is noted as a drain; the ordinary
// return of an idle object is not noted.
func TestWhatADrainedHostGaveBackIsNoted(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	store, err := owners.Open(t.Context(), owners.Options{URL: "redis://" + server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	register := func(name string) string {
		sid := owners.NewSID()
		if _, err := store.Register(t.Context(), owners.Registration{
			SID: sid, Addr: "127.0.0.1:1", Name: name, App: "shop", Version: "v1", Classes: []string{"Cart"}, Lease: 20 * time.Second,
		}); err != nil {
			t.Fatal(err)
		}
		return sid
	}
	stays, drains, left := register("stays"), register("drains"), register("left")
	if err := store.Drain(t.Context(), drains); err != nil {
		t.Fatal(err)
	}
	if err := store.CloseSession(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	watcher := owners.NewWatcher(store, "test", nil)
	log := rollout.NewMoveLog(store.Redis(), store.Prefix())
	m := newMoveRecorder(log, watcher, store, slog.New(slog.DiscardHandler))
	idle := func(id, from string) {
		m.add(&gateway.Event{Object: owners.Key{Class: "Cart", ID: id}, Move: &gateway.Move{From: from, ToHost: "next", Token: 1, Reason: "idle"}})
	}
	idle("early", left) // nothing is known yet
	ctx, stop := context.WithCancel(t.Context())
	watched, ended := make(chan error, 1), make(chan error, 1)
	go func() { watched <- watcher.Run(ctx) }()
	for sessions, _ := watcher.Snapshot(); len(sessions) != 2; sessions, _ = watcher.Snapshot() {
		time.Sleep(time.Millisecond)
	}
	go func() { ended <- m.run(ctx) }()
	idle("stayed", stays)
	idle("drained", drains)
	idle("gone", left)
	for id, from := range map[string]string{"drained": "drains", "gone": "left"} {
		var got []rollout.Moved
		for len(got) == 0 {
			if got, err = log.Of(t.Context(), owners.Key{Class: "Cart", ID: id}, 10); err != nil {
				t.Fatal(err)
			}
		}
		if got[0].Reason != rollout.ReasonDrain || got[0].FromHost != from {
			t.Errorf("%s: %+v", id, got)
		}
	}
	for _, id := range []string{"early", "stayed"} {
		if got, err := log.Of(t.Context(), owners.Key{Class: "Cart", ID: id}, 10); err != nil || len(got) > 0 {
			t.Errorf("%s: %+v %v", id, got, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-watched
}
