package storage_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/testenv"
)

var first = storage.Fence{Token: 7, Session: "a", N: 1}

func open(t *testing.T, d storage.Driver, f storage.Fence, told func(error)) *storage.Storage {
	t.Helper()
	st, err := storage.Open(t.Context(), d, "Cart/1", f, storage.Limits{}, told)
	if err != nil {
		t.Fatal(err)
	}
	st.Loaded()
	return st
}

// lostReply writes while replies are swallowed: the outcome is unknown, the
// storage is over, the write may have happened, and the next claim settles it.
func lostReply(t *testing.T, d storage.Driver, p *testenv.Proxy, direct storage.Driver) {
	t.Helper()
	var told error
	st := open(t, d, first, func(err error) { told = err })
	if err := st.Put(t.Context(), "k", []byte("first")); err != nil { // statements are prepared, scripts are known
		t.Fatal(err)
	}
	p.Mute(true)
	err := st.Put(t.Context(), "k", []byte("v"))
	if !errors.Is(err, storage.ErrUnknown) || !errors.Is(told, storage.ErrUnknown) {
		t.Errorf("write without a reply: %v, owner was told %v; want unknown", err, told)
	}
	if _, err := st.Get(t.Context(), "k"); !errors.Is(err, storage.ErrStale) {
		t.Errorf("read after an unknown outcome: %v, want stale", err)
	}
	again := open(t, direct, storage.Fence{Token: 7, Session: "a", N: 2}, nil)
	if v, err := again.Get(t.Context(), "k"); err != nil || string(v) != "v" {
		t.Errorf("the write that happened reads %q, %v", v, err)
	}
}

func TestRedisLostReplyIsUnknown(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	p := testenv.NewProxy(t, addr)
	lostReply(t, openRedis(t, p.Addr, storage.RedisOptions{}), p, openRedis(t, addr, storage.RedisOptions{}))
}

func TestPostgresLostReplyIsUnknown(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t).URL
	addr := strings.TrimPrefix(strings.Split(url, "/postgres?")[0], "postgres://postgres@")
	p := testenv.NewProxy(t, addr)
	lostReply(t, openPostgres(t, strings.Replace(url, addr, p.Addr, 1)), p, openPostgres(t, url))
}

func openPostgres(t *testing.T, url string) *storage.Postgres {
	t.Helper()
	d, err := storage.OpenPostgres(t.Context(), url, storage.PostgresOptions{Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// A connection that cannot be made has surely written nothing: the storage goes on.
func TestUnreachableIsNotUnknown(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--save", "1 1")
	st := open(t, openRedis(t, server.Addr, storage.RedisOptions{}), first, nil)
	server.Kill()
	// The pooled connection is found dead before anything is sent on it.
	if err := st.Put(t.Context(), "k", []byte("v")); !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
		t.Errorf("write to a server that is down: %v, want unavailable", err)
	}
}

// A write must reach the server once, whatever the client library is used to.
func TestRedisSendsAWriteOnce(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	p := testenv.NewProxy(t, server.Addr)
	st := open(t, openRedis(t, p.Addr, storage.RedisOptions{}), first, nil)
	if err := st.Put(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p.Mute(true)
	if err := st.Put(t.Context(), "k", []byte("w")); !errors.Is(err, storage.ErrUnknown) {
		t.Fatalf("write without a reply: %v", err)
	}
	stats, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil || !strings.Contains(stats, "cmdstat_evalsha:calls=1,") {
		t.Errorf("the server saw, %v, want one evalsha:\n%s", err, stats)
	}
}

// With fewer replicas than asked for a write is unknown, although the master has it.
func TestRedisWithoutItsReplicaIsUnknown(t *testing.T) {
	t.Parallel()
	master, replicas := testenv.RedisReplicas(t, 1)
	// Long enough for a replica on a busy machine to answer, as long as it is not paused.
	d := openRedis(t, master.Addr, storage.RedisOptions{Replicas: 1, Timeout: 5 * time.Second, Wait: 3 * time.Second})
	st := open(t, d, first, nil)
	if err := st.Put(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	replicas[0].Pause()
	defer replicas[0].Resume()
	if err := st.Put(t.Context(), "k", []byte("w")); !errors.Is(err, storage.ErrUnknown) {
		t.Errorf("write that no replica has: %v, want unknown", err)
	}
	if _, err := storage.Open(t.Context(), d, "Cart/2", first, storage.Limits{}, nil); !errors.Is(err, storage.ErrUnknown) {
		t.Errorf("claim that no replica has: %v, want unknown", err)
	}
}

// A flushed script cache is no reason to fail.
func TestRedisScriptFlush(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	st := open(t, openRedis(t, addr, storage.RedisOptions{}), first, nil)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	for range 2 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := st.Put(t.Context(), "k", []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that refuses writes has surely not written: the storage goes on when it accepts again.
func TestRedisRefusalIsNotUnknown(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	st := open(t, openRedis(t, addr, storage.RedisOptions{}), first, nil)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := st.Put(t.Context(), "k", []byte("v")); !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
		t.Errorf("write to a full server: %v, want unavailable", err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := st.Put(t.Context(), "k", []byte("v")); err != nil {
		t.Errorf("write after it: %v", err)
	}
}

// Whoever stands still inside of a transaction of its own on the fence row
// blocks a claim for half a lease at most.
func TestPostgresClaimDoesNotWaitForAFrozenHost(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t).URL
	d := openPostgres(t, url) // timeout 2s: locks are waited for 1s
	open(t, d, first, nil)
	conn, err := pgx.Connect(t.Context(), url+"&idle_in_transaction_session_timeout=1000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM skewgate_fence FOR SHARE"); err != nil {
		t.Fatal(err)
	}
	next := storage.Fence{Token: 8, Session: "b", N: 1}
	for tries := 1; ; tries++ {
		_, err := storage.Open(t.Context(), d, "Cart/1", next, storage.Limits{}, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, storage.ErrUnavailable) || tries > 3 {
			t.Fatalf("claim %d: %v", tries, err)
		}
	}
}
