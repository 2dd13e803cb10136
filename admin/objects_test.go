package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
)

// putPins writes n pins of class Cart as the acquire script would have left them.
func (m *mesh) putPins(sid string, n int) {
	m.t.Helper()
	for from := 0; from < n; from += 5000 {
		_, err := m.store.Redis().Pipelined(m.t.Context(), func(p redis.Pipeliner) error {
			for i := from; i < min(n, from+5000); i++ {
				p.HSet(m.t.Context(), fmt.Sprintf("%spin:Cart/%06d", m.store.Prefix(), i), "f", 1, "s", "o", "i", sid, "t", 1_700_000_000_000_000+i, "v", "v41", "c", 0)
			}
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

// pages walks a whole list and counts how often each object came.
func (m *mesh) pages(q ObjectQuery) (seen map[string]int, pages int) {
	m.t.Helper()
	seen = map[string]int{}
	for {
		l, err := m.client.Objects(m.t.Context(), q)
		if err != nil {
			m.t.Fatal(err)
		}
		if pages++; len(l.Items) > 2*q.Limit+50 {
			m.t.Fatalf("a page of %d has %d objects: an answer must not grow with the store", q.Limit, len(l.Items))
		}
		if l.Truncated != (l.Cursor != "") {
			m.t.Fatalf("truncated is %v, cursor %q", l.Truncated, l.Cursor)
		}
		for _, o := range l.Items {
			seen[o.Object]++
		}
		if q.Cursor = l.Cursor; q.Cursor == "" {
			return seen, pages
		}
	}
}

func TestObjectsAreListedInPages(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		sid := owners.NewSID()
		m.putPins(sid, 1000)
		seen, pages := m.pages(ObjectQuery{Limit: 90})
		if len(seen) != 1000 || pages < 6 {
			t.Errorf("%d objects on %d pages", len(seen), pages)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("%s came %d times although nothing changed", k, n)
			}
		}
		// A filter that passes over everything still comes to an end.
		if seen, _ := m.pages(ObjectQuery{Limit: 90, State: "released"}); len(seen) != 0 {
			t.Errorf("%d released objects", len(seen))
		}
		l, err := m.client.Objects(t.Context(), ObjectQuery{Limit: 10_000})
		if err != nil || len(l.Items) != 1000 || l.Truncated {
			t.Errorf("all at once: %d objects, truncated %v, %v", len(l.Items), l.Truncated, err)
		}
		if o := l.Items[7]; o.Object != "Cart/000007" || o.State != "orphaned" || o.Session != sid {
			t.Errorf("%+v", o)
		}
		m.store.Redis().HSet(t.Context(), m.store.Prefix()+"pin:Cart/newer", "f", 9)
		l, err = m.client.Objects(t.Context(), ObjectQuery{Limit: 10_000})
		if err != nil || len(l.Items) != 1000 || l.Unreadable != 1 {
			t.Errorf("with a record of a newer version: %d objects, %d unreadable, %v", len(l.Items), l.Unreadable, err)
		}
	})
}

// A hundred thousand objects: every page stays small, and every object is on one.
func TestAHundredThousandObjectsAreListed(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "redis://"+testenv.Redis(t), "")
	const n = 100_000
	m.putPins(owners.NewSID(), n)
	if seen, pages := m.pages(ObjectQuery{Class: "Cart", Limit: 2000}); len(seen) != n || pages < 20 {
		t.Errorf("%d objects on %d pages", len(seen), pages)
	}
	// One that matches nothing gives way after so many records, and can be gone on with.
	l, err := m.client.Objects(t.Context(), ObjectQuery{Version: "v99"})
	if err != nil || len(l.Items) != 0 || l.Cursor == "" {
		t.Errorf("after %d records: %d objects, cursor %q, %v", maxPinsPerPage, len(l.Items), l.Cursor, err)
	}
}

func TestNamesThatAreNoneAreErrors(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	m.call("1", "h-1")
	for what, ask := range map[string]func() error{
		`not_found the mesh has no class "Nope"; it has Cart`: func() error { _, err := m.client.Objects(t.Context(), ObjectQuery{Class: "Nope"}); return err },
		`not_found no host is called "nobody"`:                func() error { _, err := m.client.Objects(t.Context(), ObjectQuery{Host: "nobody"}); return err },
		`bad_request state="gone"`:                            func() error { _, err := m.client.Objects(t.Context(), ObjectQuery{State: "gone"}); return err },
		`bad_request cursor:`:                                 func() error { _, err := m.client.Objects(t.Context(), ObjectQuery{Cursor: "?"}); return err },
		`not_found the mesh has no class "Not"`:               func() error { _, err := m.client.Object(t.Context(), owners.Key{Class: "Not", ID: "1"}); return err },
		`not_found the mesh has no class "Nil"`:               func() error { _, err := m.client.Skew(t.Context(), skew.Query{Class: "Nil"}); return err },
		`not_found no class of the mesh belongs to app "zoo"`: func() error { _, err := m.client.Skew(t.Context(), skew.Query{App: "zoo"}); return err },
		`not_found no host is of app "zoo"`:                   func() error { _, err := m.client.Hosts(t.Context(), HostQuery{App: "zoo"}); return err },
	} {
		c, text, _ := strings.Cut(what, " ")
		if err := ask(); code(err) != c || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %s", err, what)
		}
	}
	if _, err := m.client.Skew(t.Context(), skew.Query{Class: "Cart", App: "shop", Caller: "nobody"}); err != nil {
		t.Errorf("a class that nobody called: %v", err)
	}
}

// Of a record that cannot be read doctor knows nothing: what to do is said at once.
func TestRecordThatCannotBeReadIsExplained(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		rdb, at := m.store.Redis(), m.store.Prefix()+"pin:Cart/"
		if err := errors.Join(rdb.HSet(t.Context(), at+"newer", "f", 2, "s", "o").Err(), rdb.Set(t.Context(), at+"other", "x", 0).Err()); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]string{"newer": "upgrade this skewgate", "other": "something else wrote below"} {
			k := owners.Key{Class: "Cart", ID: id}
			var e *Error
			if _, err := m.client.Object(t.Context(), k); !errors.As(err, &e) || !strings.Contains(e.Next, want) {
				t.Errorf("get %s: %v, want %q", id, err, want)
			}
			if _, err := m.client.MoveObject(t.Context(), k, ObjectMove{}); !errors.As(err, &e) || !strings.Contains(e.Next, want) {
				t.Errorf("move %s: %v, want %q", id, err, want)
			}
		}
	})
}

func TestMoveIsRefusedWithTheReason(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	k := owners.Key{Class: "Cart", ID: "1"}
	refused := func(what string, ask ObjectMove, wantCode, text string) {
		t.Helper()
		for try, move := range map[string]func() (MovedObject, error){
			"move":    func() (MovedObject, error) { return m.client.MoveObject(t.Context(), k, ask) },
			"dry run": func() (MovedObject, error) { return m.client.TryMoveObject(t.Context(), k, ask) },
		} {
			if _, err := move(); code(err) != wantCode || !strings.Contains(err.Error(), text) {
				t.Errorf("%s %s: %v, want %s %s", try, what, err, wantCode, text)
			}
		}
	}
	refused("of an object that nobody owns", ObjectMove{}, rollout.CodeNotActive, "no live owner")
	m.call("1", "h-1")
	refused("with no other host", ObjectMove{}, rollout.CodeNoHost, "no other host")
	refused("to nobody", ObjectMove{Host: "h-9"}, rollout.CodeNoHost, "no host is called h-9")
	refused("to where it is", ObjectMove{Host: "h-1"}, rollout.CodeNoHost, "h-1 has it already")
	register := func(name, app, class string, ready bool) {
		t.Helper()
		s := owners.Registration{SID: owners.NewSID(), Addr: "127.0.0.1:1", Name: name, Classes: []string{class}, App: app, Version: "v41", Lease: 4 * time.Second, Ready: ready}
		if _, err := m.store.Register(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	register("zoo-1", "zoo", "Cart", true)
	register("list-1", "shop", "List", true)
	register("sick-1", "shop", "Cart", false)
	register("late-1", "shop", "Cart", true)
	refused("to another app", ObjectMove{Host: "zoo-1"}, rollout.CodeNoHost, "zoo-1 runs app zoo; the object is of shop")
	refused("to a host of other classes", ObjectMove{Host: "list-1"}, rollout.CodeNoHost, "list-1 serves List, not Cart")
	refused("to one that is not ready", ObjectMove{Host: "sick-1"}, rollout.CodeNoHost, "sick-1 is not ready")
	if h, err := m.client.TryActOnHost(t.Context(), "late-1", "cordon"); err != nil || !h.DryRun || h.State != "cordoned" || m.session("late-1").Wanted != "" {
		t.Errorf("dry run of a cordon: %+v, %v, and the store has %q", h, err, m.session("late-1").Wanted)
	}
	if _, err := m.client.ActOnHost(t.Context(), "late-1", "cordon"); err != nil {
		t.Fatal(err)
	}
	refused("to one that is cordoned", ObjectMove{Host: "late-1"}, rollout.CodeNoHost, "late-1 is cordoned")
	if err := m.store.CloseSession(t.Context(), m.session("late-1").ID); err != nil {
		t.Fatal(err)
	}
	refused("to one that is over", ObjectMove{Host: "late-1"}, rollout.CodeNoHost, "late-1 is closed")
	for _, action := range []string{"cordon", "uncordon", "drain"} {
		if _, err := m.client.ActOnHost(t.Context(), "late-1", action); code(err) != "wrong_phase" || !strings.Contains(err.Error(), "late-1 is closed") {
			t.Errorf("%s of a host that is over: %v", action, err)
		}
	}
	if o, err := m.client.Object(t.Context(), k); err != nil || o.Host != "h-1" || o.State != "owned" {
		t.Errorf("a refused move moved it: %+v, %v", o, err)
	}
}

// A version that cannot read what the object's version stored gets it from nobody's hand either.
func TestMoveToAVersionThatCannotReadTheState(t *testing.T) {
	m := embedded(t)
	m.host("h-1", "v41")
	m.host("h-2", "v42")
	m.call("1", "h-1")
	k := owners.Key{Class: "Cart", ID: "1"}
	if o, err := m.client.TryMoveObject(t.Context(), k, ObjectMove{Host: "h-2"}); err != nil || !o.DryRun || o.To != "h-2" {
		t.Fatalf("while nothing is known: %+v, %v", o, err)
	}
	known := &skew.Matrix{Class: "Cart", App: "shop", Objects: []string{"v41", "v42"}, State: []skew.StateCell{{Writer: "v41", Reader: "v42", Verdict: skew.Fail, Message: "items became a map"}}}
	if err := skew.StoreMatrices(t.Context(), m.store.Redis(), m.store.Prefix(), skew.Matrices{"Cart": known}); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []ObjectMove{{}, {Host: "h-2"}} {
		if o, err := m.client.MoveObject(t.Context(), k, ask); code(err) != rollout.CodeNoHost {
			t.Errorf("%+v: %+v, %v", ask, o, err)
		}
	}
	_, err := m.client.MoveObject(t.Context(), k, ObjectMove{Host: "h-2"})
	if err == nil || !strings.Contains(err.Error(), "cannot read the state that v41 stored: items became a map") {
		t.Errorf("%v", err)
	}
}

// After a move it is the host of before that refuses who comes late; both say so.
func TestLastRefusalsAreShown(t *testing.T) {
	onEveryStore(t, func(t *testing.T, m *mesh) {
		m.host("h-1", "v41")
		m.host("h-2", "v41")
		m.call("1", "h-1")
		k := owners.Key{Class: "Cart", ID: "1"}
		old, _, _, err := m.store.Pin(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := m.client.Object(t.Context(), k); err != nil || len(o.Refusals) != 0 {
			t.Fatalf("before: %+v, %v", o.Refusals, err)
		}
		if _, err := m.client.MoveObject(t.Context(), k, ObjectMove{Host: "h-2"}); err != nil {
			t.Fatal(err)
		}
		res := m.send(k, old, m.session("h-1"))
		if res.StatusCode != http.StatusMisdirectedRequest {
			t.Fatalf("a late request: %s", res.Status)
		}
		o, err := m.client.Object(t.Context(), k)
		if err != nil || len(o.Refusals) != 1 || o.Refusals[0].Host != "h-1" || o.Refusals[0].Token != old.Token || o.Refusals[0].Reason != "released" {
			t.Errorf("the object: %+v, %v", o.Refusals, err)
		}
		h, err := m.client.Host(t.Context(), "h-1")
		if err != nil || h.Active == nil || len(h.Active.Refusals) != 1 || h.Active.Refusals[0].Object != k.String() {
			t.Errorf("the host: %+v, %v", h.Active, err)
		}
	})
}
