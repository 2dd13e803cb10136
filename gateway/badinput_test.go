package gateway

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// A pin that a newer skewgate has written is refused, not guessed, and at once: waiting would not help.
func TestPinOfANewerSkewgateIsAnError(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits.HoldFor = time.Hour })
	m.host("a", "v1")
	m.table()
	m.get("/carts/other") // hosts are known
	k := owners.Key{Class: "Cart", ID: "1"}
	all, err := m.store.Store.Sessions(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if _, won, err := m.store.Store.Acquire(t.Context(), owners.Acquire{Key: k, SID: all[0].ID}); err != nil || !won {
		t.Fatal(won, err)
	}
	db, name := m.store.Redis(), m.store.Prefix()+"pin:"+k.String()
	if err := db.HSet(t.Context(), name, "f", "2").Err(); err != nil {
		t.Fatal(err)
	}
	before := db.HGetAll(t.Context(), name).Val()
	a := m.get("/carts/1")
	if p := a.problem(t); a.status != 503 || p.Code != "store_unavailable" || !strings.Contains(a.body, "newer skewgate") {
		t.Errorf("%d %s; want store_unavailable that says why", a.status, a.body)
	}
	if after := db.HGetAll(t.Context(), name).Val(); !maps.Equal(after, before) {
		t.Errorf("the record changed from %v to %v", before, after)
	}
	if err := db.HSet(t.Context(), name, "f", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if a := m.get("/carts/1"); a.status != 200 {
		t.Errorf("once it can be read: %d %s", a.status, a.body)
	}
}

// Sessions that cannot be read, of a newer skewgate or of somebody else, keep no other host out.
func TestSessionThatCannotBeReadKeepsNoOtherOut(t *testing.T) {
	m := newMesh(t)
	m.table() // without hosts: the gateway has to look for them itself
	db, newer, other := m.store.Redis(), owners.NewSID(), owners.NewSID()
	if err := errors.Join(
		db.HSet(t.Context(), m.store.Prefix()+"sess:"+newer, "f", "2", "state", "live").Err(),
		db.Set(t.Context(), m.store.Prefix()+"sess:"+other, "x", 0).Err(),
		db.SAdd(t.Context(), m.store.Prefix()+"sessions", newer, other).Err(),
	); err != nil {
		t.Fatal(err)
	}
	m.host("a", "v1")
	if a := m.get("/carts/1"); a.status != 200 {
		t.Errorf("%d %s, want an answer of the host that can be read", a.status, a.body)
	}
}

// Scripts that are flushed while a gateway runs are sent again.
func TestScriptsAreFlushedWhileItRuns(t *testing.T) {
	m := newMesh(t)
	m.host("a", "v1")
	m.table()
	for _, id := range []string{"1", "2", "3"} {
		if err := m.store.Redis().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if a := m.get("/carts/" + id); a.status != 200 {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
}
