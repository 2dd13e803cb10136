package sim

import (
	"context"
	"os"
	"os/signal"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // its goroutine must not belong to a simulation
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

// silent takes go-redis's own log, which tells of every connection that the simulation breaks.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestQuick(t *testing.T) {
	r := Run(t, Config{Seed: 1, Time: 20 * time.Second, Writes: .3, Faults: []string{"moves"}})
	t.Logf("%+v", r.Stats)
	for i, v := range r.Broken {
		t.Errorf("%s: %d %s", i, len(v), v[0])
	}
}
