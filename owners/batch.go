package owners

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A batcher sends script calls that come at the same time in one pipeline: a
// call that finds a free runner goes out at once and alone, calls that come
// while all runners wait for the store are sent together when one is back.
// Most of the cost of a short script is its round trip. Calls of one batch
// share nothing else: each has its own reply and error.
type batcher struct {
	rdb     redis.UniversalClient
	timeout time.Duration

	mu      sync.Mutex
	running int
	waiting []*call // only while all runners are busy
	wg      sync.WaitGroup
}

const (
	runners  = 3
	maxBatch = 256
)

// A call is one script with what it is run with; done is closed when v and err stand.
type call struct {
	script script
	keys   []string
	args   []any
	v      any
	err    error
	done   chan struct{}
}

// do runs c and returns the script's answer. When ctx ends before it is
// answered the call may still run.
func (b *batcher) do(ctx context.Context, c *call) (any, error) {
	b.mu.Lock()
	if b.running == runners {
		c.done = make(chan struct{})
		b.waiting = append(b.waiting, c)
		b.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		select {
		case <-c.done:
			return c.v, c.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.running++
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	v, err := b.rdb.EvalSha(ctx, c.script.sha, c.keys, c.args...).Result()
	b.next()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return b.rdb.Eval(ctx, c.script.src, c.keys, c.args...).Result()
	}
	return v, err
}

// next gives the runner that is free now to those that wait, if there are any.
func (b *batcher) next() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		b.running--
		return
	}
	b.wg.Go(b.drain)
}

// drain runs batches until nobody waits; then the runner is free.
func (b *batcher) drain() {
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

func (b *batcher) send(batch []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), b.timeout)
	defer cancel()
	cmds := make([]*redis.Cmd, len(batch))
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range batch {
			cmds[i] = p.EvalSha(ctx, c.script.sha, c.keys, c.args...)
		}
		return nil
	})
	for i, c := range batch {
		c.v, c.err = cmds[i].Result()
		if c.err == nil && err != nil && cmds[i].Val() == nil {
			c.err = err // the pipeline broke before it was sent
		}
		if redis.HasErrorPrefix(c.err, "NOSCRIPT") {
			c.v, c.err = b.rdb.Eval(ctx, c.script.src, c.keys, c.args...).Result()
		}
		close(c.done)
	}
}

// wait returns when no batch runs any more.
func (b *batcher) wait() { b.wg.Wait() }
