package storage_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/host/storage/storagetest"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("25") // each is some thirty round trips
	}
	goleak.VerifyTestMain(m)
}

func openRedis(t testing.TB, addr string, o storage.RedisOptions) *storage.Redis {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	d, err := storage.NewRedis(client, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(); _ = client.Close() })
	return d
}

func TestRedis(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver { return openRedis(t, addr, storage.RedisOptions{}) })
}

// A user with the rights that docs/ownership.md lists for everything may keep values.
func TestRedisWithAnACLUser(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/ownership.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(line, "user gate on >SECRET "); ok && strings.Contains(rest, "+zrangebylex") {
			rules = strings.Fields(rest)
		}
	}
	if rules == nil {
		t.Fatal("the page has no list for everything")
	}
	addr := testenv.Redis(t, append([]string{"--user", "gate", "on", ">pw"}, rules...)...)
	storagetest.Run(t, func(t *testing.T) storage.Driver {
		client := redis.NewClient(&redis.Options{Addr: addr, Username: "gate", Password: "pw"})
		t.Cleanup(func() { _ = client.Close() })
		driver, err := storage.NewRedis(client, storage.RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = driver.Close() })
		return driver
	})
}

func TestRedisWithReplica(t *testing.T) {
	t.Parallel()
	master, _ := testenv.RedisReplicas(t, 1)
	storagetest.Run(t, func(t *testing.T) storage.Driver {
		return openRedis(t, master.Addr, storage.RedisOptions{Replicas: 1, Timeout: 6 * time.Second, Wait: 4 * time.Second})
	}) // no test of speed: a loaded machine answers late
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	e, err := owners.StartEmbedded("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	addr := e.URL()[len("redis://"):]
	storagetest.Run(t, func(t *testing.T) storage.Driver { return openRedis(t, addr, storage.RedisOptions{}) })
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t).URL
	storagetest.Run(t, func(t *testing.T) storage.Driver {
		d, err := storage.OpenPostgres(t.Context(), url, storage.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	})
}
