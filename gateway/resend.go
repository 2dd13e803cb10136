package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// replayMax is how much of one request's body is kept to be sent again. A gate
// refuses before it reads the body, so what was sent until then is little; a
// longer body waits for the gate's word (Expect: 100-continue).
const replayMax = 256 << 10

// expectAbove is the length from which a body waits for the gate's word. It is
// what a Go server reads of a body that its handler left: below it a refusal is
// read in peace, above it the connection may break under our write first.
const expectAbove = 128 << 10

var errReplay = errors.New("request body can no longer be sent")

// replay gives one attempt after another the same body, from a bounded buffer.
//
//	until an attempt's answer is accepted   what is read is kept, up to replayMax and the class's heldBytes
//	beyond that                             the body can no longer be sent again; this attempt goes on
//	after the answer                        nothing is kept
type replay struct {
	src   io.ReadCloser
	bytes *atomic.Int64 // of the class
	most  int64         // bound of bytes

	mu      sync.Mutex
	cond    sync.Cond
	buf     []byte
	pos     int   // bytes read from src
	err     error // src's last
	reading bool  // some attempt is inside src.Read
	lost    bool  // buf does not begin at the body's beginning any more
	keep    bool
	current *attemptBody
}

// newReplay is nil for a request without a body.
func newReplay(r *http.Request, bytes *atomic.Int64, most int64) *replay {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	p := &replay{src: r.Body, bytes: bytes, most: most, keep: true}
	p.cond.L = &p.mu
	return p
}

// attempt gives the body from its beginning; the attempt before it gets no more.
func (p *replay) attempt() (io.ReadCloser, error) {
	if p == nil {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		return nil, errReplay
	}
	p.current = &attemptBody{p: p}
	p.cond.Broadcast()
	return p.current, nil
}

// accepted says that no further attempt will follow.
func (p *replay) accepted() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = false
	if p.current != nil && p.current.off == len(p.buf) {
		p.forget()
	}
}

// close gives the buffer back.
func (p *replay) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = nil
	p.keep = false
	p.forget()
	p.cond.Broadcast()
}

// forget drops what is kept; needs mu.
func (p *replay) forget() {
	p.bytes.Add(-int64(len(p.buf)))
	p.buf, p.lost = nil, true
}

// store keeps what was read, if it may; needs mu.
func (p *replay) store(b []byte) {
	if p.lost || !p.keep {
		p.lost = true
		return
	}
	n := int64(len(b))
	if len(p.buf)+len(b) > replayMax || p.bytes.Add(n) > p.most {
		if len(p.buf)+len(b) <= replayMax {
			p.bytes.Add(-n)
		}
		p.forget()
		return
	}
	p.buf = append(p.buf, b...)
}

// attemptBody is the body as one attempt reads it.
type attemptBody struct {
	p   *replay
	off int
}

// Read reads what was kept first, then on from the client.
func (b *attemptBody) Read(to []byte) (int, error) {
	p := b.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.current != b:
			return 0, errReplay
		case b.off < len(p.buf):
			n := copy(to, p.buf[b.off:])
			b.off += n
			if b.off == len(p.buf) && !p.keep {
				p.forget()
			}
			return n, nil
		case b.off != p.pos:
			return 0, errReplay
		case p.err != nil:
			return 0, p.err
		case !p.reading:
			return b.read(to)
		}
		p.cond.Wait() // an earlier attempt is still inside src.Read: what it gets goes to the buffer
	}
}

// read reads from the client; needs mu, which it gives up meanwhile.
func (b *attemptBody) read(to []byte) (int, error) {
	p := b.p
	p.reading = true
	p.mu.Unlock()
	n, err := p.src.Read(to)
	p.mu.Lock()
	p.reading = false
	p.store(to[:n])
	p.pos += n
	p.err = err
	b.off += n
	p.cond.Broadcast()
	return n, err
}

// Close ends this attempt's reading; the client's body stays open for the next.
func (b *attemptBody) Close() error {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	if b.p.current == b {
		b.p.current = nil
		b.p.cond.Broadcast()
	}
	return nil
}
