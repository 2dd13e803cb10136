package owners

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Batcher sends script calls that come at the same time in one pipeline: a
// call that finds a free runner goes out at once and alone, calls that come
// while all runners wait for the store are sent together when one is back.
// Most of the cost of a short script is its round trip. Calls of one batch
// share nothing else but, where replicas are waited for, the WAIT behind them:
// it answers for all that its connection has written. How often a call is sent
// again when its answer is lost is its client's affair (MaxRetries).
type Batcher struct {
	rdb redis.UniversalClient
	opt BatchOptions

	mu      sync.Mutex
	running int
	waiting []*call // only while all runners are busy
	wg      sync.WaitGroup
}

// BatchOptions say how a Batcher calls.
type BatchOptions struct {
	Timeout  time.Duration // of one call, and of one batch
	Replicas int           // n of the WAIT behind each batch; 0: none
	Wait     time.Duration // how long that WAIT may take
}

// NewBatcher makes a Batcher of rdb's.
func NewBatcher(rdb redis.UniversalClient, o BatchOptions) *Batcher {
	return &Batcher{rdb: rdb, opt: o}
}

// Run runs a script by its digest, and by its text when the server has
// forgotten it. v is what it answered; acked how many replicas have what it
// wrote, where they are waited for. When ctx or the call's time ends before it
// is answered, the call may still run.
func (b *Batcher) Run(ctx context.Context, s Script, keys []string, args ...any) (v any, acked int64, err error) {
	c := &call{script: s, keys: keys, args: args}
	v, err = b.do(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	return v, c.acked, nil
}

const (
	runners  = 3
	maxBatch = 256
)

// A call is one script with what it is run with; done is closed when the rest stands.
type call struct {
	script Script
	keys   []string
	args   []any
	done   chan struct{}

	v     any
	acked int64 // replicas that have its writes
	err   error
}

// do runs c and returns the script's answer. When ctx ends before it is
// answered the call may still run.
func (b *Batcher) do(ctx context.Context, c *call) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opt.Timeout)
	defer cancel()
	b.mu.Lock()
	if b.running == runners {
		c.done = make(chan struct{})
		b.waiting = append(b.waiting, c)
		b.mu.Unlock()
		select {
		case <-c.done:
			return c.v, c.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.running++
	b.mu.Unlock()
	if b.opt.Replicas > 0 {
		b.pipeline(ctx, false, []*call{c})
	} else {
		c.v, c.err = b.rdb.EvalSha(ctx, c.script.sha, c.keys, c.args...).Result()
	}
	b.next()
	b.again(ctx, c)
	return c.v, c.err
}

// next gives the runner that is free now to those that wait, if there are any.
func (b *Batcher) next() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		b.running--
		return
	}
	b.wg.Go(b.drain)
}

// drain runs batches until nobody waits; then the runner is free.
func (b *Batcher) drain() {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), maxBatch)
		if n == 0 {
			b.running--
			b.mu.Unlock()
			return
		}
		batch := b.waiting[:n:n]
		b.waiting = b.waiting[n:]
		b.mu.Unlock()
		b.send(batch)
		runtime.Gosched() // those who were answered may ask again, and ride along: twice the size of a batch
	}
}

func (b *Batcher) send(batch []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), b.opt.Timeout)
	defer cancel()
	b.pipeline(ctx, false, batch)
	for _, c := range batch {
		b.again(ctx, c)
		close(c.done)
	}
}

// pipeline sends a batch, and WAIT behind it on the same connection.
func (b *Batcher) pipeline(ctx context.Context, text bool, batch []*call) {
	cmds := make([]*redis.Cmd, len(batch))
	var wait *redis.Cmd
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range batch {
			if text {
				cmds[i] = p.Eval(ctx, c.script.src, c.keys, c.args...)
			} else {
				cmds[i] = p.EvalSha(ctx, c.script.sha, c.keys, c.args...)
			}
		}
		if b.opt.Replicas > 0 {
			wait = p.Do(ctx, "WAIT", b.opt.Replicas, b.opt.Wait.Milliseconds())
		}
		return nil
	})
	for i, c := range batch {
		c.v, c.err = cmds[i].Result()
		if c.err == nil && err != nil && cmds[i].Val() == nil {
			c.err = err // the pipeline broke before it was sent
		}
		if c.err == nil && wait != nil {
			c.acked, c.err = wait.Int64()
		}
	}
}

// again sends a call with its text when the server has forgotten the script: it has not run.
func (b *Batcher) again(ctx context.Context, c *call) {
	if redis.HasErrorPrefix(c.err, "NOSCRIPT") {
		b.pipeline(ctx, true, []*call{c})
	}
}

// Rest returns when no batch runs any more. Its client is closed before, which ends those that do.
func (b *Batcher) Rest() { b.wg.Wait() }
