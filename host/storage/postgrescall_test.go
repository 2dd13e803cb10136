package storage_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/testenv"
)

// linked opens a driver over a link of its own.
func linked(t *testing.T, server *testenv.PostgresServer, params string, o storage.PostgresOptions) (*storage.Postgres, *testenv.Proxy) {
	t.Helper()
	p := testenv.NewProxy(t, server.Addr)
	d, err := storage.OpenPostgres(t.Context(), testenv.PostgresURL(p.Addr)+params, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Cut(true); _ = d.Close() }) // what still waits is told
	return d, p
}

// accesses are one of each kind.
var accesses = map[string]func(ctx context.Context, d storage.Driver, st *storage.Storage) error{
	"claim": func(ctx context.Context, d storage.Driver, _ *storage.Storage) error {
		_, err := storage.Open(ctx, d, "Cart/2", first, storage.Limits{}, nil)
		return err
	},
	"get": func(ctx context.Context, _ storage.Driver, st *storage.Storage) error {
		_, err := st.Get(ctx, "k")
		return err
	},
	"list": func(ctx context.Context, _ storage.Driver, st *storage.Storage) error {
		_, err := st.List(ctx, storage.ListOptions{})
		return err
	},
	"put": func(ctx context.Context, _ storage.Driver, st *storage.Storage) error { return st.Put(ctx, "k", nil) },
	"transaction": func(ctx context.Context, _ storage.Driver, st *storage.Storage) error {
		return st.Txn(ctx, func(tx *storage.Txn) error { return tx.Put("k", nil) })
	},
}

// Every call ends in its time, whatever does not answer, and whoever waits for
// it however patiently. One whose time is an hour still waits then.
func TestPostgresCallsEndWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	for name, access := range accesses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := func(limit time.Duration) <-chan error {
				d, p := linked(t, server, "", storage.PostgresOptions{Timeout: limit})
				st := open(t, d, first, nil)
				p.Stall(testenv.Replies, true)
				ended := make(chan error, 1)
				go func() { ended <- access(context.Background(), d, st) }()
				return ended
			}
			patient := begin(time.Hour)
			err := <-begin(2 * time.Second)
			if !errors.Is(err, storage.ErrUnknown) && !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("it ended with %v", err)
			}
			select {
			case err := <-patient:
				t.Errorf("one that may take an hour ended, too: %v; this shows nothing", err)
			default:
			}
		})
	}
}

// Connections that are lost without a word cost one call's time: then the pool
// has dropped them all, those in use and those that were idle, and waits for none of them.
func TestPostgresLostConnectionsAreDropped(t *testing.T) {
	t.Parallel()
	const connections = 5
	server := testenv.Postgres(t)
	d, p := linked(t, server, "&pool_max_conns=5", storage.PostgresOptions{Timeout: 2 * time.Second})
	st := open(t, d, first, nil)
	together := func(n int) (failed int) {
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() { _, errs[i] = st.Get(context.Background(), "k") })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				failed++
			}
		}
		return failed
	}
	for end := time.Now().Add(time.Minute); ; {
		together(4 * connections)
		if n, _ := d.Connections(); n == connections {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the pool did not get %d connections", connections)
		}
	}
	_, before := d.Connections()
	p.Lose()
	if failed := together(connections - 1); failed == 0 {
		t.Fatal("nothing was lost")
	}
	if n, made := d.Connections(); n > made-before {
		t.Errorf("the pool has %d connections, %d of them new; want none of the lost ones", n, made-before)
	}
	for end := time.Now().Add(time.Minute); ; {
		_, err := st.Get(t.Context(), "k")
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no call succeeds any more: %v", err)
		}
	}
}
