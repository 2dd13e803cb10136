package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// replayMax is how much of one request's body is kept to be sent again. A gate
// refuses before it reads the body, so what was sent until then is little; a
// longer body waits for the gate's word (Expect: 100-continue).
const replayMax = 256 << 10

// expectAbove is the length from which a body waits for the gate's word. It is
// half of what a Go server reads of a body that its handler left: below it a
// refusal is read in peace, above it the connection may break under our write first.
const expectAbove = 128 << 10

// fillSize is what one read of an HTTP/2 body may take: one frame.
const fillSize = 16 << 10

var fillBuffers = sync.Pool{New: func() any { return new([fillSize]byte) }}

var errReplay = errors.New("request body can no longer be sent")

// replay gives one attempt after another the same body, from a bounded buffer.
//
//	until an attempt's answer is accepted   what is read is kept, up to replayMax and the class's heldBytes
//	beyond that                             the body can no longer be sent again; this attempt goes on
//	after the answer                        nothing is kept
//
// An attempt's Close ends its Read at once, also while the client sends
// nothing: an HTTP/2 transport waits for that before it gives up a stream, and
// a client may wait in turn for the stream's answer. What the client sends
// meanwhile belongs to the next attempt.
type replay struct {
	src   io.ReadCloser
	apart bool          // read src in a goroutine of its own, so that Close need not wait for the client
	stop  func()        // makes a read of src end
	bytes *atomic.Int64 // of the class
	most  int64         // bound of bytes

	mu      sync.Mutex
	cond    sync.Cond
	buf     []byte // the body from base on, as far as it was read
	base    int
	held    int   // what of buf is counted in bytes
	err     error // src's last
	reading bool  // somebody is inside src.Read
	keep    bool  // another attempt may follow
	current *attemptBody
}

// newReplay is nil for a request without a body.
func newReplay(w http.ResponseWriter, r *http.Request, bytes *atomic.Int64, most int64) *replay {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	p := &replay{src: r.Body, apart: r.ProtoMajor == 2, bytes: bytes, most: most, keep: true}
	p.cond.L = &p.mu
	p.stop = func() { _ = p.src.Close() } // HTTP/2: only ends reads
	if !p.apart && w != nil {
		// Closing an HTTP/1 body waits for the client; its connection is of no more use.
		p.stop = func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) }
	}
	return p
}

// attempt gives the body from its beginning; the attempt before it gets no more.
func (p *replay) attempt() (io.ReadCloser, error) {
	if p == nil {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base > 0 {
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
	p.trim()
}

// close gives the buffer back, and ends what still reads the client.
func (p *replay) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current, p.keep = nil, false
	p.trim()
	p.cond.Broadcast()
	if !p.reading {
		return
	}
	p.mu.Unlock()
	p.stop()
	p.mu.Lock()
	for p.reading {
		p.cond.Wait()
	}
}

// add takes what was read; needs mu.
func (p *replay) add(b []byte) {
	p.buf = append(p.buf, b...)
	if p.keep {
		p.held += len(b)
		if total := p.bytes.Add(int64(len(b))); total > p.most || p.base+len(p.buf) > replayMax {
			p.keep = false
		}
	}
}

// trim drops what no attempt needs any more; needs mu.
func (p *replay) trim() {
	if p.keep {
		return
	}
	used := len(p.buf)
	if p.current != nil {
		used = p.current.off - p.base
	}
	p.base += used
	if p.buf = p.buf[used:]; len(p.buf) == 0 {
		p.buf = nil
		p.bytes.Add(-int64(p.held))
		p.held = 0
	}
}

// attemptBody is the body as one attempt reads it.
type attemptBody struct {
	p   *replay
	off int // in the body
}

// Read reads what was kept first, then on from the client.
func (b *attemptBody) Read(to []byte) (int, error) {
	p := b.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.current != b || b.off < p.base:
			return 0, errReplay
		case b.off < p.base+len(p.buf):
			n := copy(to, p.buf[b.off-p.base:])
			b.off += n
			p.trim()
			return n, nil
		case p.err != nil:
			return 0, p.err
		case !p.reading && !p.apart:
			return b.direct(to)
		case !p.reading:
			p.reading = true
			go p.fill()
		}
		p.cond.Wait() // for fill, or for an earlier attempt that is still inside src.Read
	}
}

// direct reads from the client into to; needs mu, which it gives up meanwhile.
func (b *attemptBody) direct(to []byte) (int, error) {
	p := b.p
	p.reading = true
	p.mu.Unlock()
	n, err := p.src.Read(to)
	p.mu.Lock()
	p.reading, p.err = false, err
	b.off += n
	if p.keep || p.current != b { // otherwise nobody will read it again
		p.add(to[:n])
	} else {
		p.base += n
	}
	p.trim()
	p.cond.Broadcast()
	return n, err
}

// fill reads once from the client into the buffer.
func (p *replay) fill() {
	to := fillBuffers.Get().(*[fillSize]byte)
	defer fillBuffers.Put(to)
	n, err := p.src.Read(to[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(to[:n])
	p.reading, p.err = false, err
	p.cond.Broadcast()
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
