package storage

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/skewgate/skewgate/owners"
)

var (
	//go:embed scripts/claim.lua
	claimSource string
	//go:embed scripts/read.lua
	readSource string
	//go:embed scripts/list.lua
	listSource string
	//go:embed scripts/write.lua
	writeSource string

	claimScript = owners.NewScript("claim", claimSource)
	readScript  = owners.NewScript("read", readSource)
	listScript  = owners.NewScript("list", listSource)
	writeScript = owners.NewScript("write", writeSource)
)

const (
	loadKeys  = 64       // a claim brings small objects with it
	loadBytes = 64 << 10 //
	// emptyFence is how long the fence of an object without values is kept. A
	// write needs the fence to be there and equal, so an expired one admits nobody.
	emptyFence = 7 * 24 * time.Hour
)

// RedisOptions say how to keep objects in a Redis. Zero values mean the defaults in the comments.
type RedisOptions struct {
	Prefix   string        // partition tag with which every key begins; "{p0}:"
	Replicas int           // n of WAIT n after each claim and write
	Timeout  time.Duration // of one call, the replicas included; 3s
	Wait     time.Duration // how long to wait for replicas; a third of Timeout
}

func (o RedisOptions) withDefaults() RedisOptions {
	if o.Prefix == "" {
		o.Prefix = "{p0}:"
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Wait == 0 {
		o.Wait = o.Timeout / 3
	}
	return o
}

// Redis is the Driver that keeps objects beside the pins: fence and values of
// an object, pins and sessions roll back together in a failover.
type Redis struct {
	rdb    *redis.Client
	opt    RedisOptions
	reads  *owners.Batcher // of calls that come at the same time, for other objects
	writes *owners.Batcher // with WAIT behind them
}

// NewRedis makes a Driver that talks to the same server as client, with a
// connection pool of its own: storage must never re-send, because a re-sent write
// carries a valid fence and would land after newer ones. client must be a
// *redis.Client (standalone or Sentinel).
//
// A write that returned nil has reached Replicas replicas; on a server without
// replicas it is as durable as the server's persistence.
func NewRedis(client redis.UniversalClient, o RedisOptions) (*Redis, error) {
	c, ok := client.(*redis.Client)
	if !ok {
		return nil, fmt.Errorf("open Redis storage: a %T cannot be used; want standalone or Sentinel", client)
	}
	o = o.withDefaults()
	opt := *c.Options()
	opt.MaxRetries = -1
	opt.ContextTimeoutEnabled = true
	opt.ReadTimeout = o.Timeout
	opt.Protocol = 2 // nothing is pushed to a pool that only calls
	opt.PushNotificationProcessor = nil
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	rdb := redis.NewClient(&opt)
	return &Redis{
		rdb: rdb, opt: o,
		reads:  owners.NewBatcher(rdb, owners.BatchOptions{Timeout: o.Timeout}),
		writes: owners.NewBatcher(rdb, owners.BatchOptions{Timeout: o.Timeout, Replicas: o.Replicas, Wait: o.Wait}),
	}, nil
}

// Close ends the connections.
func (r *Redis) Close() error {
	err := r.rdb.Close()
	r.reads.Rest()
	r.writes.Rest()
	return err
}

func (r *Redis) keys(object string) (fence, values, index string) {
	return r.opt.Prefix + "fence:" + object, r.opt.Prefix + "kv:" + object, r.opt.Prefix + "kvi:" + object
}

func fenceArgs(f Fence) []any {
	return []any{strconv.FormatInt(f.Token, 10), f.Session, strconv.FormatInt(f.N, 10)}
}

// Claim runs claim.lua and waits for the replicas.
func (r *Redis) Claim(ctx context.Context, object string, f Fence) (Snapshot, error) {
	fence, values, _ := r.keys(object)
	args := append(fenceArgs(f), loadKeys, loadBytes, int(emptyFence/time.Second))
	reply, err := r.durable(ctx, claimScript, []string{fence, values}, args)
	if err != nil {
		return Snapshot{}, err
	}
	rev, rest, err := decode(reply)
	if err != nil {
		return Snapshot{}, err
	}
	if len(rest)%2 != 1 {
		return Snapshot{}, fmt.Errorf("claim replied %d fields", len(reply))
	}
	snap := Snapshot{Complete: text(rest[0]) == "1", Revision: rev}
	for i := 1; i < len(rest); i += 2 {
		snap.Entries = append(snap.Entries, Entry{text(rest[i]), []byte(text(rest[i+1]))})
	}
	return snap, nil
}

// Read runs read.lua.
func (r *Redis) Read(ctx context.Context, object string, f Fence, keys []string) (Values, error) {
	fence, values, _ := r.keys(object)
	args := fenceArgs(f)
	for _, k := range keys {
		args = append(args, k)
	}
	reply, err := r.read(ctx, readScript, []string{fence, values}, args)
	if err != nil {
		return Values{}, err
	}
	rev, rest, err := decode(reply)
	if err != nil {
		return Values{}, err
	}
	if len(rest) != len(keys) {
		return Values{}, fmt.Errorf("read replied %d values for %d keys", len(rest), len(keys))
	}
	out := Values{Values: make([][]byte, len(keys)), Revision: rev}
	for i, v := range rest {
		if v != nil {
			out.Values[i] = []byte(text(v))
		}
	}
	return out, nil
}

// List runs list.lua.
func (r *Redis) List(ctx context.Context, object string, f Fence, o ListOptions) ([]Entry, int64, error) {
	fence, values, index := r.keys(object)
	start, end := o.bounds()
	low, high := "-", "+"
	if start != "" {
		low = "[" + start
	}
	if end != "" {
		high = "(" + end
	}
	if o.empty() {
		low, high = "(", "(" // nothing, but the fence is still checked
	}
	reverse := "0"
	if o.Reverse {
		reverse = "1"
	}
	args := append(fenceArgs(f), low, high, o.Limit, reverse)
	reply, err := r.read(ctx, listScript, []string{fence, values, index}, args)
	if err != nil {
		return nil, 0, err
	}
	rev, rest, err := decode(reply)
	if err != nil {
		return nil, 0, err
	}
	entries := make([]Entry, 0, len(rest)/2)
	for i := 0; i+1 < len(rest); i += 2 {
		entries = append(entries, Entry{text(rest[i]), []byte(text(rest[i+1]))})
	}
	return entries, rev, nil
}

// Write runs write.lua and waits for the replicas.
func (r *Redis) Write(ctx context.Context, object string, f Fence, b Batch) error {
	fence, values, index := r.keys(object)
	args := append(fenceArgs(f), b.IfRevision, int(emptyFence/time.Second))
	for _, op := range b.Ops {
		if op.Delete {
			args = append(args, "d", op.Key, "")
		} else {
			args = append(args, "p", op.Key, op.Value)
		}
	}
	reply, err := r.durable(ctx, writeScript, []string{fence, values, index}, args)
	if err != nil {
		return err
	}
	_, _, err = decode(reply)
	return err
}

// read runs a script that changes nothing.
func (r *Redis) read(ctx context.Context, s owners.Script, keys []string, args []any) ([]any, error) {
	v, _, err := r.reads.Run(ctx, s, keys, args...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return replyOf(v)
}

// durable runs a script once, with WAIT behind it on the same connection where
// replicas are asked for.
func (r *Redis) durable(ctx context.Context, s owners.Script, keys []string, args []any) ([]any, error) {
	v, acked, err := r.writes.Run(ctx, s, keys, args...)
	if err != nil {
		return nil, outcome(err)
	}
	reply, err := replyOf(v)
	if err != nil {
		return nil, err
	}
	if len(reply) > 0 && text(reply[0]) != "ok" {
		return reply, nil // nothing was written
	}
	if acked < int64(r.opt.Replicas) {
		return nil, fmt.Errorf("%w: %d of %d replicas have it", ErrUnknown, acked, r.opt.Replicas)
	}
	return reply, nil
}

func replyOf(v any) ([]any, error) {
	a, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("script replied a %T", v)
	}
	return a, nil
}

// refusals are error replies that a server gives before it runs a script.
var refusals = []string{"NOSCRIPT", "READONLY", "OOM", "LOADING", "MISCONF", "NOAUTH", "NOPERM", "MASTERDOWN", "NOREPLICAS", "BUSY", "CLUSTERDOWN"}

// outcome says whether a failed call surely did nothing (ErrUnavailable) or not (ErrUnknown).
func outcome(err error) error {
	if errors.Is(err, ErrUnknown) {
		return err
	}
	for _, p := range refusals {
		if redis.HasErrorPrefix(err, p) || strings.HasPrefix(err.Error(), p) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// decode reads {"ok", v, …}, {"stale", t} or {"revision", v}.
func decode(reply []any) (rev int64, rest []any, err error) {
	if len(reply) < 2 {
		return 0, nil, fmt.Errorf("script replied %d fields", len(reply))
	}
	n, err := strconv.ParseInt(text(reply[1]), 10, 64)
	if err != nil {
		return 0, nil, fmt.Errorf("script replied %q: %w", reply[1], err)
	}
	switch text(reply[0]) {
	case "ok":
		return n, reply[2:], nil
	case "stale":
		return 0, nil, &StaleError{Current: n}
	case "revision":
		return 0, nil, errRevision
	}
	return 0, nil, fmt.Errorf("script replied %q", reply[0])
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
