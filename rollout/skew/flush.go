package skew

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// keys names the records of the tallies. <ins> is one run of one gateway.
//
//	tally                        sorted set of <ins> by the time of its last write (ms)
//	tally:<ins>                  hash: gateway, started, flushed (ms), dropped, closed
//	tally:<ins>:{60|3600}:<t>    hash: JSON of Key as an array → JSON of row; t = start of the bucket, unix seconds
//	tally:<ins>:{60|3600}s:<t>   hash: JSON of pair as an array → sketch
type keys struct{ prefix string }

func (k keys) index() string              { return k.prefix + "tally" }
func (k keys) instance(ins string) string { return k.prefix + "tally:" + ins }
func (k keys) rows(ins string, width, start int64) string {
	return fmt.Sprintf("%stally:%s:%d:%d", k.prefix, ins, width, start)
}
func (k keys) sketches(ins string, width, start int64) string {
	return fmt.Sprintf("%stally:%s:%ds:%d", k.prefix, ins, width, start)
}

func (k Key) field() string {
	b, _ := json.Marshal([...]string{k.Class, k.Caller, k.App, k.Version, k.Method, k.Code}) // strings always marshal
	return string(b)
}

func parseKey(field string) (Key, error) {
	var f [6]string
	if err := json.Unmarshal([]byte(field), &f); err != nil {
		return Key{}, fmt.Errorf("tally field %q: %w", field, err)
	}
	return Key{f[0], f[1], f[2], f[3], f[4], f[5]}, nil
}

func (p pair) field() string {
	b, _ := json.Marshal([...]string{p.Class, p.Caller, p.App, p.Version}) // strings always marshal
	return string(b)
}

func parsePair(field string) (pair, error) {
	var f [4]string
	if err := json.Unmarshal([]byte(field), &f); err != nil {
		return pair{}, fmt.Errorf("tally field %q: %w", field, err)
	}
	return pair{f[0], f[1], f[2], f[3]}, nil
}

// change is what a flush takes out of one bucket.
type change struct {
	bucket   *bucket
	rows     map[Key]string
	sketches map[pair][]byte
}

// take copies what changed in b and marks it written.
func (b *bucket) take() change {
	c := change{bucket: b, rows: map[Key]string{}, sketches: map[pair][]byte{}}
	for k, r := range b.rows {
		if r.dirty {
			v, _ := json.Marshal(r) // numbers always marshal
			c.rows[k] = string(v)
			r.dirty = false
		}
	}
	for p, s := range b.sketches {
		if s.dirty {
			c.sketches[p] = s.encode()
			s.dirty = false
		}
	}
	return c
}

// undo marks a change that could not be written as changed again.
func (c change) undo() {
	for k := range c.rows {
		c.bucket.rows[k].dirty = true
	}
	for p := range c.sketches {
		c.bucket.sketches[p].dirty = true
	}
}

// Flush writes what changed since the last one. Run calls it every second;
// tests and shutdown call it at will, never two at once.
func (t *Tallies) Flush(ctx context.Context) error {
	now, err := t.syncClock(ctx)
	if err != nil {
		return fmt.Errorf("flush tallies: %w", err)
	}
	if t.started == 0 {
		t.started = now.UnixMilli()
	}
	taken, changes, dropped := t.takeAll(now)
	pipe := t.opt.Redis.Pipeline()
	k := keys{t.opt.Prefix}
	for _, c := range changes {
		c.write(ctx, pipe, k, t.ins)
	}
	pipe.HSet(ctx, k.instance(t.ins), "gateway", t.opt.Gateway, "started", t.started, "flushed", now.UnixMilli(), "dropped", dropped)
	pipe.Expire(ctx, k.instance(t.ins), HoursKept)
	pipe.ZAdd(ctx, k.index(), redis.Z{Score: float64(now.UnixMilli()), Member: t.ins})
	pipe.ZRemRangeByScore(ctx, k.index(), "-inf", strconv.FormatInt(now.Add(-HoursKept).UnixMilli(), 10))
	_, err = pipe.Exec(ctx)
	t.settle(taken, changes, err == nil)
	if err != nil {
		return fmt.Errorf("flush tallies: %w", err)
	}
	return nil
}

// syncClock reads the store's clock, by which all gateways keep their buckets.
func (t *Tallies) syncClock(ctx context.Context) (time.Time, error) {
	before := time.Now()
	now, err := t.opt.Redis.Time(ctx).Result()
	if err != nil {
		return time.Time{}, err
	}
	t.mu.Lock()
	t.offset = now.Sub(before.Add(time.Since(before) / 2))
	t.mu.Unlock()
	return now, nil
}

// takeAll takes the changes of every bucket that is due; taken are those buckets.
func (t *Tallies) takeAll(now time.Time) (taken []*bucket, changes []change, dropped int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now.Unix())
	taken = append([]*bucket{t.minute, t.hour}, t.pending...)
	for _, b := range taken {
		if c := b.take(); len(c.rows)+len(c.sketches) > 0 {
			changes = append(changes, c)
		}
	}
	return taken, changes, t.dropped
}

// settle forgets full buckets that are written, or takes back what was not.
// More buckets may have become full in between; they stay.
func (t *Tallies) settle(taken []*bucket, changes []change, written bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if written {
		t.pending = slices.DeleteFunc(t.pending, func(b *bucket) bool { return slices.Contains(taken, b) })
		return
	}
	for _, c := range changes {
		c.undo()
	}
}

func (c change) write(ctx context.Context, pipe redis.Pipeliner, k keys, ins string) {
	b, kept := c.bucket, MinutesKept
	if b.width == 3600 {
		kept = HoursKept
	}
	if len(c.rows) > 0 {
		values := make([]any, 0, 2*len(c.rows))
		for key, v := range c.rows {
			values = append(values, key.field(), v)
		}
		pipe.HSet(ctx, k.rows(ins, b.width, b.start), values...)
		pipe.Expire(ctx, k.rows(ins, b.width, b.start), kept)
	}
	if len(c.sketches) > 0 {
		values := make([]any, 0, 2*len(c.sketches))
		for p, v := range c.sketches {
			values = append(values, p.field(), v)
		}
		pipe.HSet(ctx, k.sketches(ins, b.width, b.start), values...)
		pipe.Expire(ctx, k.sketches(ins, b.width, b.start), kept)
	}
}
