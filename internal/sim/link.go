package sim

import (
	"context"
	"net"
	"os"
	"time"
)

// dial gives a node's connection to the store: a pipe whose two directions
// are carried by goroutines that delay, stall and lose what they carry.
func (n *node) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	for {
		if _, ok := n.reaches(); ok {
			break
		}
		select { // packets into nowhere
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
		case <-time.After(10 * time.Millisecond):
		}
	}
	server, life, err := n.w.store.connect()
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	near, far := net.Pipe()
	l := &link{n: n, life: life}
	l.carry(far, server, false)
	l.carry(server, far, true)
	return near, nil
}

// A link is one connection. What the client sent before it closed still
// arrives, however late.
type link struct {
	n    *node
	life int // of the store when it was made: it does not outlive a failover
}

type chunk struct {
	data []byte
	at   time.Time
}

// carry reads at once whatever is sent, so that nobody waits for a slow
// network while it holds a lock, and delivers it in order when its time has come.
func (l *link) carry(from, to net.Conn, reply bool) {
	sent := make(chan chunk, 4096)
	l.n.w.wg.Go(func() {
		defer close(sent)
		buf := make([]byte, 64<<10)
		for {
			c, err := from.Read(buf)
			if err != nil {
				return
			}
			sent <- chunk{append([]byte(nil), buf[:c]...), time.Now().Add(l.n.delay())}
		}
	})
	l.n.w.wg.Go(func() {
		lost := false
		for c := range sent {
			l.n.travel(c.at)
			// A lost answer: the client waits until its timeout, and closes.
			if !lost && reply && l.n.one("drops", 150) {
				l.n.w.check.faulted("lost-reply", l.n.name)
				lost = true
			}
			if lost {
				continue
			}
			if !l.passable() {
				break
			}
			if _, err := to.Write(c.data); err != nil {
				break
			}
		}
		to.Close()
		from.Close()
		for range sent { // until the reader has seen it
		}
	})
}

// passable waits while the node is paused or cut off; no means that the connection is gone.
func (l *link) passable() bool {
	for {
		l.n.stand()
		if l.n.w.store.age() != l.life || l.n.isDead() {
			return false
		}
		if _, ok := l.n.reaches(); ok {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
}
