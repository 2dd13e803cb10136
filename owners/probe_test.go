package owners_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// probe gives one check of a store.
func probe(t *testing.T, s *owners.Store, name string) owners.Check {
	t.Helper()
	checks, err := s.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("nothing about %s in %+v", name, checks)
	return owners.Check{}
}

// found says how a check came out: ok, warning or refused.
func found(c owners.Check) string {
	switch {
	case c.OK:
		return "ok"
	case c.Fatal:
		return "refused"
	}
	return "warning"
}

// TestProbe holds each check against a real server that is as the row says, and
// wants the fix that an operator can type.
func TestProbe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		server []string // arguments of redis-server
		n      int      // store.replicas
		check  string
		want   string
		says   string // in the detail or the fix
	}{
		{"a plain server", nil, 0, "eviction", "ok", "noeviction"},
		{"evicts anything", []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}, 0, "eviction", "refused", "CONFIG SET maxmemory-policy noeviction"},
		{"evicts what expires", []string{"--maxmemory-policy", "volatile-ttl"}, 0, "eviction", "refused", "CONFIG SET maxmemory-policy noeviction"},
		{"keeps nothing", nil, 0, "persistence", "warning", "CONFIG SET appendonly yes"},
		{"keeps snapshots", []string{"--save", "60 1"}, 0, "persistence", "warning", "CONFIG SET appendonly yes"},
		{"keeps all", []string{"--appendonly", "yes", "--appendfsync", "always"}, 0, "persistence", "ok", "AOF, appendfsync always"},
		{"no replica, none wanted", nil, 0, "replicas", "ok", "0 attached"},
		{"no replica, one wanted", nil, 1, "replicas", "refused", "attach 1 more, or set store.replicas: 0"},
		{"its version", nil, 0, "version", "ok", ""},
		{"its clock", nil, 0, "clock", "ok", "apart from this machine's"},
		{"a new store", nil, 0, "epoch", "warning", "skewgate store init"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openAsIs(t, owners.Options{URL: "redis://" + testenv.Redis(t, c.server...), Replicas: c.n})
			got := probe(t, s, c.check)
			if found(got) != c.want || !strings.Contains(got.Detail+" "+got.Fix, c.says) {
				t.Errorf("%+v, want %s with %q", got, c.want, c.says)
			}
			if !got.OK && got.Fix == "" {
				t.Errorf("%+v says no fix", got)
			}
		})
	}
}

// openAsIs opens a store without opening its epoch.
func openAsIs(t *testing.T, o owners.Options) *owners.Store {
	t.Helper()
	s, err := owners.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What is attached is held against n, and a master that has become a replica is noticed.
func TestProbeOfReplicas(t *testing.T) {
	t.Parallel()
	master, replicas := testenv.RedisReplicas(t, 1)
	for n, want := range []string{"warning", "ok", "refused"} {
		s := openAsIs(t, owners.Options{URL: "redis://" + master.Addr, Replicas: n})
		if got := probe(t, s, "replicas"); found(got) != want || got.Detail != fmt.Sprintf("1 attached, store.replicas is %d", n) {
			t.Errorf("n = %d: %+v, want %s", n, got, want)
		}
		if got := probe(t, s, "role"); found(got) != "ok" {
			t.Errorf("%+v", got)
		}
	}
	s := openAsIs(t, owners.Options{URL: "redis://" + master.Addr, Replicas: 1})
	host, port, _ := strings.Cut(replicas[0].Addr, ":")
	if err := replicas[0].Client().SlaveOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if err := master.Client().SlaveOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	if got := probe(t, s, "role"); found(got) != "refused" || !strings.Contains(got.Fix, "point the store URL at the master") {
		t.Errorf("a master that follows another one: %+v", got)
	}
}

// A user that may not do what the probe or the store needs is told which rights are missing.
func TestProbeOfAPoorUser(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, append([]string{"--user", "gate", "on", ">pw"}, strings.Fields(leastACL)...)...)
	s := openAsIs(t, owners.Options{URL: "redis://gate:pw@" + server.Addr})
	if got := probe(t, s, "persistence"); found(got) != "warning" || !strings.Contains(got.Detail, "CONFIG is not allowed") {
		t.Errorf("without CONFIG: %+v", got)
	}
	rights := func(change string) {
		t.Helper()
		if err := server.Client().Do(t.Context(), "ACL", "SETUSER", "gate", change).Err(); err != nil {
			t.Fatal(err)
		}
	}
	rights("-eval")
	rights("-evalsha")
	if got := probe(t, s, "scripts"); found(got) != "refused" || !strings.Contains(got.Fix, "+@scripting") {
		t.Errorf("without scripts: %+v", got)
	}
	rights("-info")
	if _, err := s.Probe(t.Context()); err == nil || !strings.Contains(owners.Fix(err), "The least that a Redis user needs") {
		t.Errorf("without INFO: %v: %q", err, owners.Fix(err))
	}
}

// shifted moves the store's clock: it answers TIME of the real server, later by what ahead gives.
type shifted struct {
	redis.Hook
	ahead func() time.Duration
}

func (h shifted) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h shifted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h shifted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if c, ok := cmd.(*redis.TimeCmd); ok && err == nil {
			c.SetVal(c.Val().Add(h.ahead()))
		}
		return err
	}
}

func TestProbeOfTheClock(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	for name, c := range map[string]struct {
		step time.Duration // with each reading
		base time.Duration
		says string
	}{
		"it jumps ahead": {5 * time.Second, 0, "it jumped by "},
		"it jumps back":  {-5 * time.Second, 0, "it jumped by -"},
		"it is ahead":    {0, 10 * time.Minute, "synchronise the clocks"},
		"it is behind":   {0, -10 * time.Minute, "synchronise the clocks"},
	} {
		s := openAsIs(t, owners.Options{URL: "redis://" + server})
		ahead := c.base
		s.Redis().AddHook(shifted{ahead: func() time.Duration { ahead += c.step; return ahead }})
		if got := probe(t, s, "clock"); found(got) != "warning" || !strings.Contains(got.Detail+" "+got.Fix, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// aged is a server whose INFO names an older version.
type aged struct {
	shifted
	version string
}

func (h aged) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if c, ok := cmd.(*redis.StringCmd); ok && err == nil && cmd.Name() == "info" {
			lines := strings.Split(c.Val(), "\r\n")
			for i, l := range lines {
				if strings.HasPrefix(l, "redis_version:") {
					lines[i] = "redis_version:" + h.version
				}
			}
			c.SetVal(strings.Join(lines, "\r\n"))
		}
		return err
	}
}

// The real Redis 6.2.14 that this was tried with answers the same; it is in no package that the tests may rely on.
func TestProbeOfAnOldServer(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	for version, want := range map[string]string{"6.2.14": "refused", "5.0.3": "refused", "nonsense": "refused", "7.0.15": "ok", "10.0.0": "ok"} {
		s := openAsIs(t, owners.Options{URL: "redis://" + server})
		s.Redis().AddHook(aged{version: version})
		if got := probe(t, s, "version"); found(got) != want || !got.OK && !strings.Contains(got.Fix, "Redis 7 or newer") {
			t.Errorf("%s: %+v, want %s", version, got, want)
		}
	}
}
