package host

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// A host that has drained must close connections that gateways keep. HTTP/1
// has no way to say which requests a closed connection had taken: one that a gateway
// wrote at that instant would have an unknown outcome, and fail. So each idle
// connection is told before it is closed: a 408, which is what HTTP has for
// closing an idle connection (RFC 9110 §15.5.9), with a gate's refusal on it.
// From that moment on nothing that arrives on it is looked at. A gateway that has no
// request on it throws the connection away; one that has just written a
// request reads the refusal as its answer, and it is true: nothing has run.
//
// HTTP/2 has GOAWAY for this, and Shutdown sends it, but closes idle
// connections beside that. It waits for Serve to return first, hence for
// Accept: that gives the GOAWAYs the time they need.
type farewell struct {
	mu    sync.Mutex
	conns map[*keptConn]connState
}

// connState is what net/http says of a connection.
type connState struct {
	as    net.Conn // what net/http writes to
	rests bool     // it is new or idle
}

func newFarewell() *farewell { return &farewell{conns: map[*keptConn]connState{}} }

// keptConn is a connection that can be told. Peers do not pipeline: gateways
// and Envoy send a request when the answer before it has come.
type keptConn struct {
	net.Conn
	mu    sync.Mutex
	quiet bool // nothing has come since we last wrote, or at all
	begun bool // something has come
	h2    bool // it is HTTP/2 without TLS
	told  bool // nothing that comes is looked at
	shook bool // TLS is settled, or not wanted
	ended chan struct{}
	once  sync.Once
}

// Read gives what comes, until the peer was told.
func (c *keptConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	told := c.told
	if n > 0 && !told {
		c.quiet = false
		if !c.begun {
			c.begun, c.h2 = true, p[0] == 'P' && n > 1 && p[1] == 'R' // "PRI * HTTP/2.0"; no method begins so
		}
	}
	c.mu.Unlock()
	if !told {
		return n, err
	}
	if err == nil { // what is not read would reset the connection, and take our word with it
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	c.end()
	return 0, io.EOF
}

// Write sends.
func (c *keptConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.quiet = true
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// CloseWrite is for protocols that close one direction.
func (c *keptConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Close closes. A peer whose certificate was refused has sent its request
// already (TLS 1.3): what is unread would reset the connection, and the
// reset may overtake the alert that says why.
func (c *keptConn) Close() error {
	c.mu.Lock()
	refused := c.begun && !c.shook
	c.mu.Unlock()
	if refused && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(closeGrace)) // a closed connection is as good
		_, _ = io.Copy(io.Discard, c.Conn)
	}
	c.end()
	return c.Conn.Close()
}

func (c *keptConn) end() { c.once.Do(func() { close(c.ended) }) }

// keptListener makes keptConns.
type keptListener struct {
	net.Listener
	f *farewell
}

// Accept wraps what comes. Once the listener is closed it fails when HTTP/2's
// peers have left, or have had the time to.
func (l keptListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		l.f.awaitHTTP2()
		return nil, err
	}
	return &keptConn{Conn: c, quiet: true, ended: make(chan struct{})}, nil
}

// kept finds the keptConn below what net/http has.
func kept(c net.Conn) (k *keptConn, secure bool) {
	if t, ok := c.(*tls.Conn); ok {
		c, secure = t.NetConn(), true
	}
	if f, ok := c.(*firstByte); ok {
		c = f.Conn
	}
	k, _ = c.(*keptConn)
	return k, secure
}

// state follows the connections of a server.
func (f *farewell) state(c net.Conn, s http.ConnState) {
	k, secure := kept(c)
	if k == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == http.StateClosed || s == http.StateHijacked {
		delete(f.conns, k)
		return
	}
	if s != http.StateNew || !secure {
		k.mu.Lock()
		k.shook = true
		k.mu.Unlock()
	}
	f.conns[k] = connState{as: c, rests: s == http.StateIdle || s == http.StateNew && !secure} // before the handshake's end nothing can be written
}

// say tells every idle connection that nothing will be done on it any more,
// and waits a moment for peers to close theirs.
func (f *farewell) say() {
	f.mu.Lock()
	conns := maps.Clone(f.conns)
	f.mu.Unlock()
	var wg sync.WaitGroup
	for k, c := range conns {
		if c.rests && k.tell(c.as) {
			wg.Go(func() { k.bye(c.as) })
		}
	}
	wg.Wait()
}

// awaitHTTP2 waits a moment for HTTP/2 connections to end.
func (f *farewell) awaitHTTP2() {
	f.mu.Lock()
	conns := maps.Clone(f.conns)
	f.mu.Unlock()
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	for k, c := range conns {
		if !k.isHTTP2(c.as) {
			continue
		}
		select {
		case <-k.ended:
		case <-t.C:
			return
		}
	}
}

func (c *keptConn) isHTTP2(as net.Conn) bool {
	if t, ok := as.(*tls.Conn); ok {
		return t.ConnectionState().NegotiatedProtocol == "h2"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.h2
}

// tell says whether the peer shall be told; from then on nothing that comes is looked at.
func (c *keptConn) tell(as net.Conn) bool {
	if c.isHTTP2(as) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.quiet || c.told {
		return false
	}
	c.told = true
	return true
}

// bye writes our word and waits for the peer's end.
func (c *keptConn) bye(as net.Conn) {
	_ = c.Conn.SetDeadline(time.Now().Add(closeGrace)) // a closed connection is as good
	_, err := fmt.Fprintf(as, "HTTP/1.1 %d %s\r\n%s: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		http.StatusRequestTimeout, http.StatusText(http.StatusRequestTimeout), wire.HeaderRefusal, wire.Refusal{Reason: wire.ReasonSession})
	if w, ok := as.(interface{ CloseWrite() error }); ok && err == nil {
		_ = w.CloseWrite()
	}
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-c.ended:
	case <-t.C:
	}
}
