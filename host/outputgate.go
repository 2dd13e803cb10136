package host

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/wire"
)

// heldBytes is how much of an answer is kept back until its handler has ended.
const heldBytes = 32 << 10

var heldBuffers = sync.Pool{New: func() any { b := make([]byte, 0, heldBytes); return &b }}

// errWithheld is what a handler gets that writes on after its answer was withheld.
var errWithheld = errors.New("answer withheld: stale instance")

// outputGate is the ResponseWriter of an event. It holds the answer until the
// handler ends, flushes, or has written heldBytes; then, and before each write that follows,
// it asks whether the event still stands:
//
//	first byte left  event stands  what happens
//	no               yes           the answer leaves
//	no               no            stale_instance (409, ABORTED) leaves in its place
//	yes              yes           the write leaves
//	yes              no            the stream is reset
type outputGate struct {
	e      *event
	w      http.ResponseWriter
	r      *http.Request
	status int
	held   *[]byte

	committed bool // the head has left
	withheld  bool // nothing more leaves
	reset     bool // … and something has left already
	hijacked  net.Conn
}

func newOutputGate(e *event, w http.ResponseWriter, r *http.Request) *outputGate {
	e.out = outputGate{e: e, w: w, r: r}
	return &e.out
}

// Header gives the real header: trailers are set in it after the body.
func (g *outputGate) Header() http.Header {
	if g.withheld {
		return http.Header{}
	}
	return g.w.Header()
}

// WriteHeader keeps the status. Informational answers and 101 leave at once, if the event stands.
func (g *outputGate) WriteHeader(status int) {
	switch {
	case g.withheld || g.committed || g.status != 0:
	case status == http.StatusSwitchingProtocols:
		g.status = status
		g.commit()
	case status < 200:
		if g.e.standing(g.r.Context()) == nil {
			g.w.WriteHeader(status)
		}
	default:
		g.status = status
	}
}

// Write holds or passes on.
func (g *outputGate) Write(b []byte) (int, error) {
	if g.withheld {
		return 0, errWithheld
	}
	if g.status == 0 {
		g.status = http.StatusOK
	}
	if !g.committed {
		if g.held == nil {
			g.held = heldBuffers.Get().(*[]byte)
		}
		if len(*g.held)+len(b) <= heldBytes {
			*g.held = append(*g.held, b...)
			return len(b), nil
		}
		if !g.commit() {
			return 0, errWithheld
		}
	} else if err := g.e.standing(g.r.Context()); err != nil {
		g.cut(err)
		return 0, errWithheld
	}
	return g.w.Write(b)
}

// Flush sends what is held, if the event stands.
func (g *outputGate) Flush() { _ = g.FlushError() } // http.Flusher has no way to tell

// FlushError is Flush for http.ResponseController.
func (g *outputGate) FlushError() error {
	if g.withheld {
		return errWithheld
	}
	if g.status == 0 {
		g.status = http.StatusOK
	}
	if !g.committed && !g.commit() {
		return errWithheld
	}
	return http.NewResponseController(g.w).Flush()
}

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex are for http.ResponseController.
func (g *outputGate) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(g.w).SetReadDeadline(t)
}

// SetWriteDeadline see SetReadDeadline.
func (g *outputGate) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(g.w).SetWriteDeadline(t)
}

// EnableFullDuplex see SetReadDeadline.
func (g *outputGate) EnableFullDuplex() error {
	return http.NewResponseController(g.w).EnableFullDuplex()
}

// Hijack gives a connection that passes the gate message by message.
func (g *outputGate) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !g.committed && g.status == 0 { // a library that writes its own 101
		if err := g.e.standing(g.r.Context()); err != nil {
			g.withhold(err)
			return nil, nil, fmt.Errorf("upgrade: %w", ErrStale)
		}
	}
	if g.withheld {
		return nil, nil, fmt.Errorf("upgrade: %w", ErrStale)
	}
	conn, rw, err := http.NewResponseController(g.w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	g.e.upgrade, g.e.answered = g.r.Header.Get("Upgrade"), g.committed
	g.committed = true
	g.hijacked, rw, err = attachSocket(g.e, conn, rw)
	return g.hijacked, rw, err
}

// abort ends the event without an answer.
func (g *outputGate) abort() {
	g.free()
	if g.hijacked != nil {
		_ = g.hijacked.Close() // ends the event
		return
	}
	g.e.end()
}

// commit lets the head and what is held leave, or stale_instance in their place.
func (g *outputGate) commit() bool {
	g.e.s.h.reach(faults.BeforeOutput, g.e.st.key)
	if err := g.e.standing(g.r.Context()); err != nil {
		g.withhold(err)
		return false
	}
	g.send()
	return true
}

func (g *outputGate) send() {
	g.committed = true
	if g.status != 0 {
		g.w.WriteHeader(g.status)
	}
	if g.held != nil {
		_, _ = g.w.Write(*g.held) // the client is gone: the handler learns it from its own next write
		g.free()
	}
}

func (g *outputGate) free() {
	if g.held != nil {
		*g.held = (*g.held)[:0]
		heldBuffers.Put(g.held)
		g.held = nil
	}
}

func (g *outputGate) withhold(why error) {
	g.withheld = true
	g.free()
	h := g.w.Header()
	for name := range h {
		delete(h, name)
	}
	g.e.recordWithheld(why)
	p := wire.Problem{
		Code: wire.StaleInstance, Object: g.e.st.key.String(), Token: g.e.st.token,
		Detail: "the answer was withheld: " + why.Error(),
	}
	p.WriteTo(g.w, g.r)
}

// cut resets a stream of which a part has left.
func (g *outputGate) cut(why error) {
	g.withheld, g.reset = true, true
	g.e.recordWithheld(why)
	g.e.s.mu.Lock()
	g.e.stop(why)
	g.e.s.mu.Unlock()
}

// finish is called when the handler has ended. The verdict comes first, then
// the next event may start, then the answer leaves: a slow reader does not hold the object.
func (g *outputGate) finish() {
	switch {
	case g.hijacked != nil: // the socket ends the event
	case g.withheld:
		g.e.end()
	case g.committed:
		judge := func() error { return g.e.standing(g.r.Context()) }
		if g.e.beside() {
			judge = g.e.current
		}
		if err := judge(); err != nil {
			g.cut(err)
		}
		g.e.end()
	default:
		g.e.s.h.reach(faults.BeforeOutput, g.e.st.key)
		if err := g.e.judge(); err != nil {
			g.withhold(err)
		} else {
			g.send()
		}
	}
	if g.reset {
		panic(http.ErrAbortHandler) // the only way to reset a stream of net/http
	}
}

func (e *event) recordWithheld(why error) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.s.record(faults.Withheld, e.o, e.act.token, why.Error())
	e.s.log.Warn("answer withheld", "object", e.st.key, "token", e.st.token, "why", why)
}
