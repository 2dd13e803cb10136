package host_test

import (
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
)

// Negative controls of what a host concludes from its renewals.

// renewsSometimes is a lease that no busy machine loses, with a renewal every three seconds.
func renewsSometimes(o *host.Options) { o.Lease = 12 * time.Second }

// renewedTwice waits until a session has renewed twice from now on, so that
// what the first of them said has been acted on; or until it is over.
func renewedTwice(t *testing.T, m *testmesh.Mesh, sid string) {
	t.Helper()
	for range 2 {
		before, _, err := m.Store.Session(t.Context(), sid)
		if err != nil {
			t.Fatal(err)
		}
		m.Until("it has renewed or is over", func() bool {
			s, ok, err := m.Store.Session(t.Context(), sid)
			return err == nil && (!ok || s.State.Final() || s.Nonce != before.Nonce)
		})
	}
}

// succeeded makes a second host serve the object.
func succeeded(m *testmesh.Mesh, old testmesh.Target, with func(*stops) func(*host.Options)) {
	m.Avoid(old.SID)
	m.Start("two", counting("two", nil), with(nil))
	m.Forget(key("1"))
	m.Must(key("1"), "POST", "/add", "", 200)
}

// The server that answers now does not have the pin that the host holds, as after
// a failover that lost it, and somebody else has taken the object.
func TestControlReconfirm(t *testing.T) {
	redis := func(t *testing.T) string { return "redis://" + testenv.StartRedis(t).Addr }
	controlOn(t, redis, "I1a", []faults.Protection{faults.Reconfirm}, false, func(t *testing.T, m *testmesh.Mesh, _ *trace, with func(*stops) func(*host.Options)) {
		m.Start("one", counting("one", nil), with(nil), renewsSometimes)
		k := key("1")
		old := m.Owner(k)
		try(m, old, "POST", "/add")
		if _, ok, err := m.Store.Release(t.Context(), k, old.SID, old.Token); !ok || err != nil {
			t.Fatal(ok, err)
		}
		succeeded(m, old, with)
		for _, to := range [][]any{{"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}} { // its history is another one then
			if err := m.Store.Redis().Do(t.Context(), to...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		renewedTwice(t, m, old.SID)
		try(m, old, "GET", "/")
	})
}

// The store lost its data, and a registration that was sent again late has
// brought the host's record back: it renews as before, but the pins are gone.
func TestControlEpoch(t *testing.T) {
	control(t, "I1a", []faults.Protection{faults.Epoch}, false, func(t *testing.T, m *testmesh.Mesh, _ *trace, with func(*stops) func(*host.Options)) {
		m.Start("one", counting("one", nil), with(nil), renewsSometimes)
		k := key("1")
		old := m.Owner(k)
		try(m, old, "POST", "/add")
		p := m.Store.Prefix()
		if err := m.Store.Redis().Del(t.Context(), p+"epoch", p+"pin:"+k.String()).Err(); err != nil {
			t.Fatal(err)
		}
		epoch := ""
		m.Until("a watcher has begun an epoch", func() bool {
			e, err := m.Store.Epoch(t.Context())
			epoch = e.ID
			return err == nil && e.ID != ""
		})
		renewedTwice(t, m, old.SID)
		if e, err := m.Store.OpenEpoch(t.Context(), epoch); err != nil || !e.Open { // the hold has passed
			t.Fatal(e, err)
		}
		succeeded(m, old, with)
		try(m, old, "GET", "/")
	})
}
