package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// herd sends one request for each id at once and gives the codes of the answers, "200" for a good one.
func (m *mesh) herd(ids []string) (codes <-chan string, wait func()) {
	out := make(chan string, len(ids))
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(m.t.Context(), http.MethodGet, "/carts/"+id, nil)
			r.RemoteAddr = "127.0.0.1:1"
			m.gw.ServeHTTP(w, r)
			if w.Code == http.StatusOK {
				out <- "200"
				return
			}
			out <- answer{status: w.Code, header: w.Header(), body: w.Body.String()}.problem(m.t).Code
		})
	}
	return out, wg.Wait
}

func same(id string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id
	}
	return ids
}

// While the store stands still, what waits for one object's owner is bounded
// as any held request is: the rest is told at once. All that wait cost the
// store one resolve.
func TestHerdOnOneObjectIsBoundedWhileTheStoreStandsStill(t *testing.T) {
	const herd, held = 10_000, 100
	m := newMesh(t, func(m *mesh, _ *Options) {
		m.classes[0].Limits = routing.Limits{HoldFor: 5 * time.Minute, HeldPerObject: held}
	})
	m.host("a", "v1")
	m.table()
	before, began := m.store.calls.Load(), time.Now()
	m.store.still.Lock()
	codes, wait := m.herd(same("1", herd))
	for range herd - held { // hangs where waiting is not bounded: the store has not answered yet
		if c := <-codes; c != "overloaded" {
			t.Errorf("a request more than may be held was answered %s", c)
			break
		}
	}
	m.store.still.Unlock()
	wait()
	for range held {
		if c := <-codes; c != "200" {
			t.Errorf("a held request was answered %s", c)
		}
	}
	again := int64(time.Since(began) / storeTimeout)              // a call that is not answered in time is made again
	if n := m.store.calls.Load() - before; n < 2 || n > 2+again { // read, acquire
		t.Errorf("the store was asked %d times for one object in %v", n, time.Since(began))
	}
}

// A request waits for the store no longer than its class lets it, be it the
// one that asks or one that waits for its answer; the object is served as soon
// as the store answers again.
func TestHoldTimeBoundsTheWaitForTheStore(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits.HoldFor = 50 * time.Millisecond })
	m.host("a", "v1")
	m.table()
	m.store.still.Lock()
	codes, wait := m.herd(same("1", 20))
	wait() // hangs where the wait ends with the store's call
	m.store.still.Unlock()
	for range 20 {
		if c := <-codes; c != "store_unavailable" {
			t.Errorf("answered %s", c)
		}
	}
	for start := time.Now(); m.get("/carts/1").status != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("the object is not served when the store answers again")
		}
	}
}

// Many cold objects at once: the store gets no more calls at a time than the
// gateway may make, and two for each object (more where the machine is so slow
// that a resolve waits in vain for its turn, and tries again).
func TestHerdOfObjectsIsBoundedAtTheStore(t *testing.T) {
	const herd, slots = 1_000, 4
	m := newMesh(t, func(m *mesh, o *Options) {
		o.StoreCalls = slots
		m.classes[0].Limits.HoldFor = 5 * time.Minute
	})
	m.host("a", "v1")
	m.table()
	ids := make([]string, herd)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	before, began := m.store.calls.Load(), time.Now()
	codes, wait := m.herd(ids)
	wait()
	again := int64(time.Since(began) / storeTimeout)
	good, other := 0, map[string]int{}
	for range herd {
		if c := <-codes; c == "200" {
			good++
		} else {
			other[c]++
		}
	}
	if calls, most := m.store.calls.Load()-before, m.store.most.Load(); most > slots || calls < 2*herd || calls > (2+again)*herd {
		t.Errorf("%d store calls in %v, %d at a time; want %d, at most %d at a time", calls, time.Since(began), most, 2*herd, slots)
	}
	if good != herd {
		t.Errorf("%d of %d served; others %v", good, herd, other)
	}
}

// word is a watcher's, as a test has it.
type word struct {
	live atomic.Pointer[[]owners.Session]
}

func (w *word) Suspect(string) {}

func (w *word) Snapshot() ([]owners.Session, time.Duration) { return *w.live.Load(), 0 }

// Who finds out that the session of an unreachable host is over takes the
// object at once, however often it has been refused before; not again and
// again, where the store says otherwise than the watcher.
func TestOrphanIsTakenWithoutAWait(t *testing.T) {
	w := new(word)
	w.live.Store(new([]owners.Session))
	m := newMesh(t, func(_ *mesh, o *Options) { o.Watcher = w })
	k, gone := owners.Key{Class: "Cart", ID: "1"}, &Target{Addr: "127.0.0.1:1", SID: owners.NewSID(), Token: 1}
	e := m.gw.pins.entry(k)
	c := &call{g: m.gw, key: k, ev: new(Event), hold: hold{g: m.gw, e: e, limits: withDefaultLimits(routing.Limits{}), refusals: 5}}
	for waits := range 3 {
		e.target.Store(gone)
		if err := (pinned{}).refused(t.Context(), c, gone, wire.Refusal{}, &waitError{code: wire.NoHost, why: "unreachable"}); err != nil {
			t.Fatal(err)
		}
		if c.hold.waits != waits || e.target.Load() != nil {
			t.Errorf("after %d refusals it has waited %d times, and goes to %v", waits+1, c.hold.waits, e.target.Load())
		}
	}
	c.hold.settled()
}

// A host that is gone keeps its objects until its lease has passed. Requests
// wait for that, and do not read its pins again and again; once its session is
// over, an object that was known to be its costs the store one call.
func TestUnreachableHostDoesNotStormTheStore(t *testing.T) {
	const objects = 20
	w := new(word)
	m := newMesh(t, func(m *mesh, o *Options) {
		m.classes[0].Limits.HoldFor = 2 * time.Second
		o.Watcher = w
	})
	gone, nobody := owners.NewSID(), fmt.Sprintf("127.0.0.1:%d", testenv.Port(t))
	if _, err := m.store.Store.Register(t.Context(), owners.Registration{
		SID: gone, Addr: nobody, Name: "gone", App: "shop", Version: "v1", Classes: []string{"Cart"}, Lease: 3 * time.Second, Ready: true,
	}); err != nil {
		t.Fatal(err)
	}
	all, err := m.store.Store.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.live.Store(&all)
	var ids []string
	for i := range objects {
		id := strconv.Itoa(i)
		ids = append(ids, id)
		k := owners.Key{Class: "Cart", ID: id}
		pin, won, err := m.store.Store.Acquire(t.Context(), owners.Acquire{Key: k, SID: gone})
		if err != nil || !won {
			t.Fatalf("%v %v", won, err)
		}
		m.gw.pins.entry(k).learn(&Target{Addr: nobody, SID: gone, Token: pin.Token, Version: "v1", Host: "gone"}, pin)
	}
	m.table()
	before := m.store.calls.Load()
	codes, wait := m.herd(ids)
	wait()
	for range ids {
		if c := <-codes; c != "no_host" && c != "owner_moving" {
			t.Errorf("answered %s", c)
		}
	}
	// Each is read when the last reading is a second old. At 5 to 250 ms between tries it would be 25 times.
	if n := m.store.calls.Load() - before; n > 8*objects {
		t.Errorf("%d store calls for %d objects of a host that is gone", n, objects)
	}

	next := m.host("next", "v1")
	if err := m.store.Store.CloseSession(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if all, err = m.store.Store.LiveSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.live.Store(&all)
	m.classes[0].Limits.HoldFor = time.Minute
	m.table()
	for _, id := range ids {
		k := owners.Key{Class: "Cart", ID: id}
		pin, _, _, err := m.store.Store.Pin(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		m.gw.pins.entry(k).learn(&Target{Addr: nobody, SID: gone, Token: pin.Token, Version: "v1", Host: "gone"}, pin)
	}
	before = m.store.calls.Load()
	for _, id := range ids {
		if a := m.get("/carts/" + id); a.status != http.StatusOK || !strings.Contains(a.body, next.name) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if n := m.store.calls.Load() - before; n != objects {
		t.Errorf("%d store calls for taking over %d objects", n, objects)
	}
}
