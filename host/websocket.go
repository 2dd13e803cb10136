package host

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
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

	mu     sync.Mutex // serialises writes
	out    frames
	head   int  // bytes of the blank line that are still missing from a 101 that the library writes itself
	goAway bool // a close frame is due, or sent
	sent   bool
}

// attachSocket binds a hijacked connection to its event.
func attachSocket(e *event, conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter, error) {
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := &socket{Conn: conn, e: e, read: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)}
	if !strings.EqualFold(e.upgrade, "websocket") {
		c.in.opaque, c.out.opaque = true, true
	}
	if !e.answered {
		c.head = len(blankLine)
	}
	e.attach(func() { e.s.goCall(c.closeAway) })
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// Read delivers bytes up to a message that the gate does not let in.
func (c *socket) Read(p []byte) (int, error) {
	n, err := c.read.Read(p)
	for from := 0; from < n; {
		at, begins := c.in.next(p[from:n])
		if begins {
			if gateErr := c.e.message(); gateErr != nil {
				c.e.s.mu.Lock()
				c.e.s.goCall(c.closeAway)
				c.e.s.mu.Unlock()
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
	if !c.goAway && c.out.boundary() && c.e.standing(c.e.ctx) != nil {
		c.goAway = true
	}
	if !c.goAway {
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

// closeAway tells the peer that the object has left and ends the connection.
func (c *socket) closeAway() {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(writeGrace)) // a closed connection is as good
	c.mu.Lock()
	c.goAway = true
	if !c.sent && c.out.boundary() {
		c.sendClose()
	}
	c.mu.Unlock()
	_ = c.Conn.SetReadDeadline(time.Now().Add(closeGrace))
	time.Sleep(closeGrace)
	c.Close()
}

// Close ends the connection and the event.
func (c *socket) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.e.end)
	return err
}

// CloseWrite is for protocols that close one direction.
func (c *socket) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
