package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// summary says at a glance what happened.
func (s *stage) summary(context.Context) error {
	c := s.total()
	byFreeze := s.frozen.failedAfter - s.frozen.failedBefore
	s.term.heading("summary")
	row := func(name, format string, args ...any) {
		s.say("%-31s %s", name, fmt.Sprintf(format, args...))
	}
	row("requests", "%d in %.0fs, p50 %.1f ms, p99 %.0f ms", c.Requests, time.Since(s.started).Seconds(), c.P50Millis, c.P99Millis)
	row("failed", "%d", c.Failed-byFreeze)
	row("failed by the frozen host", "%d (in flight on it when it froze)", byFreeze)
	row("acknowledged writes lost", "%d", c.Lost)
	row("carts moved v1 → v2", "%d in %.0fs, %d moves failed", s.rolled.moves, s.rolled.took.Seconds(), s.rolled.failed)
	row("sockets and streams", "%d open, %d messages, opened again %d times as carts moved", c.Sockets, c.Messages, c.Reconnects)
	row("late write of the frozen host", "%s", yes(s.frozen.refused, "refused", "NOT REFUSED"))
	row("late answer of the frozen host", "%s", yes(s.frozen.late.status != 200, fmt.Sprintf("withheld; the client got %d", s.frozen.late.status), "DELIVERED"))
	row("cart taken over after", "%.1fs (lease %v)", s.frozen.takeover.Seconds(), lease)
	for _, msg := range slices.Sorted(maps.Keys(c.Failures)) {
		s.say("  %4d × %s", c.Failures[msg], brief(msg))
	}
	s.say("")
	if s.clean() {
		s.say("%s", s.term.paint(green, "no request failed other than by the frozen host; nothing was lost"))
	} else {
		s.say("%s", s.term.paint(red, "requests failed that should not have; logs are in "+s.o.dir))
	}
	return nil
}

// clean says whether no request failed other than by the frozen host.
func (s *stage) clean() bool {
	c := s.total()
	return c.Requests > 0 && c.Failed == s.frozen.failedAfter-s.frozen.failedBefore && c.Lost == 0 && s.rolled.failed == 0
}

func yes(ok bool, good, bad string) string {
	if ok {
		return good
	}
	return bad
}

// invite says what to try now that everything is up.
func (s *stage) invite() {
	s.term.heading("it stays up; try it (Ctrl-C ends everything)")
	s.say("edge      http://%s/carts/you          admin and console   %s/", s.edge, s.admin())
	s.say("")
	s.say("export SKEWGATE_ADMIN=%s PATH=$PWD/%s/bin:$PATH", s.admin(), s.o.dir)
	for _, line := range []string{
		"skewgate skew -w",
		"skewgate hosts list",
		"skewgate objects get Cart/frozen",
		"skewgate versions list",
		"skewgate can-i finish shop v2",
		"skewgate doctor",
		fmt.Sprintf(`curl -X POST http://%s/carts/you/items -d '{"sku":"tea","quantity":1,"priceCents":450}'`, s.edge),
	} {
		s.term.command(line)
	}
}
