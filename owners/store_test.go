package owners_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/owners/ownerstest"
)

// open opens a store for a test; its leases.max is 1.2 s.
func open(t *testing.T, o owners.Options) *owners.Store {
	t.Helper()
	o.MaxLease = 1200 * time.Millisecond
	s, err := owners.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func embedded(t *testing.T, fresh bool) *owners.Embedded {
	t.Helper()
	e, err := owners.StartEmbedded(fmt.Sprintf("127.0.0.1:%d", testenv.Port(t)), fresh)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	ownerstest.Run(t, func(t *testing.T) *owners.Store { return open(t, owners.Options{URL: embedded(t, true).URL()}) })
}

func TestRedis(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	ownerstest.Run(t, func(t *testing.T) *owners.Store { return open(t, owners.Options{URL: "redis://" + addr}) })
}

func TestRedisWithOneReplica(t *testing.T) {
	t.Parallel()
	master, _ := testenv.RedisReplicas(t, 1)
	ownerstest.Run(t, func(t *testing.T) *owners.Store {
		return open(t, owners.Options{URL: "redis://" + master.Addr + "/3?replicas=1"})
	})
}

func TestSentinelWithTwoReplicas(t *testing.T) {
	t.Parallel()
	set := testenv.Sentinel(t, 2, 3)
	ownerstest.Run(t, func(t *testing.T) *owners.Store {
		return open(t, owners.Options{URL: set.URL() + "?replicas=2"})
	})
}
