package sim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// store is the embedded server with a journal of what each write replaced, so
// that a failover can take back what the promoted replica lacks; with replicas
// that answer WAIT when they have caught up; with run ids; and with a clock that can be moved.
type store struct {
	w    *world
	mini *miniredis.Miniredis

	mu      sync.Mutex
	rnd     *rand.Rand
	offset  time.Duration // of its clock
	runID   string
	lives   int       // failovers so far
	down    time.Time // until
	lag     time.Duration
	hung    time.Time // since then the replica gets nothing; zero: it does
	journal []preimage
	nested  any // context of a call inside of a script, which holds the server's lock
	undoing bool
	flushes int
	last    map[*server.Peer]string // the record that a connection wrote last: what its WAIT is behind
}

// A preimage is a key as it was before a write.
type preimage struct {
	at   time.Time
	key  string
	kind string
	ttl  int64
	data []string
}

var errRefused = errors.New("connection refused")

func newStore(w *world) *store {
	s := &store{w: w, mini: miniredis.NewMiniRedis(), rnd: rand.New(rand.NewPCG(w.c.Seed, 1)), runID: "run1", last: map[*server.Peer]string{}}
	lags := []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond}
	if w.c.planned() {
		lags = lags[:2] // a slower store does not take the load, and requests are shed
	}
	s.lag = lags[s.rnd.IntN(len(lags))]
	c, err := s.mini.Dial()
	if err != nil {
		w.t.Fatal(err)
	}
	c.Close()
	s.mini.Server().SetPreHook(s.hook)
	s.mini.HSet("{p0}:epoch", "f", "1", "id", "first", "s", "open")
	w.wg.Go(s.expire)
	return s
}

// expire lets keys expire now and then.
func (s *store) expire() {
	for !s.w.over.Load() {
		time.Sleep(time.Second)
		s.mini.FastForward(time.Second)
	}
}

func (s *store) connect() (net.Conn, int, error) {
	s.mu.Lock()
	lives, down := s.lives, time.Now().Before(s.down)
	s.mu.Unlock()
	if down {
		return nil, 0, errRefused
	}
	c, err := s.mini.Dial()
	return c, lives, err
}

func (s *store) age() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lives
}

// now is the store's clock.
func (s *store) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.offset)
}

// hook sees every command, also those inside of scripts.
func (s *store) hook(p *server.Peer, cmd string, args ...string) bool {
	switch cmd {
	case "TIME": // strings, as Redis answers
		us := s.now().UnixMicro()
		p.WriteLen(2)
		p.WriteBulk(strconv.FormatInt(us/1e6, 10))
		p.WriteBulk(strconv.FormatInt(us%1e6, 10))
		return true
	case "INFO":
		s.mu.Lock()
		defer s.mu.Unlock()
		p.WriteBulk("# Server\r\nrun_id:" + s.runID + "\r\nmaster_replid:" + s.runID + "\r\n")
		return true
	case "WAIT":
		s.wait(p, args)
		return true
	case "EVAL", "EVALSHA":
		if cmd == "EVAL" {
			for _, r := range s.w.c.Weak.Scripts {
				args[0] = strings.Replace(args[0], r[0], r[1], 1)
			}
		}
		s.wrote(p, args)
	case "HSET", "HSETNX", "HINCRBY", "HDEL", "SADD", "SREM", "SET", "DEL", "PERSIST", "EXPIRE", "PEXPIRE", "ZADD", "ZREM", "ZREMRANGEBYSCORE":
		s.before(p, cmd, args)
	}
	return false
}

// wrote notes on which kind of record a connection's last script is.
func (s *store) wrote(p *server.Peer, args []string) {
	if len(s.w.c.Weak.NoWait) == 0 || len(args) < 3 {
		return
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(args[2], "{p0}:"), ":")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[p] = kind
}

// waits says whether WAIT means something on this connection.
func (s *store) waits(p *server.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.Contains(s.w.c.Weak.NoWait, s.last[p])
}

// caughtUp is the time of the last write that the replica has. Needs mu.
func (s *store) caughtUp() time.Time {
	t := time.Now().Add(-s.lag)
	if !s.hung.IsZero() && s.hung.Add(-s.lag).Before(t) {
		return s.hung.Add(-s.lag)
	}
	return t
}

// wait answers WAIT: when the replica has what was written before, or at the timeout.
func (s *store) wait(p *server.Peer, args []string) {
	written, waits := time.Now(), s.waits(p)
	ms, _ := strconv.Atoi(args[1])
	s.mu.Lock()
	life := s.lives
	s.mu.Unlock()
	for {
		s.mu.Lock()
		has, same := !s.caughtUp().Before(written), s.lives == life
		s.mu.Unlock()
		switch {
		case !same:
			p.WriteError("UNBLOCKED force unblock from blocking operation, instance state changed")
			return
		case has || !waits:
			p.WriteInt(replicas)
			return
		case time.Since(written) >= time.Duration(ms)*time.Millisecond:
			p.WriteInt(0)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// before journals what a write inside of a script is about to replace. The script holds the server's lock.
func (s *store) before(p *server.Peer, cmd string, args []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.undoing || len(args) == 0 || strings.HasPrefix(args[0], "{p0}:gw") {
		return
	}
	s.nested = p.Ctx
	old := s.read(args[0])
	s.journal = append(s.journal, old)
	if n := len(s.journal); n > 20000 {
		s.journal = append([]preimage(nil), s.journal[n/2:]...)
	}
	switch {
	case cmd == "HSET" && strings.HasPrefix(args[0], "{p0}:pin:"):
		s.w.check.pinWritten(args[0], old.data, args[1:])
	case cmd == "HSET" && strings.HasPrefix(args[0], "{p0}:kv:"):
		s.w.check.valueWritten(args[0], old.data, args[1:])
	}
}

// call runs a command under the lock that the caller holds.
func (s *store) call(args ...string) any {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	p := server.NewPeer(w)
	p.Ctx = s.nested
	s.mini.Server().Dispatch(p, args)
	w.Flush()
	v, err := server.ParseReply(bufio.NewReader(&out))
	if err != nil {
		return err
	}
	return v
}

func (s *store) read(key string) preimage {
	im := preimage{at: time.Now(), key: key, kind: fmt.Sprint(s.call("TYPE", key))}
	var v any
	switch im.kind {
	case "none":
		return im
	case "hash":
		v = s.call("HGETALL", key)
	case "set":
		v = s.call("SMEMBERS", key)
	case "zset":
		v = s.call("ZRANGE", key, "0", "-1")
	case "string":
		v = []any{s.call("GET", key)}
	}
	for _, x := range v.([]any) {
		im.data = append(im.data, textOf(x))
	}
	switch n := s.call("PTTL", key).(type) {
	case int:
		im.ttl = int64(n)
	case int64:
		im.ttl = n
	}
	return im
}

func textOf(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// undo puts a key back.
func (s *store) undo(im preimage) {
	s.call("DEL", im.key)
	switch im.kind {
	case "hash":
		s.call(append([]string{"HSET", im.key}, im.data...)...)
	case "set":
		s.call(append([]string{"SADD", im.key}, im.data...)...)
	case "zset":
		for _, m := range im.data {
			s.call("ZADD", im.key, "0", m)
		}
	case "string":
		s.call("SET", im.key, im.data[0])
	}
	if im.kind != "none" && im.ttl > 0 {
		s.call("PEXPIRE", im.key, strconv.FormatInt(im.ttl, 10))
	}
}

// failover promotes the replica: what it lacks is gone, connections break, the run id is another one.
func (s *store) failover(down time.Duration) {
	s.mini.Lock()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.mini.Unlock()
	cut := s.caughtUp()
	s.undoing = true
	i := len(s.journal) - 1
	for ; i >= 0 && s.journal[i].at.After(cut); i-- {
		im := s.journal[i]
		s.mu.Unlock() // the hook takes it
		s.undo(im)
		s.mu.Lock()
	}
	s.undoing = false
	s.journal = s.journal[:i+1]
	s.lives++
	s.another()
	s.hung = time.Time{}
	s.down = time.Now().Add(down)
}

// hang stops the replica; it comes back by itself or is promoted.
func (s *store) hang(d time.Duration) {
	s.mu.Lock()
	s.hung = time.Now()
	mine := s.hung
	s.mu.Unlock()
	s.w.wg.Go(func() {
		time.Sleep(d)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hung.Equal(mine) {
			s.hung = time.Time{}
		}
	})
}

// flush loses everything; restarted says that the server did so by starting empty.
func (s *store) flush(restarted bool) {
	s.w.check.flushed()
	s.mini.FlushAll()
	s.w.check.flushed() // what was read in between belongs to neither life
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushes++
	s.journal = nil
	if restarted {
		s.lives++
		s.another()
	}
}

// another server answers from now on. Needs mu.
func (s *store) another() {
	if !s.w.c.Weak.SameRun {
		s.runID = "run" + strconv.Itoa(s.lives+1)
	}
}

func (s *store) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung, s.down = time.Time{}, time.Time{}
}

// state is what a session's record says, now.
func (s *store) state(sid string) string { return s.mini.HGet("{p0}:sess:"+sid, "state") }

// describe is what the store says of an object, for people.
func (s *store) describe(k string) string {
	pin := "{p0}:pin:" + k
	sid := s.mini.HGet(pin, "i")
	return fmt.Sprintf("epoch %s, pin %s %s of %.6s, session %s at %s, the clock is %s",
		s.mini.HGet("{p0}:epoch", "s"), s.mini.HGet(pin, "s"), s.mini.HGet(pin, "t"), sid,
		s.state(sid), s.mini.HGet("{p0}:sess:"+sid, "addr"), s.now().Format(time.DateTime))
}
