package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// warmPins is a cache with n objects in it.
func warmPins(n int) (*pins, []owners.Key) {
	p := newPins(1 << 20)
	keys := make([]owners.Key, n)
	for i := range keys {
		keys[i] = owners.Key{Class: "Cart", ID: fmt.Sprintf("user-%d", i)}
		p.entry(keys[i]).target.Store(&Target{Addr: "127.0.0.1:9001", SID: "s", Token: int64(i), Version: "v1", Host: "a"})
	}
	return p, keys
}

func TestWarmPinDoesNotAllocate(t *testing.T) {
	p, keys := warmPins(1000)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		if p.get(keys[i%len(keys)]) == nil {
			t.Fatal("cold")
		}
		i++
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	p := newPins(640)
	for i := range 10_000 {
		e := p.entry(owners.Key{Class: "Cart", ID: fmt.Sprint(i)})
		e.target.Store(&Target{})
	}
	if n := p.len(); n > 640 {
		t.Fatalf("%d entries, at most 640 were asked for", n)
	}
	busy := p.entry(owners.Key{Class: "Cart", ID: "busy"})
	busy.mu.Lock()
	busy.held = 1
	busy.mu.Unlock()
	for i := range 10_000 {
		p.entry(owners.Key{Class: "Room", ID: fmt.Sprint(i)})
	}
	if p.entry(owners.Key{Class: "Cart", ID: "busy"}) != busy {
		t.Fatal("an entry that somebody waits for was evicted")
	}
}

func BenchmarkWarmPin(b *testing.B) {
	p, keys := warmPins(100_000)
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if p.get(keys[i%len(keys)]) == nil {
				b.Fatal("cold")
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if p.get(keys[i%len(keys)]) == nil {
					b.Error("cold")
					return
				}
			}
		})
	})
}

// One request through a gateway to a host that does nothing, against the same
// request straight to it.
func BenchmarkRequest(b *testing.B) {
	m := newMesh(b)
	f := m.fake("a", "v1", func(*fakeHost, http.ResponseWriter, *http.Request) {})
	m.table()
	m.get("/carts/1")
	tr := &http.Transport{MaxIdleConnsPerHost: 256}
	defer tr.CloseIdleConnections()
	for _, to := range []struct{ name, addr string }{{"direct", f.addr}, {"gateway", m.addr}} {
		for _, c := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d at a time", to.name, c), func(b *testing.B) {
				b.SetParallelism((c + 1) / 2)
				b.ReportAllocs()
				start := time.Now()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+to.addr+"/carts/1", nil)
						res, err := tr.RoundTrip(req)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
					}
				})
				b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "req/s")
			})
		}
	}
}
