package chaos

import (
	"syscall"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// beyond is a pause that no lease of a host outlasts.
func (c *cluster) beyond() { time.Sleep(c.lease + c.lease/2) }

// durable keeps everything that Redis acknowledged over the death of its process.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// scenario is a fault while clients work.
type scenario struct {
	name string
	run  func(c *cluster, l *load)
}

// faultsOf runs scenarios one after the other in one cluster, each on objects of its own.
func faultsOf(t *testing.T, c *cluster, scenarios []scenario) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			l := c.startLoad(t, mixed)
			l.goOn(60)
			s.run(c, l)
			l.servedAgain("every object is served in the end")
			l.goOn(60)
			l.clean()
		})
	}
}

// killed kills a process, and starts it again once every object is served without it.
func killed(l *load, p *testenv.Process) {
	p.Kill()
	l.servedAgain("every object is served without " + p.Name)
	p.Start()
}

// stopped stops a process beyond any lease, and lets it go on once every object is served without it.
func stopped(c *cluster, l *load, p *testenv.Process) {
	p.Pause()
	begin := time.Now()
	l.servedAgain("every object is served while " + p.Name + " stands still")
	time.Sleep(c.lease + c.lease/2 - time.Since(begin))
	l.goOn(30)
	p.Resume()
}

func TestProcessFaults(t *testing.T) {
	t.Parallel()
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), agents: 1})
	const agent = 2
	faultsOf(t, c, []scenario{
		{"a gateway is killed", func(c *cluster, l *load) { killed(l, c.gateways[0].Process) }},
		{"a gateway stands still", func(c *cluster, l *load) { stopped(c, l, c.gateways[0].Process) }},
		{"a host is killed", func(c *cluster, l *load) { killed(l, l.busiest().Process) }},
		{"a host stands still", func(c *cluster, l *load) { stopped(c, l, l.busiest().Process) }},
		{"an agent is killed", func(c *cluster, l *load) { killed(l, l.involve(c.hosts[agent]).Process) }},
		{"an agent stands still", func(c *cluster, l *load) { stopped(c, l, l.involve(c.hosts[agent]).Process) }},
		{"an upstream is killed", func(c *cluster, l *load) {
			up := l.involve(c.hosts[agent]).upstream
			up.Kill()
			l.goOn(60)
			up.Start()
		}},
		{"an upstream stands still", func(c *cluster, l *load) {
			up := l.involve(c.hosts[agent]).upstream
			up.Pause()
			c.beyond()
			up.Resume()
		}},
		{"control is killed", func(c *cluster, l *load) { killed(l, c.control) }},
		{"control stands still", func(c *cluster, l *load) { stopped(c, l, c.control) }},
	})
}

// TestPlanned drains a host and an agent under load: no request fails (I4).
func TestPlanned(t *testing.T) {
	t.Parallel()
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), agents: 1, lease: 6 * time.Second})
	l := c.startLoad(t, mixed)
	refused, doubtful := l.outcomes()
	for _, h := range c.hosts[1:] {
		l.goOn(60)
		h.Signal(syscall.SIGTERM)
		<-h.Ended()
		l.servedAgain("every object is served without " + h.Name)
		h.Start()
		l.goOn(60)
	}
	if r, d := l.outcomes(); r != refused || d != doubtful {
		t.Errorf("%d requests failed and %d had an unknown outcome while hosts were drained", r-refused, d-doubtful)
	}
	l.clean()
}
