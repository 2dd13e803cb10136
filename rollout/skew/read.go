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

// How a silent gateway is treated. It may be dead, or serving on from its
// cache without a store: nobody can tell, so it is expected for a while.
const (
	FreshFor    = 5 * time.Second // a gateway whose last write is younger is seen
	ForgetAfter = 5 * time.Minute // after this one that never said goodbye is no longer expected
)

// clockSlack is how far the store's clock may have stepped (a failover to a
// machine with another idea of the time) before a bucket is overlooked.
const clockSlack = 10 * time.Minute

// Reader merges the tallies of all gateways. Any process with the store may have one.
type Reader struct {
	rdb  redis.UniversalClient
	keys keys
}

// NewReader makes a Reader; prefix is that of the Tallies.
func NewReader(rdb redis.UniversalClient, prefix string) *Reader {
	return &Reader{rdb: rdb, keys: keys{prefix}}
}

// instance is one run of one gateway.
type instance struct {
	id, gateway      string
	started, flushed time.Time
	dropped          int64
	closed           bool
}

// evidence is everything read for one question.
type evidence struct {
	now       time.Time // by the store's clock
	from      time.Time // start of the first bucket asked for
	instances []instance
	rows      map[Key]*row
	sketches  map[pair]*sketch
}

// read merges the buckets of [now-since, now], to whole minutes (up to an hour) or hours.
func (r *Reader) read(ctx context.Context, since time.Duration) (*evidence, error) {
	now, err := r.rdb.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("read tallies: %w", err)
	}
	e := &evidence{now: now, rows: map[Key]*row{}, sketches: map[pair]*sketch{}}
	if e.instances, err = r.instances(ctx); err != nil {
		return nil, err
	}
	spans := bucketsOf(now, since)
	e.from = time.Unix(spans[0].start, 0)
	for _, ins := range e.instances {
		if err := r.merge(ctx, e, ins, spans); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// span is one bucket to read.
type span struct{ start, width int64 }

// bucketsOf gives the buckets that cover the last since before now, oldest
// first, each instant once: whole hours before the running hour, minutes after.
// Up to an hour, minutes only.
func bucketsOf(now time.Time, since time.Duration) []span {
	end := now.Unix()
	begin := now.Add(-since).Unix()
	var spans []span
	minutes := begin - begin%60
	if since > time.Hour {
		hour := end - end%3600
		for h := begin - begin%3600; h < hour; h += 3600 {
			spans = append(spans, span{h, 3600})
		}
		minutes = max(hour, minutes)
	}
	for m := minutes; m <= end; m += 60 {
		spans = append(spans, span{m, 60})
	}
	return spans
}

func (r *Reader) instances(ctx context.Context) ([]instance, error) {
	ids, err := r.rdb.ZRange(ctx, r.keys.index(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read tallies: %w", err)
	}
	pipe := r.rdb.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipe.HGetAll(ctx, r.keys.instance(id))
	}
	if len(ids) > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("read tallies: %w", err)
		}
	}
	out := make([]instance, 0, len(ids))
	for i, id := range ids {
		f := replies[i].Val()
		if f["gateway"] == "" {
			continue // expired between the two reads
		}
		out = append(out, instance{
			id: id, gateway: f["gateway"], closed: f["closed"] == "1",
			started: millis(f["started"]), flushed: millis(f["flushed"]), dropped: number(f["dropped"]),
		})
	}
	return out, nil
}

func number(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n } // our own format; 0 for a field that is not there

func millis(s string) time.Time { return time.UnixMilli(number(s)) }

// merge adds one gateway's buckets to e.
func (r *Reader) merge(ctx context.Context, e *evidence, ins instance, spans []span) error {
	spans = slices.DeleteFunc(slices.Clone(spans), func(s span) bool { // it was not there then
		return s.start+s.width <= ins.started.Add(-clockSlack).Unix() || s.start > ins.flushed.Add(clockSlack).Unix()
	})
	if len(spans) == 0 {
		return nil
	}
	pipe := r.rdb.Pipeline()
	rows := make([]*redis.MapStringStringCmd, len(spans))
	sketches := make([]*redis.MapStringStringCmd, len(spans))
	for i, s := range spans {
		rows[i] = pipe.HGetAll(ctx, r.keys.rows(ins.id, s.width, s.start))
		sketches[i] = pipe.HGetAll(ctx, r.keys.sketches(ins.id, s.width, s.start))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("read tallies of %s: %w", ins.gateway, err)
	}
	for i := range spans {
		if err := e.add(rows[i].Val(), sketches[i].Val()); err != nil {
			return err
		}
	}
	return nil
}

func (e *evidence) add(rows, sketches map[string]string) error {
	for field, value := range rows {
		k, err := parseKey(field)
		if err != nil {
			return err
		}
		var next row
		if err := json.Unmarshal([]byte(value), &next); err != nil {
			return fmt.Errorf("tally of %s: %w", field, err)
		}
		if e.rows[k] == nil {
			e.rows[k] = &row{}
		}
		e.rows[k].merge(&next)
	}
	for field, value := range sketches {
		p, err := parsePair(field)
		if err != nil {
			return err
		}
		var next sketch
		if err := next.decode([]byte(value)); err != nil {
			return fmt.Errorf("objects of %s: %w", field, err)
		}
		if e.sketches[p] == nil {
			e.sketches[p] = &sketch{}
		}
		e.sketches[p].merge(&next)
	}
	return nil
}
