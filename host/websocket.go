package host

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// AcceptWebSocket answers an upgrade with 101 and gives the connection, bound
// to the activation that the running event belongs to. Each inbound message
// passes the gate; when the object is released, drained, or its host's lease passes, the
// peer gets a close frame with status 1012 (service restart) and the handler's context ends.
//
// It is websocket.Accept: a host may as well use any other library, because
// the binding is in the connection that Hijack gives.
func AcceptWebSocket(w http.ResponseWriter, r *http.Request, o *websocket.AcceptOptions) (*websocket.Conn, error) {
	return websocket.Accept(w, r, o)
}

const (
	closeGrace   = 500 * time.Millisecond // for the peer's answer to a close frame
	writeGrace   = 2 * time.Second        // for a write under way when a socket is closed
	serviceRenew = 1012                   // RFC 6455 §7.4, IANA registry: service restart
	blankLine    = "\r\n\r\n"
)

// socket is an upgraded connection of an attached event. Reads pass the gate
// at the start of each message; writes at the start of each frame.
type socket struct {
	net.Conn
	e    *event
	read io.Reader // what the server had buffered, then Conn
	in   frames
	once sync.Once
	left chan struct{} // closed when the handler has closed it

	mu   sync.Mutex // serialises writes
	out  frames
	head int  // bytes of the blank line that are still missing from a 101 that the library writes itself
	sent bool // the close frame

	goAway atomic.Bool // a close frame is due, or sent
}

// attachSocket binds a hijacked connection to its event.
func attachSocket(e *event, conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter, error) {
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := &socket{Conn: conn, e: e, left: make(chan struct{}), read: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)}
	if !strings.EqualFold(e.upgrade, "websocket") {
		c.in.opaque, c.out.opaque = true, true
	}
	if !e.answered {
		c.head = len(blankLine)
	}
	e.attach(c.goAwayFor)
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// Read delivers bytes up to a message that the gate does not let in.
func (c *socket) Read(p []byte) (int, error) {
	n, err := c.read.Read(p)
	for from := 0; from < n; {
		at, begins := c.in.next(p[from:n])
		if begins {
			if gateErr := c.e.message(); gateErr != nil {
				c.goAwayFor(gateErr)
				return from, gateErr
			}
		}
		from += at
	}
	return n, err
}

// Write sends whole frames until the socket is going away, then the rest of
// the frame under way and the close frame.
func (c *socket) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.skipHead(p)
	if n > 0 {
		if m, err := c.Conn.Write(p[:n]); err != nil || n == len(p) {
			return m, err
		}
	}
	m, err := c.frames(p[n:])
	return n + m, err
}

// skipHead takes what still belongs to the head of a 101.
func (c *socket) skipHead(p []byte) int {
	n := 0
	for ; n < len(p) && c.head > 0; n++ {
		switch p[n] {
		case blankLine[len(blankLine)-c.head]:
			c.head--
		case blankLine[0]:
			c.head = len(blankLine) - 1
		default:
			c.head = len(blankLine)
		}
	}
	return n
}

func (c *socket) frames(p []byte) (int, error) {
	if c.sent || c.out.closed && c.out.boundary() {
		return 0, net.ErrClosed
	}
	if !c.goAway.Load() && c.out.boundary() {
		if err := c.e.standing(&c.e.ctx); err != nil {
			c.goAwayFor(err)
		}
	}
	if !c.goAway.Load() {
		c.out.skip(p)
		return c.Conn.Write(p)
	}
	n := 0
	if !c.out.boundary() {
		n = c.out.rest(p)
		if _, err := c.Conn.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if c.out.boundary() {
		c.sendClose()
	}
	if n < len(p) {
		return n, net.ErrClosed
	}
	return n, nil
}

// sendClose writes the close frame. Needs mu.
func (c *socket) sendClose() {
	c.sent = true
	if c.out.opaque || c.out.closed || c.head > 0 {
		return
	}
	reason := "object moved"
	frame := append([]byte{0x88, byte(2 + len(reason)), serviceRenew >> 8, serviceRenew & 0xff}, reason...)
	_, _ = c.Conn.Write(frame) // the peer is gone
}

// goAwayFor begins to end the socket. From here on closing it is closeAway's business.
func (c *socket) goAwayFor(why error) {
	if !c.goAway.Swap(true) {
		c.e.s.goCall(func() { c.closeAway(why) })
	}
}

// closeAway tells the peer that the object has left, then ends the handler's
// context, then the connection: the other way round the handler would close it first.
func (c *socket) closeAway(why error) {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(writeGrace)) // a closed connection is as good
	c.mu.Lock()
	if !c.sent && c.out.boundary() {
		c.sendClose()
	}
	c.mu.Unlock()
	c.e.ctx.cancel(why)
	_ = c.Conn.SetReadDeadline(time.Now().Add(closeGrace))
	select {
	case <-c.left:
		c.linger()
	case <-time.After(2 * closeGrace):
	}
	_ = c.Conn.Close()
	c.once.Do(c.end)
}

// linger reads what the peer sent before it saw our close frame: a connection
// that is closed with unread data is reset, and takes the frame with it.
func (c *socket) linger() {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(closeGrace))
		_, _ = io.Copy(io.Discard, c.Conn)
	}
}

func (c *socket) end() {
	close(c.left)
	c.e.end()
}

// Close ends the event, and the connection unless closeAway is about to.
func (c *socket) Close() error {
	c.once.Do(c.end)
	if c.goAway.Load() {
		return nil
	}
	return c.Conn.Close()
}

// CloseWrite is for protocols that close one direction.
func (c *socket) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
