package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// calls runs each call to PostgreSQL on a connection of the pool, for a limited
// time, the wait for the connection included: while an event waits for an
// answer that was lost, nobody else is served by its object.
type calls struct {
	pool  *pgxpool.Pool
	limit time.Duration

	mu    sync.Mutex
	reset time.Time      // when all connections were last taken for dead
	ends  sync.WaitGroup // of connections that are no longer the pool's
}

// rested is a connection's note that it was idle for long.
const rested = "rested"

// note is the pool's ShouldPing. It leaves the ping to acquire: the pool's
// would end a connection without an answer in the way that abandon does not.
func note(_ context.Context, p pgxpool.ShouldPingParams) bool {
	p.Conn.PgConn().CustomData()[rested] = p.IdleDuration > time.Second
	return false
}

// run gives ErrUnavailable when there was no connection; else what do gave.
func (c *calls) run(ctx context.Context, do func(ctx context.Context, conn *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	defer c.suspect(ctx)
	conn, err := c.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer c.release(ctx, conn)
	return do(ctx, conn)
}

// acquire asks a connection that was idle for long whether its server still is there.
func (c *calls) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	for {
		conn, err := c.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if long, _ := conn.Conn().PgConn().CustomData()[rested].(bool); !long {
			return conn, nil
		}
		if err = conn.Ping(ctx); err == nil {
			return conn, nil
		}
		c.release(ctx, conn)
		if ctx.Err() != nil {
			return nil, err
		}
	}
}

func (c *calls) release(ctx context.Context, conn *pgxpool.Conn) {
	if ctx.Err() != nil && conn.Conn().IsClosed() {
		c.abandon(conn)
	} else {
		conn.Release()
	}
}

// abandon takes a connection that gave no answer in time out of the pool, and
// closes it. The pool would wait up to 15 s for its end, also where nobody is at the other
// one, and have that many connections less meanwhile.
func (c *calls) abandon(conn *pgxpool.Conn) {
	c.ends.Add(1)
	pg := conn.Hijack().PgConn() // it has begun to ask the server to give up what it does
	go func() {
		defer c.ends.Done()
		_ = pg.Conn().Close() // it is of no more use
		<-pg.CleanupDone()
	}()
}

// suspect drops the pool's other connections after a call that found no answer in
// all of its time: what lost one without a word (a firewall that forgot it,
// a server that was replaced) has mostly lost them all, and each would cost
// somebody that time. Not more often than once in it, so that
// a server that is slow is not kept busy with new connections.
func (c *calls) suspect(ctx context.Context) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.reset) >= c.limit {
		c.reset = now
		c.pool.Reset()
	}
}

// closeApart ends a connection that was never the pool's, without waiting for it.
func (c *calls) closeApart(pg *pgconn.PgConn) {
	c.ends.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.limit)
		defer cancel()
		_ = pg.Close(ctx) // it is of no more use
		<-pg.CleanupDone()
	})
}

// close waits for connections to end.
func (c *calls) close() {
	c.pool.Close()
	c.ends.Wait()
}
