package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// TestNemesis hurts whatever it likes, several things at once, for a fixed
// time, and lets everything heal at the end. SKEWGATE_CHAOS_SEED repeats a
// choice of faults (not their exact timing), SKEWGATE_CHAOS_TIME makes it longer.
func TestNemesis(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, durable...)
	tormented(t, plan{addr: server.Addr, agents: 1}, onStore("the store", server))
}

// TestNemesisOfValues does the same while values are in PostgreSQL.
func TestNemesisOfValues(t *testing.T) {
	t.Parallel()
	redis, postgres := testenv.StartRedis(t, durable...), testenv.Postgres(t)
	tormented(t, plan{addr: redis.Addr, postgres: postgres.Addr, agents: 1}, onStore("the store", redis), onStore("PostgreSQL", postgres))
}

func tormented(t *testing.T, p plan, stores ...*victim) {
	t.Helper()
	l := torment(t, p, func() bool { return true }, stores...)
	l.clean()
}

// torment gives the clients, who are served again after all of it. whole says when the store
// is what it was, which may take longer than for its processes to go on.
func torment(t *testing.T, p plan, whole func() bool, stores ...*victim) *load {
	t.Helper()
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SKEWGATE_CHAOS_SEED"), fmt.Sprint(rand.Uint32())), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	lasts, err := time.ParseDuration(cmp.Or(os.Getenv("SKEWGATE_CHAOS_TIME"), "20s"))
	if err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, p)
	l := c.startLoad(t, mixed)
	n := &nemesis{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), victims: append(stores, c.victims()...)}
	t.Logf("SKEWGATE_CHAOS_SEED=%d", seed)
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		n.act()
		time.Sleep(200*time.Millisecond + time.Duration(n.rnd.IntN(800))*time.Millisecond)
	}
	n.healAll()
	supervised := func(ok func() bool) func() bool { // whoever was started without a store gives up late
		return func() bool { n.supervise(); return ok() }
	}
	eventually(t, "the store is whole", 2*recovery, supervised(whole))
	since := l.rec.Now()
	eventually(t, "every object is served after all of it", recovery, supervised(func() bool { return l.servedSince(since) }))
	t.Logf("every object is served after all of it after %v", (l.rec.Now() - since).Round(10*time.Millisecond))
	l.goOn(60)
	return l
}

// victim is something that can be hurt in some ways, one at a time.
type victim struct {
	name    string
	process *testenv.Process // nil for a link and the store
	hurts   []hurt
	heal    func() // nil while it is well
}

type hurt struct {
	name       string
	begin, end func()
}

func onProcess(p *testenv.Process) *victim {
	return &victim{name: p.Name, process: p, hurts: []hurt{{"killed", p.Kill, p.Start}, {"stopped", p.Pause, p.Resume}}}
}

func onStore(name string, s interface {
	Kill()
	Start()
	Pause()
	Resume()
}) *victim {
	return &victim{name: name, hurts: []hurt{{"killed", s.Kill, s.Start}, {"stopped", s.Pause, s.Resume}}}
}

func onLink(name string, p *testenv.Proxy) *victim {
	v := &victim{name: name}
	for _, s := range spoils {
		v.hurts = append(v.hurts, hurt{s.name, func() { s.begin(p) }, func() { s.end(p) }})
	}
	return v
}

// victims are the processes and the links.
func (c *cluster) victims() []*victim {
	all := []*victim{onProcess(c.control)}
	link := func(name string, p *testenv.Proxy) {
		if p != nil {
			all = append(all, onLink(name, p))
		}
	}
	for _, g := range c.gateways {
		all = append(all, onProcess(g.Process))
		link(g.Name+" to store", g.store)
	}
	for _, h := range c.hosts {
		all = append(all, onProcess(h.Process))
		link("gateways to "+h.Name, h.link)
		link(h.Name+" to store", h.store)
		link(h.Name+" to its values", h.values)
		if h.upstream != nil {
			all = append(all, onProcess(h.upstream))
		}
	}
	return all
}

// nemesis chooses.
type nemesis struct {
	t       *testing.T
	rnd     *rand.Rand
	victims []*victim
}

// act hurts one that is well, or heals one that is not.
func (n *nemesis) act() {
	n.supervise()
	v := n.victims[n.rnd.IntN(len(n.victims))]
	if v.heal != nil {
		n.t.Logf("%s heals", v.name)
		v.heal()
		v.heal = nil
		return
	}
	h := v.hurts[n.rnd.IntN(len(v.hurts))]
	n.t.Logf("%s: %s", v.name, h.name)
	h.begin()
	v.heal = h.end
	if n.rnd.IntN(2) == 0 { // enough of it: another one heals
		for _, i := range n.rnd.Perm(len(n.victims)) {
			if w := n.victims[i]; w != v && w.heal != nil {
				n.t.Logf("%s heals", w.name)
				w.heal()
				w.heal = nil
				return
			}
		}
	}
}

// supervise starts again what ended by itself, as systemd or Kubernetes would:
// serve refuses to start without a store.
func (n *nemesis) supervise() {
	for _, v := range n.victims {
		if v.process != nil && v.heal == nil && v.process.Gone() {
			n.t.Logf("%s has ended by itself", v.name)
			v.process.Start()
		}
	}
}

func (n *nemesis) healAll() {
	for _, v := range n.victims {
		if v.heal != nil {
			v.heal()
			v.heal = nil
		}
	}
}
