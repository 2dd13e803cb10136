package host_test

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
)

// Only a second signal ends a drain: not the one signal that ended ctx too, nor
// the first one after an operator's drain. Both orders of ctx and signal are
// drawn, as they are ready at the same time.
func TestOnlyTheSecondSignalEndsTheDrain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ctx, operator bool
		signals       int
	}{
		"ctx and signal":             {ctx: true, signals: 1},
		"operator and signal":        {operator: true, signals: 1},
		"operator, ctx and signal":   {operator: true, ctx: true, signals: 1},
		"signal alone":               {signals: 1},
		"ctx and two signals":        {ctx: true, signals: 2},
		"two signals":                {signals: 2},
		"operator, then two signals": {operator: true, signals: 2},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				err := waits(t, c.ctx, c.operator, c.signals)
				if aborted := err != nil; aborted != (c.signals > 1) {
					t.Fatalf("%d signals: %v", c.signals, err)
				}
			}
		})
	}
}

// waits gives what a host makes of that many signals, if it drains to its end otherwise.
func waits(t *testing.T, endCtx, operator bool, n int) error {
	h, err := host.New(host.Options{App: "shop", Version: "v1", Store: "memory:", Listen: "127.0.0.1:1", Secret: testmesh.Secret})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	if endCtx {
		end()
	}
	if operator {
		host.AskDrain(h)
	}
	signals, lived := make(chan os.Signal, n), make(chan error)
	for range n {
		signals <- syscall.SIGTERM
	}
	ended := make(chan error, 1)
	go func() { ended <- host.Wait(ctx, h, signals, lived) }()
	for len(signals) > 0 { // all of them are taken, or it has ended
		select {
		case err := <-ended:
			return err
		case <-time.After(100 * time.Microsecond):
		}
	}
	select {
	case err := <-ended:
		return err
	case lived <- nil:
		return <-ended
	}
}

// A signal to a host that an operator drains already, as when a deployment
// follows its hook, takes nothing from the drain: the running event is answered.
func TestSignalDuringTheOperatorsDrain(t *testing.T) {
	testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
		p := startProcess(m, "leaving")
		k := key("1")
		m.Must(k, "POST", "/add", "", 200)
		sid := m.Owner(k).SID
		running := m.Later(k, "POST", "/add?hold=1")
		p.line(t, "holding")
		if err := m.Store.Want(t.Context(), sid, owners.WantedDrain); err != nil {
			t.Fatal(err)
		}
		m.Until("it drains", func() bool {
			s, ok, err := m.Store.Session(t.Context(), sid)
			return err == nil && (!ok || s.State != owners.Live)
		})
		p.signal(syscall.SIGTERM)
		if a := <-running; a.Err != nil || a.Status != 200 || strings.TrimSpace(a.Body) != "2" {
			t.Errorf("the running event: %d %s %v", a.Status, a.Body, a.Err)
		}
		m.Until("its session is closed", func() bool {
			s, ok, err := m.Store.Session(t.Context(), sid)
			return err == nil && (!ok || s.State == owners.Closed)
		})
	})
}
