package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis starts a redis-server without persistence and gives its address.
// More arguments go to the server, such as "--maxmemory-policy", "allkeys-lru".
func Redis(t testing.TB, args ...string) string {
	t.Helper()
	return StartRedis(t, args...).Addr
}

// RedisServer is a redis-server (or, for Sentinel, a redis-sentinel) of a test.
type RedisServer struct {
	Addr string // 127.0.0.1:port
	Dir  string // its working directory

	t    testing.TB
	argv []string
	cmd  *exec.Cmd
	out  *bytes.Buffer
}

// StartRedis starts a redis-server without persistence unless args say otherwise.
func StartRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	dir, port := t.TempDir(), fmt.Sprint(Port(t))
	r := &RedisServer{Addr: "127.0.0.1:" + port, Dir: dir, t: t}
	r.argv = append([]string{
		redisBinary(t),
		"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir,
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
	}, args...)
	r.Start()
	return r
}

// redisBinary is the redis-server of the machine, or the one that
// SKEWGATE_TEST_REDIS names, so that the tests can be held against another version.
func redisBinary(t testing.TB) string {
	t.Helper()
	name := os.Getenv("SKEWGATE_TEST_REDIS")
	if name == "" {
		name = "redis-server"
	}
	bin, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install redis-server", name)
	}
	return bin
}

// Start starts it (again, after Kill), and waits until it answers.
func (r *RedisServer) Start() {
	r.t.Helper()
	r.out = new(bytes.Buffer)
	cmd := exec.Command(r.argv[0], r.argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.SysProcAttr = r.out, r.out, r.Dir, diesWithTest(nil)
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("start %s: %v", r.argv[0], err)
	}
	r.cmd = cmd
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill() // it may have been ended by the test
		_ = cmd.Wait()         // reports the kill
	})
	r.waitFor("its port", func() bool {
		c, err := net.DialTimeout("tcp", r.Addr, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// Kill ends it at once, as a crash would.
func (r *RedisServer) Kill() {
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// Pause stops the process where it stands, Resume lets it go on.
func (r *RedisServer) Pause()  { _ = r.cmd.Process.Signal(syscall.SIGSTOP) }
func (r *RedisServer) Resume() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }

// Client gives a client without retries; it is closed with the test.
func (r *RedisServer) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1, Protocol: 2})
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Info reads one line of INFO, "" when it cannot.
func (r *RedisServer) Info(name string) string {
	c := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1, Protocol: 2})
	defer c.Close()
	text, err := c.Info(context.Background()).Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// waitFor polls until ok, for at most 30 s.
func (r *RedisServer) waitFor(what string, ok func() bool) {
	r.t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%s on %s: %s did not come:\n%s", r.argv[0], r.Addr, what, r.out.String())
}

// RedisReplicas starts a master and n replicas that are in sync with it.
func RedisReplicas(t testing.TB, n int, args ...string) (master *RedisServer, replicas []*RedisServer) {
	t.Helper()
	master = StartRedis(t, args...)
	host, port, _ := net.SplitHostPort(master.Addr)
	for range n {
		replicas = append(replicas, StartRedis(t, append([]string{"--replicaof", host + " " + port}, args...)...))
	}
	for _, r := range replicas {
		r.waitFor("the link to the master", func() bool { return r.Info("master_link_status") == "up" })
	}
	for i := range n { // WAIT counts those that are online
		master.waitFor("its replicas", func() bool {
			return strings.Contains(master.Info(fmt.Sprintf("slave%d", i)), "state=online")
		})
	}
	return master, replicas
}

// SentinelMaster is the name of the master in every Sentinel of a test.
const SentinelMaster = "skewgate"

// RedisSentinel is a master with replicas, watched by sentinels.
type RedisSentinel struct {
	Servers   []*RedisServer // the first one is the master at the start
	Sentinels []*RedisServer
}

// Sentinel starts a master, replicas, and sentinels that agree to a failover
// after the master has been away for one second. More arguments go to the
// servers. One that is killed and started again needs its data: Sentinel may promote it in that moment, empty as it may be.
func Sentinel(t testing.TB, replicas, sentinels int, args ...string) *RedisSentinel {
	t.Helper()
	master, rest := RedisReplicas(t, replicas, args...)
	s := &RedisSentinel{Servers: append([]*RedisServer{master}, rest...)}
	host, port, _ := net.SplitHostPort(master.Addr)
	for range sentinels {
		dir, own := t.TempDir(), fmt.Sprint(Port(t))
		conf := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor %[3]s %s %s %d\n"+
			"sentinel down-after-milliseconds %[3]s 1000\nsentinel failover-timeout %[3]s 6000\nsentinel parallel-syncs %[3]s 2\n",
			own, dir, SentinelMaster, host, port, sentinels/2+1)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		one := &RedisServer{
			Addr: "127.0.0.1:" + own, Dir: dir, t: t, argv: []string{redisBinary(t), conf, "--sentinel"},
		}
		one.Start()
		s.Sentinels = append(s.Sentinels, one)
	}
	for _, one := range s.Sentinels {
		one.waitFor("knowledge of the others", func() bool {
			return strings.Contains(one.Info("master0"), fmt.Sprintf("status=ok,address=%s,slaves=%d,sentinels=%d",
				master.Addr, replicas, sentinels))
		})
	}
	return s
}

// URL is the set as a store URL.
func (s *RedisSentinel) URL() string {
	var addrs []string
	for _, one := range s.Sentinels {
		addrs = append(addrs, one.Addr)
	}
	return "redis+sentinel://" + strings.Join(addrs, ",") + "/" + SentinelMaster
}

// Master gives the server that the first sentinel calls the master now, nil when it is none of ours.
func (s *RedisSentinel) Master() *RedisServer {
	line := s.Sentinels[0].Info("master0")
	for _, one := range s.Servers {
		if strings.Contains(line, "address="+one.Addr+",") {
			return one
		}
	}
	return nil
}
