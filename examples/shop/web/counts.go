package web

import (
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// Counts is what a worker saw since it started.
type Counts struct {
	Version    string         `json:"version"`
	Requests   int64          `json:"requests"`
	Failed     int64          `json:"failed"`
	Failures   map[string]int `json:"failures,omitempty"` // message → how often
	Lost       int64          `json:"lost"`               // acknowledged writes that a later answer did not show
	Sockets    int64          `json:"sockets"`            // WebSockets and gRPC streams open now
	Messages   int64          `json:"messages"`
	Reconnects int64          `json:"reconnects"`
	P50Millis  float64        `json:"p50Millis"` // over the last 1000 requests
	P99Millis  float64        `json:"p99Millis"`
}

type counts struct {
	mu     sync.Mutex
	c      Counts
	recent []time.Duration
	next   int
}

const recentRequests = 1000

func newCounts(version string) *counts {
	return &counts{c: Counts{Version: version, Failures: map[string]int{}}}
}

func (c *counts) request(d time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.c.Requests++
	if len(c.recent) < recentRequests {
		c.recent = append(c.recent, d)
	} else {
		c.recent[c.next] = d
		c.next = (c.next + 1) % recentRequests
	}
	if err == nil {
		return
	}
	c.c.Failed++
	msg := err.Error()
	if s, ok := status.FromError(err); ok {
		msg = s.Code().String() + ": " + s.Message()
	}
	if len(c.c.Failures) < 20 || c.c.Failures[msg] > 0 {
		c.c.Failures[msg]++
	}
}

func (c *counts) lose()      { c.mu.Lock(); c.c.Lost++; c.mu.Unlock() }
func (c *counts) open(d int) { c.mu.Lock(); c.c.Sockets += int64(d); c.mu.Unlock() }
func (c *counts) message()   { c.mu.Lock(); c.c.Messages++; c.mu.Unlock() }
func (c *counts) reconnect() { c.mu.Lock(); c.c.Reconnects++; c.mu.Unlock() }

func (c *counts) snapshot() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.c
	s.Failures = maps.Clone(c.c.Failures)
	if len(c.recent) > 0 {
		sorted := slices.Sorted(slices.Values(c.recent))
		s.P50Millis = millis(sorted[len(sorted)/2])
		s.P99Millis = millis(sorted[len(sorted)*99/100])
	}
	return s
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
