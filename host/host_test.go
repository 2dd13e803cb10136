package host_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("24") // these tests wait for leases, they do not compute
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")) // it ends within a second of Close
}

// counter is an object that counts, in memory and in storage:
//
//	GET /      the count
//	POST /add  one more; ?hold=N waits for the test to let it go on
type counter struct {
	o      *host.Object
	name   string
	n      int
	inside atomic.Int32
	most   atomic.Int32
	hold   func(r *http.Request)
	closed func()
}

func counting(name string, hold func(*http.Request)) host.Activate {
	return func(ctx context.Context, o *host.Object) (http.Handler, error) {
		b, err := o.Storage().Get(ctx, "n")
		if err != nil {
			return nil, err
		}
		c := &counter{o: o, name: name, hold: hold}
		if b != nil {
			c.n, err = strconv.Atoi(string(b))
		}
		return c, err
	}
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.most.Store(max(c.most.Load(), c.inside.Add(1)))
	defer c.inside.Add(-1)
	w.Header().Set("Served-By", c.name)
	if r.URL.Query().Has("hold") && c.hold != nil {
		c.hold(r)
	}
	if r.URL.Path == "/add" {
		if err := c.o.Storage().Put(r.Context(), "n", []byte(strconv.Itoa(c.n+1))); err != nil {
			status := http.StatusInternalServerError
			if errors.Is(err, host.ErrStale) {
				status = http.StatusConflict
			}
			http.Error(w, err.Error(), status)
			return
		}
		c.n++
	}
	fmt.Fprint(w, c.n)
}

func (c *counter) Close() error {
	if c.closed != nil {
		c.closed()
	}
	return nil
}

func key(id string) owners.Key { return owners.Key{Class: "Cart", ID: id} }

func TestCountsAndKeepsAcrossAMove(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		m.Start("one", counting("one", nil))
		m.Start("two", counting("two", nil))
		k := key("8812/ä b")
		for range 5 {
			m.Must(k, "POST", "/add", "", 200)
		}
		before := m.Must(k, "GET", "/", "", 200)
		_, sess, _, err := m.Store.Pin(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		m.Avoid(sess.ID)
		if reply := m.Release(k, wire.ReleaseNow, 5*time.Second); !reply.Released {
			t.Fatalf("not released: %+v", reply)
		}
		after := m.Must(k, "GET", "/", "", 200)
		if before.Body != "5" || after.Body != "5" {
			t.Errorf("count before the move %q, after %q, want 5", before.Body, after.Body)
		}
		if before.Header.Get("Served-By") == after.Header.Get("Served-By") {
			t.Errorf("served by %s before and after the move", after.Header.Get("Served-By"))
		}
		if after.Refusals > 1 {
			t.Errorf("%d refusals for one move, want at most 1", after.Refusals)
		}
	})
}

func TestOneEventAtATimeInOrderOfArrival(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		var c *counter
		enter, leave := make(chan string), make(chan struct{})
		activate := counting("one", func(r *http.Request) { enter <- r.URL.Query().Get("hold"); <-leave })
		m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
			h, err := activate(ctx, o)
			c = h.(*counter)
			return h, err
		})
		k := key("1")
		m.Must(k, "GET", "/", "", 200)
		var wg sync.WaitGroup
		const n = 5
		for i := range n {
			wg.Go(func() { m.Must(k, "POST", "/add?hold="+strconv.Itoa(i), "", 200) })
			if i == 0 {
				if got := <-enter; got != "0" {
					t.Errorf("first is %s", got)
				}
			}
			m.Until("it waits", func() bool { return waitingOf(m, k) == i })
		}
		for i := 1; i < n; i++ {
			leave <- struct{}{}
			if got := <-enter; got != strconv.Itoa(i) {
				t.Errorf("event %s started, want %d", got, i)
			}
		}
		leave <- struct{}{}
		wg.Wait()
		if got := c.most.Load(); got != 1 {
			t.Errorf("%d events at a time, want 1", got)
		}
		if a := m.Must(k, "GET", "/", "", 200); a.Body != strconv.Itoa(n) {
			t.Errorf("count %s, want %d", a.Body, n)
		}
	})
}

// waitingOf asks the host that owns k how many events wait.
func waitingOf(m *testmesh.Mesh, k owners.Key) int {
	if a, ok := m.ActiveOf(k); ok {
		return a.Waiting
	}
	return 0
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
