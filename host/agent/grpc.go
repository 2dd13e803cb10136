package agent

import (
	"encoding/binary"
	"io"
	"net/http"
	"sync"
	"time"
)

// callWatch tells a gRPC stream from a unary call, which nothing in the head
// of a request does. A call is a stream once
//
//   - a second message begins, either way, or
//   - the answer's head comes while the request has not ended, or
//   - the request's first message is complete and the request has not ended for streamAfter, or
//   - the answer's first message is complete and the answer has not ended for streamAfter.
//
// None of these happens to a unary call whose peers behave; if one does, the
// call merely stops holding the object's queue a little early.
type callWatch struct {
	isStream func()

	mu      sync.Mutex
	once    bool
	timer   *time.Timer
	in, out messages
	inEnded bool
	stopped bool
}

const streamAfter = 250 * time.Millisecond

func newCallWatch(isStream func()) *callWatch { return &callWatch{isStream: isStream} }

// wrap puts the watch around both bodies.
func (c *callWatch) wrap(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	r2 := *r
	r2.Body = &watchedBody{ReadCloser: r.Body, c: c}
	return &watchedWriter{ResponseWriter: w, c: c}, &r2
}

func (c *callWatch) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// decide declares a stream, once. Needs mu; gives it up for the call.
func (c *callWatch) decide() {
	if c.once || c.stopped {
		return
	}
	c.once = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.isStream()
	c.mu.Lock()
}

func (c *callWatch) later() {
	if c.once || c.timer != nil {
		return
	}
	c.timer = time.AfterFunc(streamAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.inEnded || c.out.complete > 0 {
			c.decide()
		}
		c.timer = nil
	})
}

func (c *callWatch) received(p []byte, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.add(p)
	c.inEnded = c.inEnded || ended
	switch {
	case c.in.begun > 1:
		c.decide()
	case c.in.complete > 0 && !c.inEnded:
		c.later()
	}
}

func (c *callWatch) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inEnded {
		c.decide()
	}
}

func (c *callWatch) sent(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.add(p)
	switch {
	case c.out.begun > 1:
		c.decide()
	case c.out.complete > 0:
		c.later()
	}
}

// messages counts gRPC's length-prefixed messages in a byte stream.
type messages struct {
	begun, complete int
	prefix          [5]byte
	have            int
	left            uint32
}

func (m *messages) add(p []byte) {
	for len(p) > 0 {
		if m.left > 0 {
			n := min(uint32(len(p)), m.left) // a body read is far below 4 GiB
			m.left -= n
			p = p[n:]
			if m.left == 0 {
				m.complete++
			}
			continue
		}
		if m.have == 0 {
			m.begun++
		}
		n := copy(m.prefix[m.have:], p)
		m.have += n
		p = p[n:]
		if m.have == len(m.prefix) {
			m.have = 0
			if m.left = binary.BigEndian.Uint32(m.prefix[1:]); m.left == 0 {
				m.complete++
			}
		}
	}
}

type watchedBody struct {
	io.ReadCloser
	c *callWatch
}

// Read counts what passes.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.received(p[:n], err == io.EOF)
	return n, err
}

type watchedWriter struct {
	http.ResponseWriter
	c *callWatch
}

// WriteHeader sees the answer's head.
func (w *watchedWriter) WriteHeader(status int) {
	if status >= 200 {
		w.c.answered()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts what passes.
func (w *watchedWriter) Write(p []byte) (int, error) {
	w.c.sent(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
