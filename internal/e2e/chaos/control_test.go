package chaos

import (
	"testing"

	"github.com/skewgate/skewgate/internal/e2e/history"
	"github.com/skewgate/skewgate/internal/testenv"
)

// TestBrokenHostIsCaught holds the checker against hosts that are broken on
// purpose: the same scenario is clean with every protection, loses writes
// without lease and fence, and gives stale answers without lease alone.
func TestBrokenHostIsCaught(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name, broken string
		kind         kind
		want         func(r history.Report) bool
	}{
		{"nothing is broken", "", mixed, history.Report.Clean},
		{"no lease, no output gate, no fence", "lease,output,fence", mixed, func(r history.Report) bool { return len(r.Lost) > 0 && len(r.Broken) > 0 }},
		{"no lease, no output gate", "lease,output", readersApart, func(r history.Report) bool { return len(r.Broken) > 0 && len(r.Lost) == 0 }},
		{"nothing is broken, by sockets", "", socketsApart, history.Report.Clean},
		{"no lease, no output gate, by sockets", "lease,output", socketsApart, func(r history.Report) bool { return len(r.Broken) > 0 && len(r.Lost) == 0 }},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if r := deafHost(t, s.broken, s.kind); !s.want(r) {
				t.Errorf("not what was to be seen: %v", r)
			} else {
				t.Log(r)
			}
		})
	}
}

// deafHost cuts a host from the store beyond its lease while one gateway still
// knows it as the owner, and makes the other gateway look again. Values are in
// PostgreSQL, which the host can reach all the time.
func deafHost(t *testing.T, broken string, k kind) history.Report {
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), values: testenv.Postgres(t).URL, broken: broken})
	l := c.startLoad(t, k)
	l.goOn(60)
	deaf := l.busiest()
	deaf.store.Cut(true)
	if k == socketsApart { // it would hear of the host's death, and end the sockets
		c.gateways[0].store.Cut(true)
	}
	c.beyond()
	c.gateways[1].Kill()
	c.gateways[1].Start()
	l.goOn(150)
	l.servedAgain("every object is served")
	l.goOn(50)
	deaf.store.Cut(false)
	c.gateways[0].store.Cut(false)
	return l.judge()
}
