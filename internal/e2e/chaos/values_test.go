package chaos

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skewgate/skewgate/internal/testenv"
)

// TestValuesFaults hurts a PostgreSQL that keeps the objects' values. Leases and
// pins are in Redis, which is well: hosts keep their objects, and each event
// that must read or write waits, or ends with an unknown outcome.
func TestValuesFaults(t *testing.T) {
	t.Parallel()
	postgres := testenv.Postgres(t)
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), postgres: postgres.Addr, agents: 1})
	faultsOf(t, c, []scenario{
		{"PostgreSQL is killed and comes back", func(c *cluster, _ *load) {
			postgres.Kill()
			time.Sleep(c.lease / 4)
			postgres.Start()
		}},
		{"PostgreSQL is away beyond a lease", func(c *cluster, _ *load) {
			postgres.Kill()
			c.beyond()
			postgres.Start()
		}},
		{"PostgreSQL stands still", func(c *cluster, _ *load) {
			postgres.Pause()
			c.beyond()
			postgres.Resume()
		}},
		{"PostgreSQL stands still and an owner dies meanwhile", func(c *cluster, l *load) {
			h := l.busiest()
			postgres.Pause()
			h.Kill()
			c.beyond()
			postgres.Resume()
			l.servedAgain("every object is served without " + h.Name)
			h.Start()
		}},
		{"a host's connections to both stores are lost without a word, for good", func(_ *cluster, l *load) {
			h := l.involve(l.busiest())
			h.values.Lose()
			h.store.Lose()
			l.servedAgain("every object is served although " + h.Name + " has lost its connections")
		}},
		{"every row is locked by a session that stands still when an owner dies", func(c *cluster, l *load) {
			h := l.involve(l.busiest())
			stuck := lockRows(l.t, postgres.URL)
			h.Kill()
			c.beyond()
			l.servedAgain("every object is served without " + h.Name)
			h.Start()
			if _, err := stuck.Exec(context.Background(), "SELECT"); err == nil {
				l.t.Error("the session that had locked the rows has not ended: nobody had to get past it")
			}
		}},
	})
}

// lockRows gives a session in whose transaction every object is locked and nothing goes on.
func lockRows(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT FROM skewgate_fence FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestLinkOfAHostToItsValues(t *testing.T) {
	spoilValues(t, "a host", 0)
}

func TestLinkOfAnAgentToItsValues(t *testing.T) {
	spoilValues(t, "an agent", 2)
}

func spoilValues(t *testing.T, whose string, host int) {
	t.Parallel()
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), postgres: testenv.Postgres(t).Addr, agents: 1})
	spoilIn(t, c, "the link from "+whose+" to PostgreSQL", func(c *cluster, l *load) *testenv.Proxy { return l.involve(c.hosts[host]).values })
}

// TestSeveralAtOnce has faults that meet: each alone is survived elsewhere.
func TestSeveralAtOnce(t *testing.T) {
	t.Parallel()
	redis, postgres := testenv.StartRedis(t, durable...), testenv.Postgres(t)
	c := startCluster(t, plan{addr: redis.Addr, postgres: postgres.Addr, agents: 1})
	faultsOf(t, c, []scenario{
		{"both stores are killed, a host and a gateway stand still", func(c *cluster, l *load) {
			h := l.busiest()
			together(h.Pause, c.gateways[0].Pause, redis.Kill, postgres.Kill)
			c.beyond()
			together(redis.Start, postgres.Start)
			l.servedAgain("every object is served without " + h.Name + " and a gateway")
			together(h.Resume, c.gateways[0].Resume)
		}},
		{"an owner is cut from the store and from its values while another one and control are killed", func(c *cluster, l *load) {
			h := l.busiest()
			other := c.hosts[0]
			if other == h {
				other = c.hosts[1]
			}
			together(func() { h.store.Cut(true) }, func() { h.values.Stall(testenv.Requests, true) }, other.Kill, c.control.Kill)
			c.beyond()
			l.servedAgain("every object is served by the agent")
			together(func() { h.store.Cut(false) }, func() { h.values.Stall(testenv.Requests, false) }, other.Start, c.control.Start)
		}},
		{"replies of the store are late to two hosts while the gateways lose an agent", func(c *cluster, l *load) {
			for _, h := range c.hosts[:2] {
				h.store.Stall(testenv.Replies, true)
			}
			c.hosts[2].link.Cut(true)
			c.beyond()
			for _, h := range c.hosts[:2] {
				h.store.Stall(testenv.Replies, false)
			}
			c.hosts[2].link.Cut(false)
		}},
	})
}

// together does several things at the same time.
func together(do ...func()) {
	var wg sync.WaitGroup
	for _, f := range do {
		wg.Go(f)
	}
	wg.Wait()
}
