package owners

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Check is one line of a probe.
type Check struct {
	Name   string // "role", "eviction", "persistence", "scripts", "replicas", "clock", "epoch", "version"
	OK     bool
	Fatal  bool // serve refuses to start
	Detail string
	Fix    string
}

// Probe looks whether the store is safe to use. The error says that it could
// not look; what it found is in the checks.
func (s *Store) Probe(ctx context.Context) ([]Check, error) {
	info := map[string]string{}
	for _, section := range []string{"server", "replication", "memory", "persistence"} {
		text, err := s.rdb.Info(ctx, section).Result()
		if err != nil {
			return nil, fail("probe store: INFO "+section, false, err)
		}
		for line := range strings.Lines(text) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[k] = v
			}
		}
	}
	clock, err := s.probeClock(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := s.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	return []Check{
		probeVersion(info), probeRole(info), probeEviction(info), s.probeReplicas(info), s.probePersistence(ctx, info),
		s.probeScripts(ctx), clock, probeEpoch(epoch),
	}, nil
}

func probeVersion(info map[string]string) Check {
	c := Check{Name: "version", OK: true, Detail: info["redis_mode"] + " " + info["redis_version"]}
	if v := info["valkey_version"]; v != "" {
		c.Detail = info["redis_mode"] + " valkey " + v
	}
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		c.OK, c.Fatal, c.Fix = false, true, "use Redis 7 or newer, or Valkey"
	}
	if info["redis_mode"] == "cluster" {
		c.OK, c.Fatal, c.Fix = false, true, "use a standalone Redis or Sentinel; Redis Cluster is not supported yet"
	}
	return c
}

func probeRole(info map[string]string) Check {
	c := Check{Name: "role", OK: info["role"] == "master", Fatal: true, Detail: info["role"]}
	if !c.OK {
		c.Fix = "point the store URL at the master, or use redis+sentinel://"
	}
	return c
}

func probeEviction(info map[string]string) Check {
	policy := info["maxmemory_policy"]
	c := Check{
		Name: "eviction", OK: policy == "noeviction", Fatal: true,
		Detail: "maxmemory-policy " + policy + ", maxmemory " + info["maxmemory"],
	}
	if !c.OK {
		c.Fix = "CONFIG SET maxmemory-policy noeviction, then CONFIG REWRITE: an evicted pin or session is a lost one"
	}
	return c
}

// probeReplicas holds n against the replicas attached now. Fewer than n
// attached stop every renewal; more than n may be promoted without our writes.
func (s *Store) probeReplicas(info map[string]string) Check {
	n := s.opt.Replicas
	attached, err := strconv.Atoi(info["connected_slaves"])
	c := Check{Name: "replicas", Detail: fmt.Sprintf("%d attached, store.replicas is %d", attached, n)}
	switch {
	case err != nil:
		c.Detail, c.Fix = "the server does not say how many replicas it has", "allow INFO replication"
	case attached < n:
		c.Fatal = true
		c.Fix = fmt.Sprintf("attach %d more, or set store.replicas: %d; until then no host can renew", n-attached, attached)
	case attached > n:
		c.Fix = fmt.Sprintf("set store.replicas: %d, or hang further copies below a replica: "+
			"a failover to a replica without our writes may let a stale instance start", attached)
	default:
		c.OK = true
	}
	return c
}

func (s *Store) probePersistence(ctx context.Context, info map[string]string) Check {
	c := Check{Name: "persistence", OK: true, Detail: "AOF on"}
	if info["redis_mode"] == "embedded" {
		c.OK, c.Detail, c.Fix = false, "embedded: none", "use a Redis server where values must survive a restart"
		return c
	}
	if info["aof_enabled"] == "1" {
		if v, err := s.rdb.ConfigGet(ctx, "appendfsync").Result(); err == nil {
			c.Detail = "AOF, appendfsync " + v["appendfsync"]
		}
		return c
	}
	c.Detail = "snapshots"
	v, err := s.rdb.ConfigGet(ctx, "save").Result()
	if err != nil {
		c.Detail = "AOF off; whether there are snapshots cannot be seen (CONFIG is not allowed)"
	} else if v["save"] == "" {
		c.Detail = "none"
	}
	if s.opt.Replicas == 0 {
		c.OK, c.Fix = false, "CONFIG SET appendonly yes, then CONFIG REWRITE: a restart loses acknowledged writes since the last snapshot"
	}
	return c
}

// probeScripts runs one: atomic, with the time and a reply of strings.
func (s *Store) probeScripts(ctx context.Context) Check {
	c := Check{Name: "scripts", OK: true, Detail: "ok"}
	const src = `local t = redis.call('TIME')
return {'ok', string.format('%.0f', tonumber(t[1]) * 1000000 + tonumber(t[2]))}`
	r, err := s.run(ctx, NewScript("probe", src), []string{keyEpoch})
	if err == nil {
		_, err = ParseToken(r.text(0))
	}
	if err != nil {
		c.OK, c.Fatal, c.Detail = false, true, err.Error()
		c.Fix = "allow EVAL and EVALSHA (ACL: +@scripting) on a server that runs Lua scripts"
	}
	return c
}

// clockAhead is how far the store's clock may differ from ours before we say so. Safety does not depend on it.
const clockAhead = time.Minute

// probeClock compares how far the store's clock and ours go between two
// readings, and how far they are apart. A step of the store's clock costs
// token space or collects released pins early; nothing that is safe depends on it.
func (s *Store) probeClock(ctx context.Context) (Check, error) {
	c := Check{Name: "clock", OK: true}
	var slack time.Duration // the store has read its clock at some time while we waited
	read := func() (store time.Time, at time.Duration, err error) {
		before := s.opt.Clock()
		store, err = s.rdb.Time(ctx).Result()
		after := s.opt.Clock()
		slack += (after - before) / 2
		return store, (before + after) / 2, fail("probe store: TIME", false, err)
	}
	t1, at1, err := read()
	if err != nil {
		return c, err
	}
	time.Sleep(20 * time.Millisecond)
	t2, at2, err := read()
	if err != nil {
		return c, err
	}
	apart, step := time.Since(t2), t2.Sub(t1)-(at2-at1)
	c.Detail = fmt.Sprintf("%v apart from this machine's", apart.Abs().Round(time.Millisecond))
	switch {
	case step.Abs() > time.Second+slack || t2.Before(t1):
		c.OK, c.Detail = false, fmt.Sprintf("it jumped by %v while we looked", step.Round(100*time.Millisecond))
		c.Fix = "let NTP slew the clock of the store's machine instead of stepping it"
	case apart.Abs() > clockAhead:
		c.OK, c.Fix = false, "synchronise the clocks of this machine and of the store's"
	}
	return c, nil
}

func probeEpoch(e Epoch) Check {
	c := Check{Name: "epoch", OK: e.Open, Detail: "open"}
	switch {
	case e.ID == "":
		c.Detail = "missing: a new store, or one that lost its data"
		c.Fix = "run skewgate store init if there are no hosts yet; otherwise it opens by itself after leases.max"
	case !e.Open:
		c.Detail = "holding until every lease of before has ended"
		c.Fix = "wait for leases.max"
	}
	return c
}
