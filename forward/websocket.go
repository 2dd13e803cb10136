package forward

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// statusRestart is the WebSocket close code "service restart": come again.
const statusRestart = 1012

// errCut says that we, not a peer, end the socket.
var errCut = errors.New("socket is cut")

// socket joins the two ends of a WebSocket frame by frame, so that it can be
// ended between two frames with a close frame of ours (RFC 6455). Payloads are
// not looked at: masks and extensions pass through. A client whose upstream
// dies is told "service restart" as well, where TCP alone would say nothing of coming again.
type socket struct {
	client, up *end
	message    func() error // before each message of the client; may be nil

	closing atomic.Bool // a close frame went through, either way

	mu  sync.Mutex
	err error // why it was cut
}

// run copies until both directions have ended. The error is why the socket was
// cut, nil when a peer ended it.
func (s *socket) run(ctx context.Context) (sent, received int64, err error) {
	stop := context.AfterFunc(ctx, func() { s.cut(context.Cause(ctx)) })
	defer stop()
	done := make(chan int64)
	go func() { done <- s.copy(s.up, s.client, true) }()
	received = s.copy(s.client, s.up, false)
	sent = <-done
	s.mu.Lock()
	defer s.mu.Unlock()
	return sent, received, s.err
}

// cut makes both directions stop at their next read.
func (s *socket) cut(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = fmt.Errorf("%w: %w", errCut, why)
	past := time.Unix(1, 0)
	_ = s.client.conn.SetReadDeadline(past)
	_ = s.up.conn.SetReadDeadline(past)
}

// copy moves frames from src to dst until one of them ends, then sees dst off.
func (s *socket) copy(dst, src *end, fromClient bool) int64 {
	c := frameCopier{r: src.r, w: bufio.NewWriterSize(dst.conn, 4<<10), closing: &s.closing}
	if fromClient {
		c.message = s.message
	}
	err := c.run()
	if c.gateErr != nil {
		s.cut(c.gateErr)
	}
	_ = dst.conn.SetWriteDeadline(time.Now().Add(closeGrace))
	var ne net.Error
	cut := c.gateErr != nil || (errors.As(err, &ne) && ne.Timeout())
	// An upstream that is gone without a word has died: the client is told to come again, as if it had said so.
	lost := !fromClient && !s.closing.Load()
	if (cut || lost) && c.between {
		_, _ = c.w.Write(closeFrame(statusRestart, fromClient)) // a peer that is gone needs no goodbye
	}
	_ = c.w.Flush()
	dst.closeWrite()
	// The other direction may carry the answer to a close frame, for a moment.
	_ = dst.conn.SetReadDeadline(time.Now().Add(closeGrace))
	if cut {
		_ = dst.conn.SetReadDeadline(time.Unix(1, 0))
	}
	return c.n
}

// closeFrame makes a close frame; a client's must be masked.
func closeFrame(code uint16, masked bool) []byte {
	if !masked {
		return binary.BigEndian.AppendUint16([]byte{0x88, 2}, code)
	}
	return binary.BigEndian.AppendUint16([]byte{0x88, 0x80 | 2, 0, 0, 0, 0}, code) // a mask of zeros changes nothing
}

// frameCopier copies frames one at a time.
type frameCopier struct {
	r       *bufio.Reader
	w       *bufio.Writer
	message func() error
	closing *atomic.Bool // a close frame went through, either way

	n       int64
	between bool  // w ends at the end of a frame
	gateErr error // what message said
}

func (c *frameCopier) run() error {
	for {
		c.between = true
		head, size, err := c.readHead()
		if err != nil {
			return err
		}
		if opcode := head[0] & 0x0f; c.message != nil && (opcode == 1 || opcode == 2) {
			if c.gateErr = c.message(); c.gateErr != nil {
				return c.gateErr
			}
		}
		c.between = false
		if head[0]&0x0f == 8 {
			c.closing.Store(true)
		}
		if _, err := c.w.Write(head); err != nil {
			return err
		}
		c.n += int64(len(head))
		if err := c.payload(size); err != nil {
			return err
		}
		if c.r.Buffered() == 0 {
			if err := c.w.Flush(); err != nil {
				return err
			}
		}
	}
}

// readHead reads a frame's head: two bytes, the longer length, the mask's key.
func (c *frameCopier) readHead() (head []byte, size uint64, err error) {
	var buf [14]byte
	if _, err := io.ReadFull(c.r, buf[:2]); err != nil {
		return nil, 0, err
	}
	n := 2
	size = uint64(buf[1] & 0x7f)
	ext := 0
	switch size {
	case 126:
		ext = 2
	case 127:
		ext = 8
	}
	more := ext
	if buf[1]&0x80 != 0 {
		more += 4
	}
	if _, err := io.ReadFull(c.r, buf[n:n+more]); err != nil {
		return nil, 0, err
	}
	switch ext {
	case 2:
		size = uint64(binary.BigEndian.Uint16(buf[2:]))
	case 8:
		size = binary.BigEndian.Uint64(buf[2:])
	}
	return buf[:n+more], size, nil
}

func (c *frameCopier) payload(size uint64) error {
	for size > 0 {
		if c.r.Buffered() == 0 {
			if err := c.w.Flush(); err != nil { // a long frame must not wait for its end
				return err
			}
			if _, err := c.r.Peek(1); err != nil {
				return err
			}
		}
		part, err := c.r.Peek(int(min(size, uint64(c.r.Buffered()))))
		if err != nil {
			return err
		}
		n, err := c.w.Write(part)
		c.n += int64(n)
		if err != nil {
			return err
		}
		_, _ = c.r.Discard(n) // n bytes were peeked
		size -= uint64(n)
	}
	return nil
}
