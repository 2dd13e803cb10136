package owners_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/owners"
)

func TestLeaseInequalities(t *testing.T) {
	const s = time.Second
	for name, row := range map[string]struct {
		l    owners.Leases
		says string // "" = fine
	}{
		"defaults":                  {owners.Leases{Host: 15 * s}, ""},
		"defaults with Sentinel":    {owners.Leases{Host: 15 * s, Failover: 5 * s}, ""},
		"shortest":                  {owners.Leases{Host: s}, ""},
		"below the shortest":        {owners.Leases{Host: s - 1}, "at least"},
		"none":                      {owners.Leases{}, "at least"},
		"above the longest":         {owners.Leases{Host: 31 * s, Max: 30 * s}, "longer than leases.max"},
		"renewal too rare":          {owners.Leases{Host: 8 * s, Renew: 2*s + 1}, "a quarter"},
		"renewal just in time":      {owners.Leases{Host: 8 * s, Renew: 2 * s}, ""},
		"read timeout too long":     {owners.Leases{Host: 8 * s, Timeout: s + 1}, "an eighth"},
		"read timeout just so":      {owners.Leases{Host: 8 * s, Timeout: s}, ""},
		"failover does not fit":     {owners.Leases{Host: 10 * s, Failover: 5 * s}, "store.failover"},
		"failover just fits":        {owners.Leases{Host: 10*s + 4, Failover: 5 * s}, ""},
		"poll as long as the lease": {owners.Leases{Host: s, Poll: s}, "poll"},
		"holds past the edge":       {owners.Leases{Host: 15 * s, HoldFor: 15 * s, EdgeTimeout: 15 * s}, "edge"},
		"holds within the edge":     {owners.Leases{Host: 15 * s, HoldFor: 5 * s, EdgeTimeout: 15 * s}, ""},
	} {
		err := owners.CheckLeases(row.l)
		if row.says == "" && err != nil || row.says != "" && (!errors.Is(err, owners.ErrLease) || !strings.Contains(err.Error(), row.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := owners.CheckLeases(owners.Leases{Host: 10 * s, Max: 5 * s, Failover: 20 * s})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two wrongs are not two lines: %v", err)
	}
}

// A host's span ends before any watcher's span that begins at or after the
// renewal, whatever two clocks with rates within ρ measure.
func TestHostStopsBeforeItsWatcherConcludes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lease := time.Duration(rapid.Int64Range(int64(owners.MinLease), int64(time.Hour)).Draw(rt, "lease"))
		rate := func(name string) float64 {
			return 1 + owners.Rho/2*rapid.Float64Range(-1, 1).Draw(rt, name)
		}
		host := float64(owners.HostSpan(lease)) / rate("host")      // in true time
		watch := float64(owners.WatchSpan(lease)) / rate("watcher") // in true time
		if host >= watch {
			rt.Fatalf("lease %v: the host runs for %v, the watcher waits for %v", lease, host, watch)
		}
	})
}

func TestClockRises(t *testing.T) {
	last := owners.Now()
	time.Sleep(2 * time.Millisecond)
	for range 1000 {
		now := owners.Now()
		if now < last {
			t.Fatalf("%v after %v", now, last)
		}
		last = now
	}
	a, b := owners.Now(), time.Now()
	time.Sleep(20 * time.Millisecond)
	if d := (owners.Now() - a - time.Since(b)).Abs(); d > 10*time.Second {
		t.Errorf("it is not in nanoseconds: off by %v in 20 ms", d)
	}
}
