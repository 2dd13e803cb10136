package main

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/skewgate/skewgate/examples/shop/web"
)

// load is a running worker and what it said last.
type load struct {
	*process
	mu   sync.Mutex
	last web.Counts
}

func (l *load) counts() web.Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// startWorker puts a version's worker on the edge.
func (s *stage) startWorker(version string) error {
	l := &load{}
	p, err := s.processes.start("web-"+version, func(line string) {
		var c web.Counts
		if json.Unmarshal([]byte(line), &c) == nil {
			l.mu.Lock()
			l.last = c
			l.mu.Unlock()
		}
	}, s.bin("web-"+version), "--edge", s.edge, "--carts", fmt.Sprint(s.o.carts), "--rate", fmt.Sprint(s.o.rate))
	if err != nil {
		return err
	}
	l.process = p
	s.workers = append(s.workers, l)
	s.say("web %s calls %d carts at %d requests/s (gRPC and HTTP), 4 WebSockets and 4 gRPC streams open", version, s.o.carts, s.o.rate)
	return nil
}

// total adds what all workers saw.
func (s *stage) total() web.Counts {
	sum := web.Counts{Failures: map[string]int{}}
	for _, l := range s.workers {
		c := l.counts()
		sum.Requests += c.Requests
		sum.Failed += c.Failed
		sum.Lost += c.Lost
		sum.Sockets += c.Sockets
		sum.Messages += c.Messages
		sum.Reconnects += c.Reconnects
		sum.P50Millis = max(sum.P50Millis, c.P50Millis)
		sum.P99Millis = max(sum.P99Millis, c.P99Millis)
		for msg, n := range c.Failures {
			sum.Failures[msg] += n
		}
	}
	return sum
}
