package owners

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// Embedded is the in-process store; it speaks the Redis protocol on its
// address. It runs the same scripts, has no durability and no replicas.
type Embedded struct {
	mini *miniredis.Miniredis
	addr string
	stop chan struct{}
	done chan struct{}
}

// StartEmbedded listens on addr ("127.0.0.1:0" for any free port; "" for none,
// then only Dial reaches it). fresh says that no host can have outlived an
// earlier one, so the epoch is opened at once; otherwise it is held until a
// watcher has waited for leases.max.
func StartEmbedded(addr string, fresh bool) (*Embedded, error) {
	m := miniredis.NewMiniRedis()
	e := &Embedded{mini: m, stop: make(chan struct{}), done: make(chan struct{})}
	if addr == "" {
		c, err := m.Dial() // starts it without a listener
		if err != nil {
			return nil, fmt.Errorf("start embedded store: %w", err)
		}
		c.Close()
	} else {
		if err := m.StartAddr(addr); err != nil {
			return nil, fmt.Errorf("start embedded store: %w", err)
		}
		e.addr = m.Addr()
	}
	m.Server().SetPreHook(infoHook(random128()))
	if fresh {
		m.HSet(keyEpoch, "f", format, "id", random128(), "s", "open")
	}
	go e.expire()
	return e, nil
}

// expire lets keys expire about once a second. The server underneath can do
// so by itself, but then it sorts all its keys at each command; expiry only
// collects garbage here, so it may come late: it takes at most a hundredth of
// the time.
func (e *Embedded) expire() {
	defer close(e.done)
	for last, wait := time.Now(), time.Second; ; {
		t := time.NewTimer(wait)
		select {
		case <-e.stop:
			t.Stop()
			return
		case <-t.C:
		}
		now := time.Now()
		e.mini.FastForward(now.Sub(last))
		last, wait = now, max(time.Second, 100*time.Since(now))
	}
}

// infoHook answers INFO and ROLE as a Redis would; the server underneath does not know them.
func infoHook(runID string) server.Hook {
	sections := map[string]string{
		"server":      "# Server\r\nredis_version:7.0.0\r\nredis_mode:embedded\r\nrun_id:" + runID + "\r\n",
		"replication": "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_replid:" + runID + "\r\n",
		"memory":      "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
		"persistence": "# Persistence\r\nloading:0\r\naof_enabled:0\r\n",
	}
	return func(p *server.Peer, cmd string, args ...string) bool {
		if cmd != "INFO" {
			return false
		}
		var out strings.Builder
		for name, text := range sections {
			if len(args) == 0 || strings.EqualFold(args[0], name) {
				out.WriteString(text)
			}
		}
		p.WriteBulk(out.String())
		return true
	}
}

// URL is what a host passes as its store, "redis://127.0.0.1:PORT".
func (e *Embedded) URL() string {
	if e.addr == "" {
		return "redis://embedded:6379"
	}
	return "redis://" + e.addr
}

// Dial connects without a listener; it fits Options.Dial. It is for tests in
// simulated time: the pipe has no buffer, so a pipeline whose answers begin
// before all of it is written stands still until its timeout.
func (e *Embedded) Dial(context.Context, string, string) (net.Conn, error) { return e.mini.Dial() }

// Close stops it and forgets its data.
func (e *Embedded) Close() error {
	close(e.stop)
	<-e.done
	e.mini.Close()
	return nil
}
