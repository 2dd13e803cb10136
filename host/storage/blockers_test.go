package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/testenv"
)

// inMidMessage makes an owner, the one of fence f, stop after the server has taken the beginning of a
// write of 8 MB: its row is locked, and the rest never comes.
func inMidMessage(t *testing.T, server *testenv.PostgresServer, f storage.Fence) {
	t.Helper()
	addr := strings.TrimPrefix(strings.Split(server.URL, "/postgres?")[0], "postgres://postgres@")
	p := testenv.NewProxy(t, addr)
	st := open(t, openPostgres(t, strings.Replace(server.URL, addr, p.Addr, 1)), f, nil)
	write := func(size int) error {
		return st.Txn(t.Context(), func(tx *storage.Txn) error {
			for i := range 64 {
				if err := tx.Put(fmt.Sprint(i), bytes.Repeat([]byte("x"), size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := write(1); err != nil { // statements are prepared
		t.Fatal(err)
	}
	p.StallAfter(testenv.Requests, 64<<10)
	stuck := make(chan error, 1)
	go func() { stuck <- write(128 << 10) }()
	t.Cleanup(func() { p.Cut(true); <-stuck })
	awaitBlocker(t, server.URL, "ClientRead")
}

// blockers counts backends that hold a transaction and wait for their clients.
func blockers(t *testing.T, url, event string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	const q = `SELECT count(*) FROM pg_stat_activity WHERE wait_event = $1 AND state <> 'idle' AND backend_xid IS NOT NULL`
	if err := conn.QueryRow(t.Context(), q, event).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func awaitBlocker(t *testing.T, url, event string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); blockers(t, url, event) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody stands in mid-message")
		}
	}
}

// claims claims until it succeeds, at most so often.
func claims(t *testing.T, d storage.Driver, f storage.Fence, tries int) error {
	t.Helper()
	var err error
	for range tries {
		if _, err = storage.Open(t.Context(), d, "Cart/1", f, storage.Limits{}, nil); err == nil {
			return nil
		}
		if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
			t.Fatalf("claim: %v, want that it can be tried again", err)
		}
	}
	return err
}

// An owner that stops in the middle of a message is ended by its successor's claim.
func TestPostgresOwnerThatStopsInMidMessage(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	inMidMessage(t, server, first)
	d := openPostgres(t, server.URL) // lease 2s
	begin := time.Now()
	if err := claims(t, d, storage.Fence{Token: 8, Session: "b", N: 1}, 20); err != nil {
		t.Fatalf("the successor: %v", err)
	}
	t.Logf("claimed %v after it began, with a lease of 2s", time.Since(begin).Round(time.Millisecond))
	if n := blockers(t, server.URL, "ClientRead"); n != 0 {
		t.Errorf("%d backends stand in mid-message", n)
	}
}

// Without that it keeps the successor out, whatever the timeouts.
func TestControlPostgresOwnerThatStopsInMidMessage(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	inMidMessage(t, server, first)
	d := openPostgres(t, server.URL)
	d.LeaveBlockers()
	if err := claims(t, d, storage.Fence{Token: 8, Session: "b", N: 1}, 3); err == nil {
		t.Error("the successor got in: ending blockers is of no use")
	}
	if n := blockers(t, server.URL, "ClientRead"); n != 1 {
		t.Errorf("%d backends stand in mid-message, want the one", n)
	}
}

// So is one that does not take what it asked for.
func TestPostgresOwnerThatDoesNotReadItsAnswer(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	d := openPostgres(t, server.URL)
	open(t, d, first, nil)
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	frozen := conn.PgConn().Conn() // nobody reads it
	defer frozen.Close()
	query := "UPDATE skewgate_fence SET n = n; SELECT repeat('x', 1000000) FROM generate_series(1, 100)\x00"
	if _, err := frozen.Write(append([]byte{'Q', 0, 0, 0, byte(len(query) + 4)}, query...)); err != nil {
		t.Fatal(err)
	}
	awaitBlocker(t, server.URL, "ClientWrite")
	if err := claims(t, d, storage.Fence{Token: 8, Session: "b", N: 1}, 20); err != nil {
		t.Fatalf("the successor: %v", err)
	}
}

// A claim that the fence refuses ends nobody: the late one of a predecessor does not hurt the owner.
func TestPostgresLateClaimEndsNobody(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	inMidMessage(t, server, storage.Fence{Token: 9, Session: "c", N: 1})
	if err := claims(t, openPostgres(t, server.URL), storage.Fence{Token: 8, Session: "b", N: 1}, 2); err == nil {
		t.Error("it got in")
	}
	if n := blockers(t, server.URL, "ClientRead"); n != 1 {
		t.Errorf("%d backends stand in mid-message, want the owner's", n)
	}
}

// Nor does anybody else's claim end a backend that works.
func TestPostgresWorkingBackendIsLeftAlone(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	d := openPostgres(t, server.URL)
	open(t, d, first, nil)
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	worked := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "UPDATE skewgate_fence SET n = n; SELECT pg_sleep(3)")
		worked <- err
	}()
	for end := time.Now().Add(time.Minute); blockers(t, server.URL, "PgSleep") == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not work")
		}
	}
	err = claims(t, d, storage.Fence{Token: 8, Session: "b", N: 1}, 20) // until it is done
	if done := <-worked; done != nil || err != nil {
		t.Errorf("the work ended with %v, the claim with %v", done, err)
	}
}
