package chaos

import (
	"syscall"
	"testing"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testenv"
)

// TestStandsStillAt stops a host's process at chosen points for longer than
// its lease, with work in its queues, and lets it go on when others have
// served every object.
func TestStandsStillAt(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		point faults.Point
		come  func(c *cluster, h *objectHost) // makes the host come by there, if it would not anyway
	}{
		{faults.GateToHandler, nil},
		{faults.BeforeOutput, nil},
		{faults.BeforeRenew, nil},
		{faults.ConfirmToClaim, killOthers}, // their objects come here
		{faults.BeforeRelease, drain},
		{faults.AfterRelease, drain},
	} {
		t.Run(string(s.point), func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, plan{addr: testenv.Redis(t, durable...), agents: 1, stop: string(s.point)})
			l := c.startLoad(t, mixed)
			l.goOn(60)
			for _, other := range c.hosts { // gateways that knew one host only have given it every object: none would come to it
				l.involve(other)
			}
			h := l.busiest()
			h.Signal(syscall.SIGUSR1)
			if s.come != nil {
				s.come(c, h)
			}
			h.WaitForOutput("stopped at " + string(s.point))
			for _, other := range c.hosts {
				if other != h && other.Gone() {
					other.Start()
				}
			}
			c.beyond()
			l.servedAgain("every object is served while the host stands still at " + string(s.point))
			h.Resume()
			l.goOn(100)
			l.servedAgain("every object is served in the end")
			l.clean()
		})
	}
}

func drain(_ *cluster, h *objectHost) { h.Signal(syscall.SIGTERM) }

func killOthers(c *cluster, h *objectHost) {
	for _, other := range c.hosts {
		if other != h {
			other.Kill()
		}
	}
}
