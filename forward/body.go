package forward

import (
	"io"
	"net/http"
	"sync/atomic"
)

// body is what one attempt sends: it counts, and carries the request's
// trailers over once they are known.
type body struct {
	src      io.ReadCloser
	n        atomic.Int64
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
	n, err := b.src.Read(p)
	b.n.Add(int64(n))
	if err == io.EOF { //nolint:errorlint // the bare value is the contract of io.Reader
		for name := range b.trailers {
			if v := b.in.Trailer[name]; v != nil {
				b.trailers[name] = v
			}
		}
	}
	return n, err
}

// Close closes the source.
func (b *body) Close() error { return b.src.Close() }

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
