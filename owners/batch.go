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
	runners  = 2
	maxBatch = 256
)

// do runs c and returns the script's answer. When ctx ends before it is
// answered the call may still run.
func (b *Batcher) do(ctx context.Context, c *call) (any, error) {
	b.mu.Lock()
	if b.running == runners {
		c.done = make(chan struct{})
		b.waiting = append(b.waiting, c)
		b.mu.Unlock()
		return b.wait(ctx, c)
	}
	b.running++
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, b.opt.Timeout)
	defer cancel()
	one := command{calls: []*call{c}}
	if b.opt.Replicas > 0 {
		b.pipeline(ctx, false, []*command{&one})
	} else {
		v, err := b.rdb.EvalSha(ctx, c.script.sha, c.keys, c.args...).Result()
		one.answer(v, err, nil)
	}
	b.next()
	if c.err != nil {
		b.again(ctx, one.calls)
	}
	return c.v, c.err
}

// wait waits for the answer to a call that rides with others.
func (b *Batcher) wait(ctx context.Context, c *call) (any, error) {
	late := time.NewTimer(b.opt.Timeout) // half the price of a context, for each call
	defer late.Stop()
	select {
	case <-c.done:
		return c.v, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late.C:
		return nil, context.DeadlineExceeded
	}
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
	b.pipeline(ctx, false, together(batch))
	b.again(ctx, batch)
	for _, c := range batch {
		close(c.done)
	}
}

// pipeline sends commands, and WAIT behind them on the same connection.
func (b *Batcher) pipeline(ctx context.Context, text bool, all []*command) {
	var wait *redis.Cmd
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range all {
			c.queue(ctx, p, text)
		}
		if b.opt.Replicas > 0 {
			wait = p.Do(ctx, "WAIT", b.opt.Replicas, b.opt.Wait.Milliseconds())
		}
		return nil
	})
	for _, c := range all {
		c.answer(c.sent.Val(), c.sent.Err(), err)
		for _, call := range c.calls {
			if call.err == nil && wait != nil {
				call.acked, call.err = wait.Int64()
			}
		}
	}
}

// again sends calls a second time, where that is harmless and helps: with its
// text a script that the server had forgotten, for it has not run; and each call
// alone, where a script that ran for several failed, for the cause may be the
// record of another. Scripts that run for several may be sent twice.
func (b *Batcher) again(ctx context.Context, batch []*call) {
	if f := those(batch, (*call).forgotten); len(f) > 0 {
		b.pipeline(ctx, true, together(f))
	}
	if f := those(batch, (*call).failedForAll); len(f) > 0 {
		b.pipeline(ctx, false, alone(f))
	}
}

// Rest returns when no batch runs any more. Its client is closed before, which ends those that do.
func (b *Batcher) Rest() { b.wg.Wait() }
