package chaos

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/internal/testenv"
)

// TestStoreFaults hurts a Redis without replicas that keeps what it acknowledged.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedis(t, durable...)
	c := startCluster(t, plan{addr: redis.Addr, agents: 1})
	faultsOf(t, c, []scenario{
		{"the store is killed and comes back", func(c *cluster, l *load) {
			redis.Kill()
			time.Sleep(c.lease / 4)
			redis.Start()
		}},
		{"the store is away beyond a lease", func(c *cluster, l *load) {
			redis.Kill()
			c.beyond()
			redis.Start()
		}},
		{"the store stands still", func(c *cluster, l *load) {
			redis.Pause()
			c.beyond()
			redis.Resume()
		}},
	})
}

// TestReplicaFaults hurts a master and its one replica, with replicas: 1.
// While a copy is away nothing can be renewed, so nothing serves beyond a
// lease: that is the price of n = 1, and it ends when the copy is back.
func TestReplicaFaults(t *testing.T) {
	t.Parallel()
	master, replicas := testenv.RedisReplicas(t, 1, durable...)
	c := startCluster(t, plan{addr: master.Addr, replicas: 1, agents: 1})
	around := func(away, back func()) func(*cluster, *load) {
		return func(c *cluster, _ *load) {
			away()
			c.beyond()
			back()
		}
	}
	faultsOf(t, c, []scenario{
		{"the replica is killed", around(replicas[0].Kill, replicas[0].Start)},
		{"the replica stands still", around(replicas[0].Pause, replicas[0].Resume)},
		{"the master is killed", around(master.Kill, master.Start)},
		{"the master stands still", around(master.Pause, master.Resume)},
	})
}

// TestSentinelFailover has a failover under load: one master, two replicas,
// three sentinels, replicas: 2. The old master comes back as a replica; until
// then two copies are not to be had, and nothing is renewed.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	failover := startFailover(t, 2)
	faultsOf(t, failover.c, []scenario{
		{"the master is killed", failover.with((*testenv.RedisServer).Kill, (*testenv.RedisServer).Start, nil)},
		{"the master stands still", failover.with((*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume, nil)},
	})
}

// TestSentinelFailoverOfOneReplica is what the docs recommend: one replica, replicas: 1.
func TestSentinelFailoverOfOneReplica(t *testing.T) {
	t.Parallel()
	failover := startFailover(t, 1)
	faultsOf(t, failover.c, []scenario{
		{"the master is killed", failover.with((*testenv.RedisServer).Kill, (*testenv.RedisServer).Start, nil)},
		{"the master stands still", failover.with((*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume, nil)},
	})
}

// TestSentinelFailoverMeetsAFrozenProcess has a host, an agent or a gateway
// stand still from before the failover until after it: what they knew of the old
// master, and what they had sent to it, must not count at the new one.
func TestSentinelFailoverMeetsAFrozenProcess(t *testing.T) {
	t.Parallel()
	failover := startFailover(t, 1)
	faultsOf(t, failover.c, []scenario{
		{"a host and a gateway, the master is killed", failover.with((*testenv.RedisServer).Kill, (*testenv.RedisServer).Start, func(c *cluster, l *load) []*testenv.Process {
			return []*testenv.Process{l.busiest().Process, c.gateways[0].Process}
		})},
		{"an agent, the master stands still", failover.with((*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume, func(c *cluster, l *load) []*testenv.Process {
			return []*testenv.Process{l.involve(c.hosts[2]).Process}
		})},
	})
}

// failover is a cluster on a store that Sentinel watches.
type failover struct {
	c        *cluster
	set      *testenv.RedisSentinel
	replicas int
}

func startFailover(t *testing.T, replicas int) *failover {
	set := testenv.Sentinel(t, replicas, 3, durable...)
	return &failover{startCluster(t, plan{url: set.URL(), replicas: replicas, failover: 4 * time.Second, lease: 10 * time.Second, agents: 1}), set, replicas}
}

// with loses the master until another one has taken over, and gives it back as
// a replica. Those whom frozen names stand still meanwhile, and until every object is served without them.
func (f *failover) with(away, back func(*testenv.RedisServer), frozen func(*cluster, *load) []*testenv.Process) func(*cluster, *load) {
	return func(c *cluster, l *load) {
		var still []*testenv.Process
		if frozen != nil {
			still = frozen(c, l)
		}
		for _, p := range still {
			p.Pause()
		}
		var old *testenv.RedisServer
		eventually(l.t, "the sentinels know a master", recovery, func() bool { old = f.set.Master(); return old != nil })
		away(old)
		eventually(l.t, "the sentinels have another master", recovery, func() bool { m := f.set.Master(); return m != nil && m != old })
		back(old)
		eventually(l.t, "the old master follows the new one", recovery, func() bool {
			m := f.set.Master()
			return m != nil && m.Info("connected_slaves") == strconv.Itoa(f.replicas)
		})
		if still != nil {
			l.servedAgain("every object is served after the failover")
		}
		for _, p := range still {
			p.Resume()
		}
	}
}

// TestStoreForgets loses the data of the ownership store; the objects' values
// are in PostgreSQL, which keeps them. What is left of the promise without a
// replica: storage goes through one history, so acknowledged writes stay and
// reads from storage are linearizable.
func TestStoreForgets(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	c := startCluster(t, plan{addr: server.Addr, values: testenv.Postgres(t).URL, agents: 1})
	client := server.Client()
	t.Run("FLUSHALL", func(t *testing.T) {
		l := c.startLoad(t, mixed) // nobody acquires before every lease has ended: memory is fenced by time as well
		for range 2 {
			l.goOn(60)
			if err := client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			opened(t, client)
			l.servedAgain("every object is served after the hold")
			t.Logf("%v after FLUSHALL", time.Since(begin).Round(10*time.Millisecond))
		}
		l.goOn(60)
		l.clean()
	})
	t.Run("an empty restart", func(t *testing.T) {
		l := c.startLoad(t, mixed)
		l.goOn(60)
		server.Kill()
		server.Start()
		opened(t, client)
		l.servedAgain("every object is served after an empty restart")
		l.clean()
	})
	t.Run("a restart from an old snapshot", func(t *testing.T) {
		// Reads go to storage: until a host has heard of the other server, a quarter
		// of a lease at most, it may answer from a memory that is behind.
		l := c.startLoad(t, fromStorage)
		l.goOn(60)
		if err := client.Save(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		snapshot, err := os.ReadFile(filepath.Join(server.Dir, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range c.hosts { // pins move on: the snapshot names owners that are not
			h.Kill()
			l.servedAgain("every object is served without " + h.Name)
			h.Start()
			l.goOn(30)
		}
		server.Kill()
		if err := os.WriteFile(filepath.Join(server.Dir, "dump.rdb"), snapshot, 0o600); err != nil {
			t.Fatal(err)
		}
		server.Start()
		l.servedAgain("every object is served after a rollback")
		l.goOn(100)
		l.clean()
	})
}

// opened waits until the store has begun an epoch, held it, and opened it.
func opened(t *testing.T, client *redis.Client) {
	t.Helper()
	eventually(t, "the store is held and opened again", recovery, func() bool {
		return client.HGet(t.Context(), "{p0}:epoch", "s").Val() == "open"
	})
}
