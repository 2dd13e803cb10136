package sim

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// world is one run.
type world struct {
	t      *testing.T
	c      Config
	store  *store
	check  *check
	signer *wire.Signer
	calm   atomic.Bool   // faults have ended
	quiet  atomic.Bool   // nobody asks any more
	over   atomic.Bool   // everything has
	done   chan struct{} // closed when what Config.Until waits for has happened
	enough sync.Once

	flushed  time.Time // when the store lost everything last; of the loop that makes faults
	mu       sync.Mutex
	machines []*machine // one for each host name; what runs there changes
	gateways []*proxy

	wg sync.WaitGroup // everything the simulation started
}

var secret = []byte("the secret of a simulated mesh")

// Run runs c and gives what the checker found.
func Run(t *testing.T, c Config) Result {
	t.Helper()
	var r Result
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, c: c, signer: wire.NewSigner(secret), done: make(chan struct{})}
		w.check = newCheck(w)
		w.store = newStore(w)
		for i := range hosts {
			m := &machine{w: w, name: string(rune('a' + i)), node: newNode(w, string(rune('a'+i)), uint64(100+i))}
			w.machines = append(w.machines, m)
			m.boot()
		}
		for i := range gateways {
			w.gateways = append(w.gateways, newProxy(w, i))
		}
		for _, g := range w.gateways {
			g.start()
		}
		w.wg.Go(w.check.watchHeld)
		if c.has("crowded") {
			w.wg.Go(w.watchActive)
		}
		w.live()
		r = w.check.result()
		w.stop()
	})
	return r
}

// live is the run: a quiet beginning, the time of faults, the calm after it.
func (w *world) live() {
	time.Sleep(2 * time.Second)
	stop := make(chan struct{})
	var chaos sync.WaitGroup
	for _, f := range []func(<-chan struct{}){w.faults, w.moves, w.rollouts} {
		chaos.Go(func() { f(stop) })
	}
	select {
	case <-time.After(w.c.Time):
	case <-w.done:
	}
	close(stop)
	chaos.Wait()
	select {
	case <-w.done:
		return
	default:
	}
	if w.c.Brief {
		return
	}
	w.calm.Store(true)
	w.store.heal()
	w.check.calmed(w.holding())
	for _, m := range w.machines {
		m.settle()
	}
	time.Sleep(calmTime)
	w.quiet.Store(true)
	time.Sleep(holdFor + sendLimit + time.Second) // until the last request is over
}

// holding says whether nobody may acquire now.
func (w *world) holding() bool { return w.store.mini.HGet("{p0}:epoch", "s") != "open" }

func (w *world) stop() {
	w.over.Store(true)
	for _, g := range w.gateways {
		g.stop()
	}
	for _, m := range w.machines {
		m.stop()
	}
	w.store.mini.Close()
	w.wg.Wait()
	time.Sleep(time.Minute) // go-redis dials in goroutines of its own, which end by time
}

// open opens a node's own store, as soon as it answers; nil when all is over before.
func (w *world) open(n *node) *owners.Store {
	for !w.over.Load() {
		s, err := owners.Open(w.t.Context(), owners.Options{
			URL: storeURL, MaxLease: leaseMax, Timeout: leaseMin / 8, Dial: n.dial, Clock: n.clock,
		})
		if err == nil {
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

const storeURL = "redis://store:6379?replicas=1"
