package forward

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// body is what one attempt sends: it counts, and carries the request's
// trailers over once they are known.
type body struct {
	src      io.ReadCloser
	n        atomic.Int64
	began    atomic.Bool           // somebody has read
	whole    atomic.Bool           // src has ended
	broken   atomic.Pointer[error] // why src ended early
	in       *http.Request
	keep     func(string) bool
	trailers http.Header // of the outgoing request; filled at the end of src
}

func newBody(r *http.Request, a Attempt) *body {
	b := &body{src: a.Body, in: r, keep: a.RequestTrailer}
	if b.src == nil {
		b.src = r.Body
	}
	if b.src == nil {
		b.src = http.NoBody
	}
	return b
}

// Read reads and counts.
func (b *body) Read(p []byte) (int, error) {
	b.began.Store(true)
	n, err := b.src.Read(p)
	b.n.Add(int64(n))
	if err != nil && err != io.EOF {
		b.broken.CompareAndSwap(nil, &err)
	}
	if err == io.EOF {
		b.whole.Store(true)
		for name := range b.trailers {
			if v := b.in.Trailer[name]; v != nil {
				b.trailers[name] = v
			}
		}
	}
	return n, err
}

// Close ends the reading. A source of which nothing was read stays open: a
// transport closes what it is given, and the request may go out on another connection.
func (b *body) Close() error {
	if b.began.Load() {
		b.end()
	}
	return nil
}

// end closes the source for good, where that cannot block: the body of an
// HTTP/1 request cannot be closed while somebody reads it and the client sends
// nothing. The server ends such a read when its handler has returned.
func (b *body) end() {
	if b.src != b.in.Body || b.in.ProtoMajor == 2 {
		_ = b.src.Close() // only ends reads
	}
}

// blame says that the client's own body broke off, where it did.
func (b *body) blame(err error) error {
	if why := b.broken.Load(); why != nil {
		return fmt.Errorf("%w: its body: %w", ErrClient, *why)
	}
	return err
}

func (b *body) sent() int64 { return b.n.Load() }

// announce gives the trailers that may follow, without values yet.
func (b *body) announce() http.Header {
	for name := range b.in.Trailer {
		if b.keep != nil && !b.keep(name) {
			continue
		}
		if b.trailers == nil {
			b.trailers = http.Header{}
		}
		b.trailers[name] = nil
	}
	return b.trailers
}
