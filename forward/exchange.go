package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// exchange watches one request on its way: what was written, and which
// informational responses came.
type exchange struct {
	w http.ResponseWriter

	mu     sync.Mutex
	done   bool         // RoundTrip returned: informational responses are too late
	conn   *countedConn // nil until there is one
	secure *tls.Conn    // nil without TLS
	base   int64        // conn.written when the exchange got it
	got    bool         // there was a connection
	reused bool         // and it had been used before
	wrote  bool         // bytes may have left on an earlier connection
}

func (x *exchange) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:        x.gotConn,
		Got1xxResponse: x.informational,
	})
}

func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn != nil && x.conn.written.Load() != x.base {
		x.wrote = true // the transport moved to another connection after it had written
	}
	x.got, x.reused = true, info.Reused
	conn := info.Conn
	if x.secure, _ = conn.(*tls.Conn); x.secure != nil {
		conn = x.secure.NetConn()
	}
	if x.conn, _ = conn.(*countedConn); x.conn != nil {
		x.base = x.conn.written.Load()
		x.conn.doubted.Store(info.Reused)
	}
}

// informational passes a 1xx on, except 100: the server sends that by itself
// when the body is first read, which the transport does when the upstream says 100.
func (x *exchange) informational(code int, header textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done || code == http.StatusContinue || code == http.StatusSwitchingProtocols {
		return nil
	}
	h := http.Header(header).Clone()
	RemoveHopByHop(h)
	dst := x.w.Header()
	copyHeader(dst, h)
	x.w.WriteHeader(code)
	clear(dst) // they were the 1xx's own
	return nil
}

func (x *exchange) headDone() {
	x.mu.Lock()
	x.done = true
	x.mu.Unlock()
}

// again says that an attempt came to nothing because a kept connection was
// closed, and that nothing of it was used up: another connection will do.
func (x *exchange) again(s Stage, err error) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return s == NotSent && x.reused && !refusedStream(err)
}

// fresh says that the request was the first on its connection.
func (x *exchange) fresh() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.got && !x.reused
}

// stage says what an error of RoundTrip proves.
func (x *exchange) stage(err error) Stage {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case !x.got:
		return NotSent
	case refusedStream(err), RefusedCertificate(err) && !x.reused:
		return NotSent
	case x.wrote || x.conn == nil:
		return Unknown
	case x.conn.written.Load() == x.base:
		return NotSent
	}
	return Unknown
}

// certificateAlerts are how crypto/tls words an upstream's alerts about a
// client's certificate. A server sends them in place of finishing the
// handshake, so whatever the client wrote after its own half (TLS 1.3) was not read.
var certificateAlerts = []string{
	"bad certificate", "unsupported certificate", "revoked certificate", "expired certificate", "unknown certificate",
	"unknown certificate authority", "access denied", "certificate required",
}

// RefusedCertificate says that an upstream did not accept our certificate; nothing of the request was processed.
func RefusedCertificate(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	return slices.Contains(certificateAlerts, strings.TrimPrefix(op.Err.Error(), "tls: "))
}

// alertGrace is how long an alert is waited for that a failed write may have overtaken.
const alertGrace = time.Second

// refusalOf gives the alert about our certificate that conn has received,
// where err is what came of it: with TLS 1.3 we may be writing when it comes,
// and then the connection that was closed under the writer is what is told.
func refusalOf(ctx context.Context, conn net.Conn, err error) error {
	tc, ok := conn.(*tls.Conn)
	if !ok || tc == nil || ctx.Err() != nil || RefusedCertificate(err) {
		return err
	}
	_ = tc.SetReadDeadline(time.Now().Add(alertGrace))
	if _, alert := tc.Read(make([]byte, 1)); RefusedCertificate(alert) {
		return alert
	}
	return err
}

// refusedStream recognizes HTTP/2's two proofs that a stream was not
// processed. net/http does not export its errors, and where it would have
// retried had we let it, it wraps only the text; a test holds these texts to
// the real thing.
func refusedStream(err error) bool {
	var se http2.StreamError
	if errors.As(err, &se) {
		return se.Code == http2.ErrCodeRefusedStream
	}
	s := err.Error()
	if inner, ok := strings.CutPrefix(s, "http2: Transport: cannot retry err ["); ok {
		s = inner
	}
	// Said only where net/http would have tried another connection because
	// nothing had been written: our bodies cannot be rewound, so no weaker reason suffices it.
	return s == "net/http: cannot rewind body after connection loss" ||
		strings.HasPrefix(s, "http2: Transport received Server's graceful shutdown GOAWAY") ||
		strings.HasPrefix(s, "http2: client conn not usable") ||
		(strings.HasPrefix(s, "stream error: ") && strings.Contains(s, "; REFUSED_STREAM"))
}
