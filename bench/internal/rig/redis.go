package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a redis-server without persistence.
type Redis struct {
	*Process
	Client *redis.Client
}

// StartRedis starts the redis-server of the machine, or the one that SKEWGATE_TEST_REDIS names.
func StartRedis(ctx context.Context) (*Redis, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	bin := os.Getenv("SKEWGATE_TEST_REDIS")
	if bin == "" {
		bin = "redis-server"
	}
	host, port, _ := net.SplitHostPort(addr)
	p, err := Start(ctx, addr, bin, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", os.TempDir())
	if err != nil {
		return nil, err
	}
	r := &Redis{Process: p, Client: redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})}
	context.AfterFunc(ctx, func() { _ = r.Client.Close() })
	return r, nil
}

// URL is where it is, as a store.
func (r *Redis) URL() string { return "redis://" + r.Addr }

// Info reads one line of a section of INFO.
func (r *Redis) Info(ctx context.Context, section, name string) (string, error) {
	text, err := r.Client.Info(ctx, section).Result()
	if err != nil {
		return "", fmt.Errorf("INFO %s: %w", section, err)
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("INFO %s has no %s", section, name)
}

// Memory is used_memory in bytes.
func (r *Redis) Memory(ctx context.Context) (n int64, err error) {
	v, err := r.Info(ctx, "memory", "used_memory")
	if err == nil {
		_, err = fmt.Sscan(v, &n)
	}
	return n, err
}

// Used is the server's own account of its processor time, in microseconds' precision.
func (r *Redis) Used(ctx context.Context) (time.Duration, error) {
	var total time.Duration
	for _, name := range []string{"used_cpu_sys", "used_cpu_user"} {
		v, err := r.Info(ctx, "cpu", name)
		if err != nil {
			return 0, err
		}
		d, err := time.ParseDuration(v + "s")
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		total += d
	}
	return total, nil
}

// Commands is how many commands it has run, those of scripts included.
func (r *Redis) Commands(ctx context.Context) (map[string]int64, error) {
	text, err := r.Client.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, fmt.Errorf("INFO commandstats: %w", err)
	}
	out := map[string]int64{}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "cmdstat_")
		name, stats, ok2 := strings.Cut(rest, ":")
		var n int64
		if _, err := fmt.Sscanf(stats, "calls=%d", &n); ok && ok2 && err == nil {
			out[name] = n
		}
	}
	return out, nil
}
