package testenv

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy whose link a test can spoil.
type Proxy struct {
	Addr string

	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond     // stalled or closed
	links   map[*link]bool // connections that stand
	delay   time.Duration  // of each piece of data
	most    [2]int         // by direction: bytes that pass before it stalls; 0 means any number
	stalled [2]bool        // by direction: data waits, as behind a partition that heals in time
	waiting [2]int         // by direction: bytes that do
	closed  bool
	cut     bool
	mute    bool // what the server says is swallowed
}

// Direction is one of the two ways of a link.
type Direction int

// Directions.
const (
	Requests Direction = iota // to the server
	Replies                   // from it
)

// link is a connection of a client and its connection to the server.
type link struct {
	client, server net.Conn
	gap            bool // a part was swallowed: what follows would make no sense
	lost           bool // nobody at one end hears of the other one any more
}

func (l *link) close() { l.client.Close(); l.server.Close() }

// NewProxy listens on a free port and forwards to target.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, l: l, links: map[*link]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Cut ends every connection and lets none through until it is called with false.
func (p *Proxy) Cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for l := range p.links {
			l.close()
		}
		p.changed.Broadcast()
	}
}

// Delay holds back whatever passes from now on, in both directions.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Stall keeps data of one direction, and delivers it late when it is called
// with false: a TCP connection over a partition that heals. Who has given up
// meanwhile has closed its end, and what it sent arrives all the same.
func (p *Proxy) Stall(d Direction, stalled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled[d] = stalled
	p.changed.Broadcast()
}

// Waiting says how many bytes are kept by a stall; up to 32 KiB of each connection, the rest waits before the proxy.
func (p *Proxy) Waiting(d Direction) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting[d]
}

// StallAfter lets about n bytes of one direction pass, then stalls it: whoever
// sends more has stopped in the middle of it. 0 takes that back; what it has stalled stays so.
func (p *Proxy) StallAfter(d Direction, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most[d] = n
}

// Mute swallows replies: requests still reach the server. Connections that
// lost something are closed when it ends.
func (p *Proxy) Mute(mute bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute
	for l := range p.links {
		if !mute && l.gap && !l.lost {
			l.close()
		}
	}
}

// Lose loses the connections that stand, for good and without a word, as a firewall does that
// has forgotten them: nothing passes, and neither end hears of the other one's. New ones are well.
func (p *Proxy) Lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.lost = true
	}
}

// EndLost tells both ends of lost connections that they are over.
func (p *Proxy) EndLost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if l.lost {
			l.lost = false // what is read from now on is an end
			l.close()
		}
	}
	p.changed.Broadcast()
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	l := &link{client: client, server: server}
	defer l.close()
	if !p.add(l) {
		return
	}
	defer p.remove(l)
	done := make(chan struct{})
	go func() { defer close(done); p.copy(l, client, server, Replies); client.Close() }()
	p.copy(l, server, client, Requests)
	server.Close()
	<-done
}

func (p *Proxy) copy(l *link, dst, src net.Conn, d Direction) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && p.pass(l, d, n) {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			p.awaitEnd(l)
			return
		}
	}
}

// awaitEnd keeps the end of one end of a lost link from the other one.
func (p *Proxy) awaitEnd(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l.lost && !p.cut && !p.closed {
		p.changed.Wait()
	}
}

// pass waits as the link demands, and says whether n bytes of data go on at all.
func (p *Proxy) pass(l *link, d Direction, n int) bool {
	p.mu.Lock()
	p.waiting[d] += n
	for p.stalled[d] && !p.cut && !p.closed {
		p.changed.Wait()
	}
	p.waiting[d] -= n
	if most := p.most[d]; most > 0 {
		p.most[d] = max(0, most-n)
		p.stalled[d] = p.most[d] == 0 // for what comes next
	}
	delay, swallow := p.delay, l.lost || p.mute && d == Replies
	l.gap = l.gap || swallow
	p.mu.Unlock()
	if swallow {
		return false
	}
	time.Sleep(delay)
	return true
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed {
		return false
	}
	p.links[l] = true
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) close() {
	p.l.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut(true)
	p.wg.Wait()
}
