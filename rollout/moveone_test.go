package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// The host that shall have the object ends while the old one still finishes
// what runs: the one that took its name gets the object.
func TestMoveWhoseTargetRegistersAnew(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		from, to := m.host("h-1", "v41"), m.host("h-2", "v41")
		k := owners.Key{Class: "Cart", ID: "1"}
		if _, won, err := m.store.Acquire(t.Context(), owners.Acquire{Key: k, SID: from.sid}); err != nil || !won {
			t.Fatalf("acquire: %v %v", won, err)
		}
		var next *testHost
		from.asked = func() {
			if err := m.store.CloseSession(context.WithoutCancel(t.Context()), to.sid); err != nil {
				t.Error(err)
			}
			next = m.host("h-2", "v41")
		}
		o, err := m.r.MoveObject(t.Context(), k, MoveAsk{Host: "h-2"})
		if err != nil || o.From != "h-1" || o.To != "h-2" {
			t.Fatalf("%+v, %v", o, err)
		}
		if pin, _, _, err := m.store.Pin(t.Context(), k); err != nil || pin.State != owners.Owned || pin.SID != next.sid || pin.Token != o.Token {
			t.Errorf("%+v, %v; want session %s", pin, err, next.sid)
		}
	})
}

// The same with nobody in its place: the object is free, and the answer says so.
func TestMoveWhoseTargetEnds(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		from, to := m.host("h-1", "v41"), m.host("h-2", "v41")
		k := owners.Key{Class: "Cart", ID: "1"}
		if _, won, err := m.store.Acquire(t.Context(), owners.Acquire{Key: k, SID: from.sid}); err != nil || !won {
			t.Fatalf("acquire: %v %v", won, err)
		}
		from.asked = func() {
			if err := m.store.CloseSession(context.WithoutCancel(t.Context()), to.sid); err != nil {
				t.Error(err)
			}
		}
		o, err := m.r.MoveObject(t.Context(), k, MoveAsk{Host: "h-2"})
		var no *Refusal
		if !errors.As(err, &no) || no.Reasons[0].Code != CodeNoHost || !strings.Contains(err.Error(), "h-1 released it, but Cart/1 cannot move: h-2 is closed") {
			t.Errorf("%+v, %v", o, err)
		}
		if pin, _, _, err := m.store.Pin(t.Context(), k); err != nil || pin.State != owners.Released {
			t.Errorf("%+v, %v", pin, err)
		}
	})
}

// One test for each row of patience.wait.
func TestPatience(t *testing.T) {
	old := outdated(owners.Pin{}, owners.Session{Lease: 10 * time.Second}, "session")
	free := refuse(CodeNotActive, "", "no live owner")
	busy := refuse(CodeBusy, "", "busy")
	for name, row := range map[string]struct {
		errs []error // the last one again and again
		most time.Duration
		ends time.Duration // at least
	}{
		"outdated: until its session must be over":  {[]error{old}, 12011 * time.Millisecond, 11 * time.Second},
		"free after an outdated pin: for a second":  {[]error{old, free}, 1100 * time.Millisecond, 500 * time.Millisecond},
		"free, owned by a lost session, free again": {[]error{old, free, old, free}, 1100 * time.Millisecond, 500 * time.Millisecond},
		"free from the first: no":                   {[]error{free}, 0, 0},
		"busy: no":                                  {[]error{busy}, 0, 0},
		"busy after an outdated pin: no":            {[]error{old, busy}, 100 * time.Millisecond, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p patience
				began := time.Now()
				for i := 0; p.wait(t.Context(), row.errs[min(i, len(row.errs)-1)]); i++ {
					if i > 100 {
						t.Fatal("it does not end")
					}
				}
				if d := time.Since(began); d > row.most || d < row.ends {
					t.Errorf("tried for %v, want %v to %v", d, row.ends, row.most)
				}
			})
		})
	}
}
