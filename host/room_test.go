package host_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
)

// activeAt is which objects a host has in memory.
func activeAt(m *testmesh.Mesh, c testmesh.Target) map[string]bool {
	m.T.Helper()
	a, err := m.Active(c.Addr, c.SID)
	if err != nil {
		m.T.Fatal(err)
	}
	active := map[string]bool{}
	for _, o := range a.Objects {
		active[o.Object] = true
	}
	return active
}

// One object more than may be active lets the longest idle one go, whose pin is given back.
func TestLongestIdleObjectMakesRoom(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	closed := make(chan owners.Key, 10)
	activate := counting("one", nil)
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		v, err := activate(ctx, o)
		v.(*counter).closed = func() { closed <- o.Key() }
		return v, err
	}, func(o *host.Options) { o.MaxActive = 3 })
	for _, id := range []string{"1", "2", "3", "1", "3"} { // 2 is idle for the longest now
		m.Must(key(id), "POST", "/add", "", 200)
	}
	c := m.Owner(key("1"))
	if a := activeAt(m, c); len(a) != 3 {
		t.Errorf("active: %v, want three", a)
	}
	m.Must(key("4"), "POST", "/add", "", 200)
	if a := activeAt(m, c); len(a) != 3 || a["Cart/2"] || !a["Cart/4"] {
		t.Errorf("active: %v, want 1, 3 and 4", a)
	}
	if k := <-closed; k != key("2") {
		t.Errorf("%v was closed, want Cart/2", k)
	}
	m.Until("its pin is given back", func() bool { return !owned(m, key("2")) })
	m.Forget(key("2"))
	if a := m.Must(key("2"), "POST", "/add", "", 200); a.Body != "2" {
		t.Errorf("count %s, want 2", a.Body)
	}
}

// While none is idle the next object is refused as overloaded, and has not run; events, sockets and
// streams of those that are active go on.
func TestNoRoomIsOverloaded(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	enter, leave := make(chan string, 10), make(chan struct{})
	hold := func(r *http.Request) {
		if r.URL.Query().Get("hold") == "beside" {
			host.RunBeside(r.Context())
		}
		enter <- ""
		<-leave
	}
	m.Start("one", counting("one", hold), func(o *host.Options) { o.MaxActive = 2 })
	one, two, three := m.Owner(key("1")), m.Owner(key("2")), m.Owner(key("3"))
	event := m.LaterAt(key("1"), one, "GET", "/?hold=1")
	beside := m.LaterAt(key("2"), two, "GET", "/?hold=beside")
	<-enter
	<-enter
	wantOverloaded(t, m, key("3"), three)
	if a, _ := attempt(t, m, key("2"), two); a.Body != "1" {
		t.Errorf("count %q beside a stream, want 1", a.Body)
	}
	if a := activeAt(m, one); len(a) != 2 {
		t.Errorf("active: %v, want two", a)
	}
	close(leave)
	for _, late := range []<-chan testmesh.Late{event, beside} {
		if a := <-late; a.Status != 200 {
			t.Errorf("status %d %s", a.Status, a.Body)
		}
	}
	if a, _ := attempt(t, m, key("3"), three); a.Body != "1" {
		t.Errorf("count %q, want 1: there is room, and what was overloaded has not run", a.Body)
	}
}

// Without the bound all of them stay.
func TestNoBoundOfActiveObjects(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	for i := range 20 {
		m.Must(key(fmt.Sprint(i)), "POST", "/add", "", 200)
	}
	if a := activeAt(m, m.Owner(key("1"))); len(a) != 20 {
		t.Errorf("%d are active, want 20", len(a))
	}
}

// Many objects take turns in little room: never more than may be are active,
// and every event that was acknowledged has counted once.
func TestManyObjectsInLittleRoom(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	const most, objects, rounds = 3, 10, 15
	m.Start("one", counting("one", nil), func(o *host.Options) { o.MaxActive = most })
	var wg sync.WaitGroup
	for i := range objects {
		wg.Go(func() {
			k := key(fmt.Sprint(i))
			for n := 1; n <= rounds; {
				a, err := m.Do(t.Context(), k, "POST", "/add", "")
				switch {
				case err != nil:
					t.Error(err)
					return
				case a.Status == http.StatusServiceUnavailable && a.Code() == "overloaded":
					time.Sleep(time.Millisecond)
				case a.Status != 200 || a.Body != fmt.Sprint(n):
					t.Errorf("%v: status %d, count %s; want %d", k, a.Status, a.Body, n)
					return
				default:
					n++
				}
			}
		})
	}
	c := m.Owner(key("0"))
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		case <-time.After(2 * time.Millisecond):
			if a := activeAt(m, c); len(a) > most {
				t.Errorf("%d are active, at most %d may", len(a), most)
			}
		}
	}
}
