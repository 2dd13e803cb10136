package rollout

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/gateway/routing"
)

//go:embed scripts/budget_take.lua
var takeLua string

//go:embed scripts/budget_begin.lua
var beginLua string

//go:embed scripts/budget_end.lua
var endLua string

// grantFor is how long an object that was released for a move may take its
// move without asking the bucket again. An active one is back in milliseconds.
const grantFor = 10 * time.Second

// Budget bounds the planned moves of a class, over all gateways and control
// replicas: a token bucket in the store and a number in flight. Each move is
// paid for once: by the gateway whose acquire changes an object's version
// (Take), or by the mover before it has an object released (Begin), whose
// token then waits as a grant for that acquire.
//
// So in any time T a class has at most burst + rate·T moves, and those of the
// mover at most InFlight at a time.
type Budget struct {
	rdb              redis.UniversalClient
	prefix           string
	classes          func() []routing.Class
	take, begin, end *redis.Script
}

// NewBudget makes the budgets of all classes; classes gives their limits as configured now.
func NewBudget(rdb redis.UniversalClient, prefix string, classes func() []routing.Class) *Budget {
	return &Budget{
		rdb: rdb, prefix: prefix, classes: classes,
		take: redis.NewScript(takeLua), begin: redis.NewScript(beginLua), end: redis.NewScript(endLua),
	}
}

func (b *Budget) keys(class string) []string {
	k := b.prefix + "budget:" + class
	return []string{k, k + ":moving", k + ":granted"}
}

// limits of a class; an unknown class has none.
func (b *Budget) limits(class string) (rate, burst float64, inFlight int) {
	for _, c := range b.classes() {
		if c.Name == class {
			return c.Move.Rate, burstOf(c.Move.Rate), c.Move.InFlight
		}
	}
	return 0, 1, 0
}

// burstOf a rate is one second's worth.
func burstOf(rate float64) float64 { return math.Max(1, rate) }

// Take asks for one move of an object of class, now. False: let it run its last version again.
func (b *Budget) Take(ctx context.Context, class string) (bool, error) {
	rate, burst, _ := b.limits(class)
	n, err := b.take.Run(ctx, b.rdb, b.keys(class), rate, burst).Int()
	if err != nil {
		return false, fmt.Errorf("take move of %s: %w", class, err)
	}
	return n == 1, nil
}

// begun is what Begin says.
type begun int

const (
	noBudget  begun = 0
	begunOK   begun = 1
	elsewhere begun = -1 // another mover has this object
)

// start begins the move of one object; place is how long it may stay in flight.
func (b *Budget) start(ctx context.Context, class, id string, place time.Duration) (begun, error) {
	rate, burst, inFlight := b.limits(class)
	n, err := b.begin.Run(ctx, b.rdb, b.keys(class), rate, burst, inFlight, id, place.Milliseconds()).Int()
	if err != nil {
		return noBudget, fmt.Errorf("begin move of %s: %w", class, err)
	}
	return begun(n), nil
}

// finish ends the move of one object.
func (b *Budget) finish(ctx context.Context, class, id string, released bool) error {
	_, burst, _ := b.limits(class)
	flag := 0
	if released {
		flag = 1
	}
	if err := b.end.Run(ctx, b.rdb, b.keys(class), id, flag, grantFor.Milliseconds(), burst).Err(); err != nil {
		return fmt.Errorf("end move of %s: %w", class, err)
	}
	return nil
}

// limits are a rollout's own, which replace those that the mesh file has for
// its app's classes until the next rollout; zero values leave the classes' own.
type limits struct {
	keys     []string // of the budgets
	rate     float64
	inFlight int
}

// limits of a rollout, for all classes of its app.
func (r *Rollouts) limits(spec Spec) *limits {
	l := &limits{rate: spec.Move.Rate, inFlight: spec.Move.InFlight}
	for _, c := range r.opt.Classes() {
		if c.App == spec.App {
			l.keys = append(l.keys, r.Budget.keys(c.Name)[0])
		}
	}
	return l
}

// Spent is what a class's budget was used for since the store began.
type Spent struct {
	Taken    int64 `json:"taken"`    // acquires that changed an object's version
	Released int64 `json:"released"` // releases by the mover
	Failed   int64 `json:"failed"`   // releases that did not come about
	InFlight int64 `json:"inFlight"` // now
}

func (s Spent) add(o Spent) Spent {
	return Spent{s.Taken + o.Taken, s.Released + o.Released, s.Failed + o.Failed, s.InFlight + o.InFlight}
}

// Spent reads a class's counters.
func (b *Budget) Spent(ctx context.Context, class string) (Spent, error) {
	keys := b.keys(class)
	now, err := b.rdb.Time(ctx).Result()
	if err != nil {
		return Spent{}, fmt.Errorf("read budget of %s: %w", class, err)
	}
	min := "(" + strconv.FormatInt(now.UnixMilli(), 10)
	pipe := b.rdb.Pipeline()
	counters := pipe.HMGet(ctx, keys[0], "taken", "released", "failed")
	moving := pipe.ZCount(ctx, keys[1], min, "+inf")
	granted := pipe.ZCount(ctx, keys[2], min, "+inf")
	if _, err := pipe.Exec(ctx); err != nil {
		return Spent{}, fmt.Errorf("read budget of %s: %w", class, err)
	}
	var n [3]int64
	for i, v := range counters.Val() {
		if s, ok := v.(string); ok {
			n[i], _ = strconv.ParseInt(s, 10, 64) // written by HINCRBY only
		}
	}
	return Spent{Taken: n[0], Released: n[1], Failed: n[2], InFlight: moving.Val() + granted.Val()}, nil
}
