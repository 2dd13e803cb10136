package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
)

// crashed leaves what a process leaves that was killed and whose successor,
// host h-1, has its address: a session that stands until its lease has passed,
// and an object of its. It gives the pin, and the successor's session.
func (m *mesh) crashed(k owners.Key, lease time.Duration) (pin owners.Pin, now owners.Session) {
	m.t.Helper()
	now = m.session("h-1")
	reg := owners.Registration{SID: owners.NewSID(), Addr: now.Addr, Name: now.Name, App: now.App, Version: now.Version, Classes: now.Classes, Lease: lease, Ready: true}
	if _, err := m.store.Register(m.t.Context(), reg); err != nil {
		m.t.Fatal(err)
	}
	pin, won, err := m.store.Acquire(m.t.Context(), owners.Acquire{Key: k, SID: reg.SID})
	if err != nil || !won {
		m.t.Fatalf("acquire %s: %v %v", k, won, err)
	}
	return pin, now
}

// moving begins a move and waits until a gate has refused it.
func (m *mesh) moving(k owners.Key) <-chan func() (MovedObject, error) {
	m.t.Helper()
	done := make(chan func() (MovedObject, error), 1)
	go func() {
		o, err := m.client.MoveObject(m.t.Context(), k, ObjectMove{Host: "h-2"})
		done <- func() (MovedObject, error) { return o, err }
	}()
	m.until("a gate has refused the release", func() bool { return m.gates.refused.Load() > 0 })
	return done
}

// The pin that a move has read may name a session that its host has left behind.
// The next call makes an owner, and the move goes on from there.
func TestMoveAfterAHostRegisteredAnew(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h-1", "v41")
		m.host("h-2", "v41")
		k := owners.Key{Class: "Cart", ID: "1"}
		pin, now := m.crashed(k, 30*time.Second)
		done := m.moving(k)
		// The old session is declared dead and a gateway acquires: at once, so that
		// nothing depends on how soon the one follows the other.
		_, err := m.store.Redis().TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			p.HSet(t.Context(), m.store.Prefix()+"sess:"+pin.SID, "state", "dead")
			p.HSet(t.Context(), m.store.Prefix()+"pin:"+k.String(), "i", now.ID, "t", owners.FormatToken(pin.Token+1))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		o, err := (<-done)()
		if err != nil || o.From != "h-1" || o.To != "h-2" || o.Token <= pin.Token+1 {
			t.Fatalf("%+v, %v", o, err)
		}
		m.call("1", "h-2")
	})
}

// Nobody calls the object: then it has no owner to be moved from.
func TestMoveWhoseOwnerEnds(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	m.host("h-2", "v41")
	k := owners.Key{Class: "Cart", ID: "1"}
	pin, _ := m.crashed(k, 30*time.Second)
	done := m.moving(k)
	if err := m.store.CloseSession(t.Context(), pin.SID); err != nil {
		t.Fatal(err)
	}
	if o, err := (<-done)(); code(err) != rollout.CodeNotActive || !strings.Contains(err.Error(), "no live owner") {
		t.Errorf("%+v, %v", o, err)
	}
}

// Nobody declares the old session dead: a move does not wait for ever, and says no.
func TestMoveWhosePinStaysOutdated(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	m.host("h-2", "v41")
	k := owners.Key{Class: "Cart", ID: "1"}
	pin, _ := m.crashed(k, time.Second)
	began := time.Now()
	o, err := (<-m.moving(k))()
	if code(err) != rollout.CodeNotActive || !strings.Contains(err.Error(), "h-1 does not have Cart/1 under the session that owns it (session)") {
		t.Errorf("%+v, %v", o, err)
	}
	if d := time.Since(began); d < time.Second {
		t.Errorf("it was given up after %v, before the old session's lease was over", d)
	}
	if now, _, _, err := m.store.Pin(t.Context(), k); err != nil || now != pin {
		t.Errorf("the pin became %+v, %v", now, err)
	}
}
