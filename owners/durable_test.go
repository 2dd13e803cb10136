package owners_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

func registration() owners.Registration {
	return owners.Registration{
		SID: owners.NewSID(), Addr: "10.0.0.1:9001", Name: "host-1", App: "shop", Version: "v41",
		Classes: []string{"Cart"}, Lease: time.Second, Ready: true,
	}
}

// owned registers a host and gives it a pin.
func owned(t *testing.T, s *owners.Store, k owners.Key) (sid string, token int64) {
	t.Helper()
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := registration()
	for start := time.Now(); ; { // as a host does, until it is answered
		_, err := s.Register(t.Context(), r)
		if err == nil {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal(err)
		}
	}
	p, won, err := s.Acquire(t.Context(), owners.Acquire{Key: k, SID: r.SID})
	if err != nil || !won {
		t.Fatal(p, won, err)
	}
	return r.SID, p.Token
}

// A replica that does not answer makes renewals and confirmations unknown,
// never successful; what is refused is refused all the same.
func TestTooFewReplicasIsUnknown(t *testing.T) {
	t.Parallel()
	master, replicas := testenv.RedisReplicas(t, 2)
	s := open(t, owners.Options{URL: "redis://" + master.Addr + "?replicas=2", Timeout: time.Second})
	k := owners.Key{Class: "Cart", ID: "1"}
	sid, token := owned(t, s, k)
	replicas[1].Pause()
	if ok, err := s.Confirm(t.Context(), k, sid, token); ok || !errors.Is(err, owners.ErrUnknown) || errors.Is(err, owners.ErrUnavailable) {
		t.Errorf("confirm: %v, %v", ok, err)
	}
	if r, err := s.Renew(t.Context(), sid, owners.Health{Ready: true}); !errors.Is(err, owners.ErrUnknown) {
		t.Errorf("renew: %+v, %v", r, err)
	}
	if _, err := s.Register(t.Context(), registration()); !errors.Is(err, owners.ErrUnknown) {
		t.Errorf("register: %v", err)
	}
	if ok, err := s.Confirm(t.Context(), k, sid, token+1); ok || err != nil {
		t.Errorf("confirm of another token: %v, %v", ok, err)
	}
	if _, err := s.Renew(t.Context(), owners.NewSID(), owners.Health{}); !errors.Is(err, owners.ErrFenced) {
		t.Errorf("renew of no session: %v", err)
	}
	replicas[1].Resume()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if ok, err := s.Confirm(t.Context(), k, sid, token); err == nil && ok {
			break
		} else if time.Since(start) > 20*time.Second {
			t.Fatalf("the replica is back: %v, %v", ok, err)
		}
	}
}

// WAIT answers for its own connection only, so it must go out on the one that ran the script.
func TestScriptAndWaitShareAConnection(t *testing.T) {
	t.Parallel()
	master, _ := testenv.RedisReplicas(t, 1)
	var mu sync.Mutex
	var conns []*tap
	s := open(t, owners.Options{
		URL: "redis://" + master.Addr + "?replicas=1",
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, &tap{Conn: c})
			return conns[len(conns)-1], err
		},
	})
	k := owners.Key{Class: "Cart", ID: "1"}
	sid, token := owned(t, s, k)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := s.Confirm(t.Context(), k, sid, token)
			_, err2 := s.Renew(t.Context(), sid, owners.Health{Ready: true})
			if err := errors.Join(err, err2); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	total := 0
	for i, c := range conns {
		sent := c.sent.String()
		waits := strings.Count(sent, "$4\r\nWAIT\r\n")
		lower := strings.ToLower(sent)
		scripts := strings.Count(lower, "\r\nevalsha\r\n") + strings.Count(lower, "\r\neval\r\n")
		if total += waits; waits > scripts {
			t.Errorf("connection %d: %d WAITs for %d scripts", i, waits, scripts)
		}
		// Only a confirmation sends the token; several may share the WAIT behind them.
		if last := strings.LastIndex(sent, owners.FormatToken(token)); last > strings.LastIndex(sent, "\r\nWAIT\r\n") {
			t.Errorf("connection %d: no WAIT behind a confirmation", i)
		}
	}
	if total < 9 {
		t.Errorf("%d WAITs for 8 renewals and 8 confirmations", total)
	}
}

// A tap keeps what is sent.
type tap struct {
	net.Conn
	sent strings.Builder
}

func (t *tap) Write(b []byte) (int, error) {
	t.sent.Write(b)
	return t.Conn.Write(b)
}

// The run id tells a failover, also to a server that was the master before.
func TestRunIDChangesWithEveryPromotion(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	s := open(t, owners.Options{URL: "redis://" + server.Addr})
	seen := map[string]bool{}
	renewal := func() string {
		r, err := s.Register(t.Context(), registration())
		if err != nil {
			t.Fatal(err)
		}
		return r.RunID
	}
	first := renewal()
	if again := renewal(); again != first {
		t.Errorf("the run id changes by itself: %s, %s", first, again)
	}
	seen[first] = true
	c := server.Client()
	for range 2 { // demoted and promoted: the same process
		if err := errors.Join(c.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(), c.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err()); err != nil {
			t.Fatal(err)
		}
		id := renewal()
		if seen[id] {
			t.Errorf("run id %s again after a promotion", id)
		}
		seen[id] = true
	}
	server.Kill()
	server.Start()
	if id := renewal(); seen[id] {
		t.Errorf("run id %s again after a restart", id)
	}
}

// After a failover by Sentinel the store is reached again, with what the replicas had.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	set := testenv.Sentinel(t, 2, 3, "--appendonly", "yes", "--appendfsync", "always") // the one that is killed comes back
	s := open(t, owners.Options{URL: set.URL() + "?replicas=2", Timeout: 500 * time.Millisecond})
	k := owners.Key{Class: "Cart", ID: "1"}
	sid, token := owned(t, s, k)
	if ok, err := s.Confirm(t.Context(), k, sid, token); err != nil || !ok {
		t.Fatal(ok, err)
	}
	before, err := s.Renew(t.Context(), sid, owners.Health{Ready: true})
	if err != nil {
		t.Fatal(err)
	}
	set.Servers[0].Kill()
	start := time.Now()
	var p owners.Pin
	for { // one replica is left: reads and unconfirmed writes go on, confirmations wait for the second one
		if p, _, _, err = s.Pin(t.Context(), k); err == nil {
			break
		}
		if !errors.Is(err, owners.ErrUnavailable) {
			t.Errorf("while there is no master: %v", err)
		}
		if time.Since(start) > 40*time.Second {
			t.Fatalf("no master after %v: %v", time.Since(start), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("a master again after %v", time.Since(start))
	if p.SID != sid || p.Token != token || p.Confirmed != token {
		t.Errorf("the pin is %+v", p)
	}
	if _, err := s.Renew(t.Context(), sid, owners.Health{Ready: true}); !errors.Is(err, owners.ErrUnknown) && !errors.Is(err, owners.ErrUnavailable) {
		t.Errorf("renewal with one replica of two: %v", err)
	}
	set.Servers[0].Start()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		after, err := s.Renew(t.Context(), sid, owners.Health{Ready: true})
		if err == nil {
			if after.RunID == before.RunID {
				t.Error("the run id is that of the old master")
			}
			return
		}
		if time.Since(start) > 40*time.Second {
			t.Fatalf("no renewal although the old master is back: %v", err)
		}
	}
}

func TestStoreThatIsDownIsUnavailableSoon(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	s := open(t, owners.Options{URL: "redis://" + server.Addr, Timeout: 200 * time.Millisecond})
	k := owners.Key{Class: "Cart", ID: "1"}
	sid, token := owned(t, s, k)
	for name, stop := range map[string]func(){"paused": server.Pause, "killed": server.Kill} {
		stop()
		start := time.Now()
		_, _, _, err := s.Pin(t.Context(), k)
		if !errors.Is(err, owners.ErrUnavailable) {
			t.Errorf("%s: pin: %v", name, err)
		}
		if _, err := s.Confirm(t.Context(), k, sid, token); !errors.Is(err, owners.ErrUnavailable) || !errors.Is(err, owners.ErrUnknown) {
			t.Errorf("%s: confirm: %v", name, err)
		}
		if _, err := s.Sessions(t.Context()); !errors.Is(err, owners.ErrUnavailable) {
			t.Errorf("%s: sessions: %v", name, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: three calls took %v", name, d)
		}
		if name == "paused" {
			server.Resume()
		}
	}
}

func TestReadOnlyServerIsUnavailable(t *testing.T) {
	t.Parallel()
	_, replicas := testenv.RedisReplicas(t, 1)
	_, err := owners.Open(t.Context(), owners.Options{URL: "redis://" + replicas[0].Addr, Timeout: 300 * time.Millisecond})
	if !errors.Is(err, owners.ErrUnavailable) {
		t.Errorf("opened on a replica: %v", err)
	}
}

// The negative control of WAIT: what is confirmed without it may be gone after
// a failover, what is confirmed with it may not.
func TestOnlyWhatReplicasHaveIsConfirmed(t *testing.T) {
	t.Parallel()
	for n, lost := range map[int]bool{0: true, 1: false} {
		master, replicas := testenv.RedisReplicas(t, 1)
		k := owners.Key{Class: "Cart", ID: "1"}
		s := open(t, owners.Options{URL: "redis://" + master.Addr, Replicas: n, Timeout: time.Second})
		sid, token := owned(t, s, k)
		if err := replicas[0].Client().Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil { // cut off
			t.Fatal(err)
		}
		if _, ok, err := s.Release(t.Context(), k, sid, token); err != nil || !ok {
			t.Fatal(ok, err)
		}
		p, _, _, err := s.Pin(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		next, won, err := s.Acquire(t.Context(), owners.Acquire{Key: k, Expect: p, SID: sid})
		if err != nil || !won {
			t.Fatal(next, won, err)
		}
		confirmed, err := s.Confirm(t.Context(), k, sid, next.Token)
		master.Kill()
		if err := replicas[0].Client().Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
			t.Fatal(err)
		}
		after, _, _, rerr := open(t, owners.Options{URL: "redis://" + replicas[0].Addr}).Pin(t.Context(), k)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if got := confirmed && after.Token != next.Token; got != lost {
			t.Errorf("n = %d: confirmed is %v (%v), after the failover the token is %d of %d", n, confirmed, err, after.Token, next.Token)
		}
	}
}
