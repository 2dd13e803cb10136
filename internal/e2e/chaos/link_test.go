package chaos

import (
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// spoils are what can happen to a link, each with its end.
var spoils = []struct {
	name       string
	begin, end func(p *testenv.Proxy)
}{
	{"is cut", func(p *testenv.Proxy) { p.Cut(true) }, func(p *testenv.Proxy) { p.Cut(false) }},
	{"is slow", func(p *testenv.Proxy) { p.Delay(100 * time.Millisecond) }, func(p *testenv.Proxy) { p.Delay(0) }},
	{"delivers requests late", func(p *testenv.Proxy) { p.Stall(testenv.Requests, true) }, func(p *testenv.Proxy) { p.Stall(testenv.Requests, false) }},
	{"delivers replies late", func(p *testenv.Proxy) { p.Stall(testenv.Replies, true) }, func(p *testenv.Proxy) { p.Stall(testenv.Replies, false) }},
	{"loses its connections", (*testenv.Proxy).Lose, (*testenv.Proxy).EndLost},
	{"loses replies", func(p *testenv.Proxy) { p.Mute(true) }, func(p *testenv.Proxy) { p.Mute(false) }},
}

// spoilEach spoils one link in every way, beyond a lease.
func spoilEach(t *testing.T, between string, pick func(c *cluster, l *load) *testenv.Proxy) {
	t.Parallel()
	spoilIn(t, startCluster(t, plan{addr: testenv.Redis(t, durable...), agents: 1}), between, pick)
}

func spoilIn(t *testing.T, c *cluster, between string, pick func(c *cluster, l *load) *testenv.Proxy) {
	var scenarios []scenario
	for _, s := range spoils {
		scenarios = append(scenarios, scenario{between + " " + s.name, func(c *cluster, l *load) {
			link := pick(c, l)
			s.begin(link)
			c.beyond()
			s.end(link)
		}})
	}
	faultsOf(t, c, scenarios)
}

func TestLinkOfAHost(t *testing.T) {
	spoilEach(t, "the link from the gateways to a host", func(c *cluster, l *load) *testenv.Proxy { return l.involve(c.hosts[0]).link })
}

func TestLinkOfAHostToItsStore(t *testing.T) {
	spoilEach(t, "the link from a host to the store", func(c *cluster, l *load) *testenv.Proxy { return l.involve(c.hosts[0]).store })
}

func TestLinkOfAnAgentToItsStore(t *testing.T) {
	spoilEach(t, "the link from an agent to the store", func(c *cluster, l *load) *testenv.Proxy { return l.involve(c.hosts[2]).store })
}

func TestLinkOfAGatewayToItsStore(t *testing.T) {
	spoilEach(t, "the link from a gateway to the store", func(c *cluster, _ *load) *testenv.Proxy { return c.gateways[0].store })
}
