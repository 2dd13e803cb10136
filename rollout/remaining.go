package rollout

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Remaining is what the mover's last whole pass over an app found.
type Remaining struct {
	Generation int64     `json:"generation"`
	Objects    int       `json:"objects"` // active and not on their assigned version
	At         time.Time `json:"at"`
}

func (s *Records) remainingKey(app string) string { return s.prefix + "rollout:" + app + ":remaining" }

// remainingKept: a count older than this says nothing.
const remainingKept = 10 * time.Minute

func (s *Records) noteRemaining(ctx context.Context, app string, generation int64, objects int) error {
	key := s.remainingKey(app)
	pipe := s.rdb.Pipeline()
	pipe.HSet(ctx, key, "generation", generation, "objects", objects, "at", time.Now().UnixMilli())
	pipe.Expire(ctx, key, remainingKept)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("note remaining moves of %s: %w", app, err)
	}
	return nil
}

// Remaining reads the last count; ok is false when there is none.
func (s *Records) Remaining(ctx context.Context, app string) (rem Remaining, ok bool, err error) {
	f, err := s.rdb.HGetAll(ctx, s.remainingKey(app)).Result()
	if err != nil {
		return Remaining{}, false, fmt.Errorf("read remaining moves of %s: %w", app, err)
	}
	if len(f) == 0 {
		return Remaining{}, false, nil
	}
	n := func(name string) int64 { v, _ := strconv.ParseInt(f[name], 10, 64); return v } // written by noteRemaining only
	return Remaining{Generation: n("generation"), Objects: int(n("objects")), At: time.UnixMilli(n("at")).UTC()}, true, nil
}
