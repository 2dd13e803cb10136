package rollout

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/gateway/routing"
)

//go:embed scripts/change.lua
var changeLua string

// changesKept is how many changes of one app's record are remembered.
const changesKept = 500

// Records keeps one Record for each app in the store.
type Records struct {
	rdb    redis.UniversalClient
	prefix string
	change *redis.Script
}

// NewRecords makes Records; every key begins with prefix.
func NewRecords(rdb redis.UniversalClient, prefix string) *Records {
	return &Records{rdb: rdb, prefix: prefix, change: redis.NewScript(changeLua)}
}

func (s *Records) key(app string) string     { return s.prefix + "rollout:" + app }
func (s *Records) history(app string) string { return s.prefix + "rollout:" + app + ":changes" }
func (s *Records) index() string             { return s.prefix + "rollouts" }

// Change is one entry of an app's history.
type Change struct {
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Action   string    `json:"action"`
	Reason   string    `json:"reason,omitempty"`
	Rollout  string    `json:"rollout,omitempty"`
	To       string    `json:"to,omitempty"`
	Weight   float64   `json:"weight"`
	Phase    Phase     `json:"phase,omitempty"`
	Override string    `json:"override,omitempty"`

	limits *limits // take effect with the change; nil leaves them
}

// Get reads an app's record; an app without one has an empty record of revision 0.
func (s *Records) Get(ctx context.Context, app string) (*Record, error) {
	data, err := s.rdb.HGet(ctx, s.key(app), "data").Result()
	if errors.Is(err, redis.Nil) {
		return &Record{App: app}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read rollout of %s: %w", app, err)
	}
	r := &Record{}
	if err := json.Unmarshal([]byte(data), r); err != nil {
		return nil, fmt.Errorf("read rollout of %s: %w", app, err)
	}
	return r, nil
}

// List reads the records of all apps, by name.
func (s *Records) List(ctx context.Context) ([]*Record, error) {
	apps, err := s.rdb.SMembers(ctx, s.index()).Result()
	if err != nil {
		return nil, fmt.Errorf("list rollouts: %w", err)
	}
	slices.Sort(apps)
	out := make([]*Record, 0, len(apps))
	for _, app := range apps {
		r, err := s.Get(ctx, app)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Deployments gives the versions of each app that has a deployment, as the
// routing table wants them. An app that follows has none.
func (s *Records) Deployments(ctx context.Context) (map[string][]routing.Weighted, error) {
	records, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string][]routing.Weighted{}
	for _, r := range records {
		for _, v := range r.Deployment {
			out[r.App] = append(out[r.App], routing.Weighted{Version: v.Name, Weight: v.Weight, Salt: v.Salt})
		}
	}
	return out, nil
}

// Put replaces the record that was read as r.Revision and notes why;
// ErrConflict when somebody else was faster. r.Revision is moved on.
func (s *Records) Put(ctx context.Context, r *Record, c Change) error {
	next := *r
	next.Revision++
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode rollout of %s: %w", r.App, err)
	}
	change, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode change of %s: %w", r.App, err)
	}
	keys := []string{s.key(r.App), s.index(), s.history(r.App)}
	args := []any{r.Revision, data, r.App, change, changesKept, rand.Text()}
	if l := c.limits; l != nil {
		keys = append(keys, l.keys...)
		args = append(args, l.rate, burstOf(l.rate), l.inFlight)
	}
	rev, err := s.change.Run(ctx, s.rdb, keys, args...).Int64()
	if err != nil {
		return fmt.Errorf("write rollout of %s: %w", r.App, err)
	}
	if rev < 0 {
		return fmt.Errorf("write rollout of %s: %w", r.App, ErrConflict)
	}
	r.Revision = rev
	return nil
}

// History gives an app's changes, newest first.
func (s *Records) History(ctx context.Context, app string, limit int) ([]Change, error) {
	lines, err := s.rdb.LRange(ctx, s.history(app), 0, int64(limit)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", app, err)
	}
	out := make([]Change, len(lines))
	for i, l := range lines {
		if err := json.Unmarshal([]byte(l), &out[i]); err != nil {
			return nil, fmt.Errorf("read history of %s: %w", app, err)
		}
	}
	return out, nil
}

// Now is the store's clock, by which rollouts run: any replica may carry on.
func (s *Records) Now(ctx context.Context) (time.Time, error) {
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read store's clock: %w", err)
	}
	return now.UTC(), nil
}
