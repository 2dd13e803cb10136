package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// rolled is what the rollout did, for the summary.
type rolled struct {
	moves, failed int
	took          time.Duration
}

// progress is what the demonstration reads of `rollout status -o json`.
type progress struct {
	Activity string  `json:"activity"`
	Assigned float64 `json:"assignedPercent"`
	Actual   float64 `json:"actualPercent"`
	Record   struct {
		Rollout struct {
			Phase  string `json:"phase"`
			Reason string `json:"reason"`
			Step   int    `json:"step"`
		} `json:"rollout"`
	} `json:"record"`
	Moves struct {
		Done     int `json:"done"`
		InFlight int `json:"inFlight"`
		Failed   int `json:"failed"`
	} `json:"moves"`
	Versions []struct {
		Version string `json:"version"`
		Objects int    `json:"objects"`
	} `json:"versions"`
}

// rollout moves the carts from v1 to v2 in steps while the load goes on.
func (s *stage) rollout(ctx context.Context) error {
	s.term.heading("rollout: carts from v1 to v2 in steps, the load goes on")
	if err := s.startHosts("v2"); err != nil {
		return err
	}
	err := s.processes.until(ctx, "two hosts of v2", 20*time.Second, func() bool {
		out, _, err := s.skewgate(ctx, "hosts", "list")
		return err == nil && strings.Contains(out, "shop-v2-a") && strings.Contains(out, "shop-v2-b")
	})
	if err != nil {
		return err
	}
	started := time.Now()
	code, err := s.show(ctx, strings.Fields("rollout start shop --to v2 --steps 5,25,50,100 --bake 3s --min-requests 5 --max-p99-ratio 100 --move drain")...)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the rollout was refused")
	}
	if err := s.followRollout(ctx); err != nil {
		return err
	}
	s.rolled.took = time.Since(started)
	s.say("")
	_, err = s.show(ctx, strings.Fields("can-i rollback shop v1 --since 1m")...)
	return err
}

// followRollout prints a line a second, and the skew table when a step begins.
func (s *stage) followRollout(ctx context.Context) error {
	shown := -1
	deadline := time.Now().Add(2 * time.Minute)
	for {
		var p progress
		if err := s.query(ctx, &p, "rollout", "status", "shop"); err != nil {
			return err
		}
		if p.Record.Rollout.Step != shown {
			shown = p.Record.Rollout.Step
			if _, err := s.show(ctx, "skew"); err != nil {
				return err
			}
		}
		s.progressLine(p)
		s.rolled.moves, s.rolled.failed = p.Moves.Done, p.Moves.Failed
		switch p.Record.Rollout.Phase {
		case "progressing":
		case "completed":
			return nil
		default:
			return fmt.Errorf("the rollout stands still, %s: %s", p.Record.Rollout.Phase, p.Record.Rollout.Reason)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the rollout did not complete in two minutes; see skewgate rollout status shop")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (s *stage) progressLine(p progress) {
	var versions []string
	for _, v := range p.Versions {
		versions = append(versions, fmt.Sprintf("%s %d carts", v.Version, v.Objects))
	}
	c := s.total()
	s.say("%s %3.0f%%  %-10s %-26s moves %d done %d in flight   requests %d failed %d  p99 %.0fms",
		bar(p.Assigned), p.Assigned, p.Activity, strings.Join(versions, ", "), p.Moves.Done, p.Moves.InFlight, c.Requests, c.Failed, c.P99Millis)
}

func bar(percent float64) string {
	const width = 20
	n := int(percent / 100 * width)
	return "[" + strings.Repeat("█", n) + strings.Repeat("·", width-n) + "]"
}

// newWorkers: objects went first, so now the workers that call the new method may follow.
func (s *stage) newWorkers(ctx context.Context) error {
	s.term.heading("workers follow: web v2 calls ApplyCoupon, which no v1 cart has")
	if err := s.startWorker("v2"); err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	_, err := s.show(ctx, "skew")
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
