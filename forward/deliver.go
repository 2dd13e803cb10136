package forward

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// copyBufferSize is what one read of a body may take.
const copyBufferSize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// drainLimit is how much of a withheld answer is read to keep its connection.
const drainLimit = 16 << 10

// deliver brings a response to the client: head, body, trailers. early says
// that an HTTP/1 request has not been read to its end: then both go on side by
// side, and the connection ends with this answer. Go's server cannot find the
// next request behind a body that it shares with us.
func (f *Forwarder) deliver(w http.ResponseWriter, res *http.Response, a Attempt, early bool) Result {
	announced := make([]string, 0, len(res.Trailer))
	for name := range res.Trailer {
		announced = append(announced, name)
	}
	RemoveHopByHop(res.Header)
	if a.Answer != nil && !a.Answer(res.StatusCode, res.Header) {
		if res.ContentLength > 0 && res.ContentLength <= drainLimit {
			_, _ = io.CopyN(io.Discard, res.Body, drainLimit) // only saves a connection
		}
		return Result{Stage: Withheld, Status: res.StatusCode}
	}
	h := w.Header()
	copyHeader(h, res.Header)
	for _, name := range announced {
		h.Add("Trailer", name)
	}
	if early {
		_ = http.NewResponseController(w).EnableFullDuplex() // not every writer can; then it is half-duplex
		h.Set("Connection", "close")
	}
	w.WriteHeader(res.StatusCode)
	result := Result{Stage: Delivered, Status: res.StatusCode}
	if res.Body == http.NoBody && len(announced) == 0 {
		// The head was the whole answer, so it must leave as the whole answer: a
		// gRPC trailers-only response is a head with the end of the stream on it.
		return result
	}
	result.Received, result.Err = copyBody(w, res)
	if result.Err != nil {
		return result
	}
	sendTrailers(w, res.Trailer, announced, a.Trailer)
	return result
}

// copyBody writes and flushes whatever it reads, at once.
func copyBody(w http.ResponseWriter, res *http.Response) (n int64, err error) {
	flush := http.NewResponseController(w).Flush
	if res.ContentLength < 0 {
		if err := flush(); err != nil { // a stream's head may long be all there is
			return 0, fmt.Errorf("%w: %w", ErrClient, err)
		}
	}
	buf := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(buf)
	for {
		got, rerr := res.Body.Read(buf[:])
		if got > 0 {
			put, werr := w.Write(buf[:got])
			n += int64(put)
			if werr == nil && n != res.ContentLength {
				werr = flush()
			}
			if werr != nil {
				return n, fmt.Errorf("%w: %w", ErrClient, werr)
			}
		}
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, fmt.Errorf("%w: %w", ErrUpstream, rerr)
		}
	}
}

// sendTrailers sets what the server writes when the handler returns.
func sendTrailers(w http.ResponseWriter, trailer http.Header, announced []string, change func(http.Header)) {
	if len(trailer) == 0 {
		return
	}
	if change != nil {
		change(trailer)
	}
	known := make(map[string]bool, len(announced))
	for _, name := range announced {
		known[name] = true
	}
	h := w.Header()
	for name, values := range trailer {
		if !known[name] {
			name = http.TrailerPrefix + name
		}
		h[name] = append([]string(nil), values...)
	}
}
