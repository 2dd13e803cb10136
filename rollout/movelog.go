package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/owners"
)

// Reasons why an object changes its host or version.
const (
	ReasonRollout       = "rollout"
	ReasonDrain         = "drain"
	ReasonRebalance     = "rebalance"
	ReasonHostDead      = "host-dead"
	ReasonUpgradeOnCall = "upgrade-on-call"
	ReasonOperator      = "operator"
)

// Moved is one entry of an object's history.
type Moved struct {
	At          time.Time `json:"at"`
	Reason      string    `json:"reason"`
	FromVersion string    `json:"fromVersion,omitempty"`
	ToVersion   string    `json:"toVersion,omitempty"`
	FromHost    string    `json:"fromHost,omitempty"`
	ToHost      string    `json:"toHost,omitempty"`
	Token       int64     `json:"token,omitempty"` // that ended with a release, or began with an acquire
	Detail      string    `json:"detail,omitempty"`
}

// How much is kept of each object that ever moved.
const (
	movesKept   = 20
	movesExpire = 7 * 24 * time.Hour
)

// MoveLog remembers why objects moved. Writing it is best effort: a move does
// not fail because its entry could not be written.
type MoveLog struct {
	rdb    redis.UniversalClient
	prefix string
}

// NewMoveLog makes a MoveLog; every key begins with prefix.
func NewMoveLog(rdb redis.UniversalClient, prefix string) *MoveLog { return &MoveLog{rdb, prefix} }

func (l *MoveLog) key(k owners.Key) string { return l.prefix + "moved:" + k.String() }

// MoveOf is one move of one object.
type MoveOf struct {
	Key owners.Key
	Moved
}

// Add notes one move of k.
func (l *MoveLog) Add(ctx context.Context, k owners.Key, m Moved) error {
	return l.AddAll(ctx, []MoveOf{{k, m}})
}

// AddAll notes moves in one round trip; when it fails, some may have been noted.
func (l *MoveLog) AddAll(ctx context.Context, moves []MoveOf) error {
	pipe := l.rdb.Pipeline()
	for _, m := range moves {
		b, err := json.Marshal(m.Moved)
		if err != nil {
			return fmt.Errorf("encode move of %s: %w", m.Key, err)
		}
		pipe.LPush(ctx, l.key(m.Key), b)
		pipe.LTrim(ctx, l.key(m.Key), 0, movesKept-1)
		pipe.Expire(ctx, l.key(m.Key), movesExpire)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("note %d moves: %w", len(moves), err)
	}
	return nil
}

// Of gives the moves of k, newest first.
func (l *MoveLog) Of(ctx context.Context, k owners.Key, limit int) ([]Moved, error) {
	lines, err := l.rdb.LRange(ctx, l.key(k), 0, int64(limit)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("read moves of %s: %w", k, err)
	}
	out := make([]Moved, len(lines))
	for i, line := range lines {
		if err := json.Unmarshal([]byte(line), &out[i]); err != nil {
			return nil, fmt.Errorf("read moves of %s: %w", k, err)
		}
	}
	return out, nil
}
