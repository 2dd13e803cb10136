package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PostgresOptions say how to keep objects in PostgreSQL.
type PostgresOptions struct {
	// Timeout of one call, the wait for a connection included; 3s. Locks are
	// waited for, and may be held by a process that stands still, for at most
	// half of it, so that a frozen host cannot block its successor. A host gives
	// its lease where that is shorter.
	Timeout time.Duration
}

// Postgres is the Driver that keeps objects in PostgreSQL, in the tables
// skewgate_fence and skewgate_values, which it makes.
//
// Every access is one implicit transaction, sent in one go: no transaction is
// ever open while this process thinks. A claim is a conditional UPDATE of the fence row; a
// write first locks that row and then changes fence and values in one statement that checks it; a
// read is one statement, hence one snapshot, of fence and values together.
//
// A process that stops in the middle of a message keeps the row that it has
// locked, and no timeout of the server counts there: blockers.go ends it.
type Postgres struct {
	calls *calls
	apart *pgx.ConnConfig // for a connection beside the pool's, which may all wait
	look  time.Duration   // how often a claim that has no answer looks for who is in its way; 0: never
	one   chan struct{}   // at most one of them at a time
}

// schema is made under an advisory lock: two hosts may start at once.
const (
	schemaLock = 0x736b6577 // "skew"
	schema     = `
CREATE TABLE IF NOT EXISTS skewgate_fence (
	object   text COLLATE "C" PRIMARY KEY,
	token    bigint NOT NULL,
	sid      text   NOT NULL,
	n        bigint NOT NULL,
	revision bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS skewgate_values (
	object text COLLATE "C",
	key    bytea,
	value  bytea NOT NULL,
	PRIMARY KEY (object, key)
)`
)

// holds is the fence's condition; $1 to $4 are the arguments that every statement begins with.
const holds = `object = $1 AND token = $2 AND sid = $3 AND n = $4`

const (
	claimSQL = `
INSERT INTO skewgate_fence AS f (object, token, sid, n) VALUES ($1, $2, $3, $4)
ON CONFLICT (object) DO UPDATE SET token = $2, sid = $3, n = $4
WHERE f.token < $2 OR (f.token = $2 AND f.sid = $3 AND f.n <= $4)
RETURNING revision`
	loadSQL = `
SELECT v.key, v.value FROM skewgate_values v
WHERE v.object = $1 AND EXISTS (SELECT FROM skewgate_fence WHERE ` + holds + `)
ORDER BY v.key LIMIT $5`
	readSQL = `
WITH f AS (SELECT revision FROM skewgate_fence WHERE ` + holds + `)
SELECT f.revision, v.key, v.value FROM f LEFT JOIN skewgate_values v ON v.object = $1 AND v.key = ANY($5)`
	listSQL = `
WITH f AS (SELECT revision FROM skewgate_fence WHERE ` + holds + `)
SELECT f.revision, v.key, v.value FROM f LEFT JOIN LATERAL (
	SELECT key, value FROM skewgate_values
	WHERE object = $1 AND key >= $5 AND ($6::bytea IS NULL OR key < $6)
	ORDER BY key ASC LIMIT $7
) v ON true ORDER BY v.key ASC`
	// The lock comes in a statement of its own: the next one's snapshot is then
	// later than whatever the lock was waited for.
	lockSQL  = `SELECT FROM skewgate_fence WHERE ` + holds + ` FOR NO KEY UPDATE`
	writeSQL = `
WITH f AS (
	UPDATE skewgate_fence SET revision = revision + 1
	WHERE ` + holds + ` AND ($5::bigint < 0 OR revision = $5) RETURNING object
), d AS (
	DELETE FROM skewgate_values v USING f WHERE v.object = f.object AND v.key = ANY($6::bytea[])
), p AS (
	INSERT INTO skewgate_values (object, key, value)
	SELECT f.object, u.key, u.value FROM f, unnest($7::bytea[], $8::bytea[]) AS u(key, value)
	ON CONFLICT (object, key) DO UPDATE SET value = excluded.value
)
SELECT count(*) FROM f`
	fenceSQL = `SELECT token, sid, n FROM skewgate_fence WHERE object = $1`
)

var listReverseSQL = strings.ReplaceAll(listSQL, " ASC", " DESC")

// OpenPostgres connects and makes the tables. A write that returned nil is as
// durable as a commit of that server is (synchronous_commit, synchronous_standby_names).
func OpenPostgres(ctx context.Context, url string, o PostgresOptions) (*Postgres, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL storage: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = max(cfg.MaxConns, 16)
	}
	if own := cfg.ConnConfig.ConnectTimeout; own == 0 || own > o.Timeout {
		cfg.ConnConfig.ConnectTimeout = o.Timeout
	}
	cfg.ShouldPing = note
	half := milliseconds(o.Timeout / 2)
	for name, value := range map[string]string{
		"lock_timeout": half, "idle_in_transaction_session_timeout": half, "statement_timeout": milliseconds(o.Timeout),
		"default_transaction_isolation": "read committed", "application_name": "skewgate",
	} {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL storage: %w", err)
	}
	p := &Postgres{
		calls: &calls{pool: pool, limit: o.Timeout}, apart: cfg.ConnConfig.Copy(), look: o.Timeout / 8, one: make(chan struct{}, 1),
	}
	if err := migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open PostgreSQL storage: %w", err)
	}
	return p, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// migrateTimeout is how long a host that starts may take, which no object waits for.
const migrateTimeout = 30 * time.Second

func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, name := range []string{"lock_timeout", "statement_timeout"} {
			if _, err := tx.Exec(ctx, `SELECT set_config($1, $2, true)`, name, milliseconds(migrateTimeout)); err != nil {
				return fmt.Errorf("set %s: %w", name, err)
			}
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, schemaLock); err != nil {
			return fmt.Errorf("lock schema: %w", err)
		}
		if _, err := tx.Exec(ctx, schema); err != nil {
			return fmt.Errorf("make tables: %w", err)
		}
		return nil
	})
}

// Close ends the connections.
func (p *Postgres) Close() error {
	p.calls.close()
	return nil
}

// Claim sends claim and load together.
func (p *Postgres) Claim(ctx context.Context, object string, f Fence) (snap Snapshot, err error) {
	err = p.calls.run(ctx, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		snap, err = p.claim(ctx, conn, object, f)
		return err
	})
	return snap, err
}

func (p *Postgres) claim(ctx context.Context, conn *pgxpool.Conn, object string, f Fence) (Snapshot, error) {
	defer p.endBlockers(conn.Conn().PgConn().PID(), object, f)()
	b := &pgx.Batch{}
	b.Queue(claimSQL, object, f.Token, f.Session, f.N)
	b.Queue(loadSQL, object, f.Token, f.Session, f.N, loadKeys+1)
	r := conn.SendBatch(ctx, b)
	var snap Snapshot
	err := r.QueryRow().Scan(&snap.Revision)
	accepted := err == nil
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		var rows pgx.Rows
		if rows, err = r.Query(); err == nil {
			snap.Entries, err = pgx.CollectRows(rows, scanEntry)
		}
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return Snapshot{}, postgresOutcome(err)
	}
	if !accepted {
		return Snapshot{}, refused(ctx, conn, object, f)
	}
	size := 0
	for _, e := range snap.Entries {
		size += len(e.Key) + len(e.Value)
	}
	if snap.Complete = len(snap.Entries) <= loadKeys && size <= loadBytes; !snap.Complete {
		snap.Entries = nil
	}
	return snap, nil
}

func scanEntry(row pgx.CollectableRow) (Entry, error) {
	var key, value []byte
	err := row.Scan(&key, &value)
	return Entry{string(key), value}, err
}

// Read is one statement.
func (p *Postgres) Read(ctx context.Context, object string, f Fence, keys []string) (Values, error) {
	entries, rev, err := p.query(ctx, object, f, readSQL, byteKeys(keys))
	if err != nil {
		return Values{}, err
	}
	out := Values{Values: make([][]byte, len(keys)), Revision: rev}
	for i, k := range keys {
		for _, e := range entries {
			if e.Key == k {
				out.Values[i] = e.Value
			}
		}
	}
	return out, nil
}

// List is one statement.
func (p *Postgres) List(ctx context.Context, object string, f Fence, o ListOptions) ([]Entry, int64, error) {
	start, end := o.bounds()
	var last any
	if end != "" {
		last = []byte(end)
	}
	query := listSQL
	if o.Reverse {
		query = listReverseSQL
	}
	return p.query(ctx, object, f, query, []byte(start), last, o.Limit)
}

// query runs a statement that gives (revision, key, value); args are those after the fence's.
func (p *Postgres) query(ctx context.Context, object string, f Fence, sql string, args ...any) (entries []Entry, rev int64, err error) {
	err = p.calls.run(ctx, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		entries, rev, err = collect(ctx, conn, object, f, sql, args)
		return err
	})
	return entries, rev, err
}

// collect: no row means that the fence does not hold, a row without a key that nothing was found.
func collect(ctx context.Context, conn *pgxpool.Conn, object string, f Fence, sql string, args []any) (entries []Entry, rev int64, err error) {
	rows, err := conn.Query(ctx, sql, append([]any{object, f.Token, f.Session, f.N}, args...)...)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	held := false
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&rev, &key, &value); err != nil {
			return nil, 0, fmt.Errorf("read values: %w", err)
		}
		held = true
		if key != nil {
			entries = append(entries, Entry{string(key), value})
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if !held {
		return nil, 0, refused(ctx, conn, object, f)
	}
	return entries, rev, nil
}

// Write sends lock and change together.
func (p *Postgres) Write(ctx context.Context, object string, f Fence, batch Batch) error {
	var dead []string
	var keys, values [][]byte
	for _, op := range batch.Ops {
		if op.Delete {
			dead = append(dead, op.Key)
			continue
		}
		value := op.Value
		if value == nil {
			value = []byte{}
		}
		keys, values = append(keys, []byte(op.Key)), append(values, value)
	}
	b := &pgx.Batch{}
	b.Queue(lockSQL, object, f.Token, f.Session, f.N)
	b.Queue(writeSQL, object, f.Token, f.Session, f.N, batch.IfRevision, byteKeys(dead), keys, values)
	return p.calls.run(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		r := conn.SendBatch(ctx, b)
		var changed int
		_, err := r.Exec()
		if err == nil {
			err = r.QueryRow().Scan(&changed)
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return postgresOutcome(err)
		}
		if changed == 0 {
			return refused(ctx, conn, object, f)
		}
		return nil
	})
}

func byteKeys(keys []string) [][]byte {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = []byte(k)
	}
	return out
}

// refused says why nothing was done: another fence stands, or the revision has passed.
func refused(ctx context.Context, conn *pgxpool.Conn, object string, f Fence) error {
	var cur Fence
	err := conn.QueryRow(ctx, fenceSQL, object).Scan(&cur.Token, &cur.Session, &cur.N)
	switch {
	case err == nil && cur == f:
		return errRevision
	case err == nil:
		return &StaleError{Current: cur.Token}
	}
	return &StaleError{} // it is stale; by whom can be learned another time
}

// postgresOutcome says whether a failed call surely did nothing. A server that reports
// an error has rolled the transaction back, unless it reports its own end.
func postgresOutcome(err error) error {
	var reported *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &reported) && !strings.HasPrefix(reported.Code, "57P") && !strings.HasPrefix(reported.Code, "08"),
		errors.As(err, &connect), pgconn.SafeToRetry(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}
