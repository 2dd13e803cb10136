package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// blockersSQL ends the backends that a claim waits for and that wait for their
// own client themselves: $1 is the claim's backend, $2 to $5 object and fence.
//
// A backend whose client is frozen, or cut off, in the middle of a message
// holds the locks of the transaction that the message before began.
// lock_timeout, statement_timeout and idle_in_transaction_session_timeout do
// not run then, and the client's kernel answers keepalives. Before PostgreSQL
// 17 (transaction_timeout) nothing but its end frees the row.
//
// Three conditions keep it from hurting who is well. The claim is not one that
// the fence refuses already. Its backend runs nothing, is not idle, and waits
// for its client: a write under way, or one that waits for a lock itself, is left alone. And it is of the same
// role, which is also what pg_terminate_backend asks for, so that no other privilege is needed.
const blockersSQL = `
SELECT pg_terminate_backend(a.pid) FROM unnest(pg_blocking_pids($1)) AS b(pid) JOIN pg_stat_activity a ON a.pid = b.pid
WHERE a.wait_event_type = 'Client' AND a.state <> 'idle' AND a.usename = current_user
AND NOT EXISTS (SELECT FROM skewgate_fence f WHERE f.object = $2 AND (f.token > $3 OR f.token = $3 AND (f.sid <> $4 OR f.n > $5)))`

// endBlockers looks, from time to time until stop is called, for who is in the
// way of a claim that runs on backend pid. A stale instance loses at most a
// write of unknown outcome by it, which it would not have been told of either.
func (p *Postgres) endBlockers(pid uint32, object string, f Fence) (stop func()) {
	if p.look == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(p.look)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				p.endBlockersOnce(ctx, pid, object, f)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// endBlockersOnce takes a connection of its own: those of the pool may all wait behind the same frozen host.
func (p *Postgres) endBlockersOnce(ctx context.Context, pid uint32, object string, f Fence) {
	select {
	case p.one <- struct{}{}:
		defer func() { <-p.one }()
	case <-ctx.Done():
		return
	}
	conn, err := pgx.ConnectConfig(ctx, p.apart)
	if err != nil {
		return // the claim itself says what is wrong
	}
	defer p.calls.closeApart(conn.PgConn())
	_, _ = conn.Exec(ctx, blockersSQL, pid, object, f.Token, f.Session, f.N) // the claim goes on waiting, and fails by its own limit
}
