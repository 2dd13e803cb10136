package chaos

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/e2e/history"
	"github.com/skewgate/skewgate/internal/testenv"
)

// TestReplicasBelowThoseAttached shows what store.replicas is for. One of two
// replicas stands still, the master, the other one and all hosts die, and the one that is
// behind is all that is left to be promoted. With replicas: 2 nothing was acknowledged that it lacks. With
// replicas: 1, what only the dead had is lost: that setting promises nothing.
func TestReplicasBelowThoseAttached(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name     string
		replicas int
		postgres bool
		want     func(history.Report) bool
	}{
		{"replicas: 2", 2, false, history.Report.Clean},
		{"replicas: 1", 1, false, func(r history.Report) bool { return len(r.Lost) > 0 }},
		{"replicas: 1, values in PostgreSQL", 1, true, func(r history.Report) bool { return len(r.Lost) == 0 }},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if r := promoteTheLast(t, s.replicas, s.postgres); !s.want(r) {
				t.Errorf("not what was to be seen: %v", r)
			} else {
				t.Log(r)
			}
		})
	}
}

func promoteTheLast(t *testing.T, replicas int, postgres bool) history.Report {
	var keep []string
	if replicas == 2 { // else the other ones come back with nothing, so that what is lost stays so whomever Sentinel promotes
		keep = durable
	}
	set := testenv.Sentinel(t, 2, 3, keep...)
	p := plan{url: set.URL(), replicas: replicas, failover: 4 * time.Second, lease: 10 * time.Second, agents: 1}
	if postgres {
		p.postgres = testenv.Postgres(t).Addr
	}
	c := startCluster(t, p)
	l := c.startLoad(t, fromStorage)
	l.goOn(60)
	master, with, behind := set.Servers[0], set.Servers[1], set.Servers[2]
	behind.Pause()
	leaveBehind(t, master)
	if replicas == 1 {
		l.goOn(200)
	} else {
		time.Sleep(2 * time.Second) // nothing is acknowledged
	}
	together(master.Kill, with.Kill)
	for _, h := range c.hosts { // an owner that lives on has all of it in memory, and may write it again
		h.Kill()
	}
	behind.Resume()
	for range 3 { // a sentinel that finds nobody fit tries again after twelve seconds
		if set.Master() == behind {
			break
		}
		time.Sleep(recovery / 2)
	}
	eventually(t, "the sentinels have the last one for their master", recovery, func() bool { return set.Master() == behind })
	together(master.Start, with.Start)
	eventually(t, "both follow it", 2*recovery, func() bool { return behind.Info("connected_slaves") == strconv.Itoa(2) })
	for _, h := range c.hosts {
		h.Start()
	}
	l.servedAgain("every object is served by what is left")
	l.goOn(100)
	return l.judge()
}

// TestNemesisOfReplicas stops and thaws a master and two replicas, with Sentinel, besides everything else.
// SKEWGATE_CHAOS_REPLICAS=1 is the setting that promises nothing; what it shows then is only told.
func TestNemesisOfReplicas(t *testing.T) {
	t.Parallel()
	replicas, err := strconv.Atoi(cmp.Or(os.Getenv("SKEWGATE_CHAOS_REPLICAS"), "2"))
	if err != nil {
		t.Fatal(err)
	}
	set := testenv.Sentinel(t, 2, 3)
	var stores []*victim
	for i, s := range set.Servers {
		stores = append(stores, &victim{name: fmt.Sprint("store ", i+1), hurts: []hurt{{"stopped", s.Pause, s.Resume}}})
	}
	whole := func() bool { m := set.Master(); return m != nil && m.Info("connected_slaves") == "2" }
	l := torment(t, plan{url: set.URL(), replicas: replicas, failover: 4 * time.Second, lease: 10 * time.Second, agents: 1}, whole, stores...)
	if r := l.judge(); !r.Clean() && replicas >= 2 {
		t.Error(r)
	} else {
		t.Log(r)
	}
}

// leaveBehind writes more than waits for a process that stands still in its
// kernel's buffers: what comes after it only reaches who reads.
func leaveBehind(t *testing.T, master *testenv.RedisServer) {
	t.Helper()
	client, junk := master.Client(), strings.Repeat("x", 1<<20)
	for i := range 40 {
		if err := client.Set(t.Context(), fmt.Sprint("junk", i), junk, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
