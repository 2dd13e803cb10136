package owners_test

import (
	"fmt"
	"testing"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// What one poll of a watcher costs with many hosts.
func BenchmarkSessions(b *testing.B) {
	for _, hosts := range []int{100, 3000} {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			s := openBench(b, owners.Options{URL: "redis://" + testenv.Redis(b)})
			for range hosts {
				if _, err := s.Register(b.Context(), registration()); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if all, err := s.Sessions(b.Context()); err != nil || len(all) != hosts {
					b.Fatal(len(all), err)
				}
			}
		})
	}
}

// What a renewal costs, alone and with a replica that must have it.
func BenchmarkRenew(b *testing.B) {
	for _, replicas := range []int{0, 1} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			master, _ := testenv.RedisReplicas(b, replicas)
			s := openBench(b, owners.Options{URL: "redis://" + master.Addr, Replicas: replicas})
			r := registration()
			if _, err := s.Register(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Renew(b.Context(), r.SID, owners.Health{Ready: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func openBench(b *testing.B, o owners.Options) *owners.Store {
	b.Helper()
	s, err := owners.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}
