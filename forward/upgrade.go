package forward

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the WebSocket handshake is defined with it (RFC 6455 §4.2.2)
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// closeGrace is how long the other direction of a socket may go on after one ended.
const closeGrace = 5 * time.Second

// upgrade asks the upstream to switch protocols and, once it has, joins the two connections.
func (f *Forwarder) upgrade(ctx context.Context, w http.ResponseWriter, r *http.Request, a Attempt, proto string) Result {
	up, err := f.dialUpgrade(ctx, a.Addr)
	if err != nil {
		return Result{Stage: NotSent, Err: err}
	}
	defer up.Close()
	stop := context.AfterFunc(ctx, func() { _ = up.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	out := outgoing(r, a, nil, f.pool.scheme())
	out.Header.Set("Connection", "Upgrade")
	out.Header.Set("Upgrade", proto)
	if err := out.Write(up); err != nil {
		err = refusalOf(ctx, up, err)
		return Result{Stage: upgradeStage(err), Err: fmt.Errorf("send upgrade to %s: %w", a.Addr, err)}
	}
	br := bufio.NewReader(up)
	res, err := finalResponse(br, out)
	if err != nil {
		return Result{Stage: upgradeStage(err), Err: fmt.Errorf("upgrade at %s: %w", a.Addr, err)}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		return f.deliver(w, res, a, false)
	}
	if err := checkSwitch(r, res, proto); err != nil {
		return Result{Stage: Unknown, Status: res.StatusCode, Err: err}
	}
	RemoveHopByHop(res.Header)
	if a.Answer != nil && !a.Answer(res.StatusCode, res.Header) {
		return Result{Stage: Withheld, Status: res.StatusCode}
	}
	if !stop() {
		return Result{Stage: Unknown, Status: res.StatusCode, Err: context.Cause(ctx)}
	}
	_ = up.SetDeadline(time.Time{})
	return join(ctx, w, res, proto, &end{conn: up, r: br}, a.Message)
}

// upgradeStage says what an error after the first byte proves.
func upgradeStage(err error) Stage {
	if RefusedCertificate(err) {
		return NotSent
	}
	return Unknown
}

func (f *Forwarder) dialUpgrade(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := f.pool.dialer.DialContext(ctx, "tcp", addr)
	if err != nil || f.pool.opt.TLS == nil {
		return conn, err
	}
	cfg := f.pool.opt.TLS.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	tc := tls.Client(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return tc, nil
}

// finalResponse skips informational responses; 101 is final here.
func finalResponse(br *bufio.Reader, out *http.Request) (*http.Response, error) {
	for range 8 {
		res, err := http.ReadResponse(br, out)
		if err != nil {
			return nil, err
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, nil
		}
	}
	return nil, errors.New("too many informational responses")
}

// checkSwitch says whether a 101 is an answer to what was asked.
func checkSwitch(r *http.Request, res *http.Response, proto string) error {
	got := res.Header.Get("Upgrade")
	if !strings.EqualFold(got, proto) {
		return fmt.Errorf("asked for upgrade to %q, upstream switched to %q", proto, got)
	}
	if !strings.EqualFold(proto, "websocket") {
		return nil
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455
	if res.Header.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("upstream's Sec-WebSocket-Accept does not answer the client's key")
	}
	return nil
}

// end is one of the two connections of an upgraded stream.
type end struct {
	conn net.Conn
	r    *bufio.Reader
}

// reader reads what a server has read ahead, then the connection itself. Not
// through the server's reader: that cancels the request's context at the end
// of input, when the other direction may still have something to say.
func reader(conn net.Conn, ahead *bufio.Reader) *bufio.Reader {
	n := ahead.Buffered()
	if n == 0 {
		return bufio.NewReader(conn)
	}
	b, _ := ahead.Peek(n) // n bytes are there
	return bufio.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(b)), conn))
}

func (e *end) closeWrite() {
	if c, ok := e.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // the peer may be gone already
	}
}

// join sends the 101 and copies until both directions have ended.
func join(ctx context.Context, w http.ResponseWriter, res *http.Response, proto string, up *end, message func() error) Result {
	result := Result{Stage: Delivered, Status: res.StatusCode}
	copyHeader(w.Header(), res.Header)
	head := w.Header().Clone()
	head.Set("Connection", "Upgrade")
	head.Set("Upgrade", proto)
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return Result{Stage: Unknown, Status: res.StatusCode, Err: fmt.Errorf("take over the client's connection: %w", err)}
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{})
	if err := writeSwitch(conn, head); err != nil {
		result.Err = fmt.Errorf("%w: %w", ErrClient, err)
		return result
	}
	client := &end{conn: conn, r: reader(conn, brw.Reader)}
	if strings.EqualFold(proto, "websocket") {
		result.Sent, result.Received, result.Err = (&socket{client: client, up: up, message: message}).run(ctx)
		return result
	}
	result.Sent, result.Received = joinRaw(ctx, client, up)
	return result
}

func writeSwitch(conn net.Conn, head http.Header) error {
	bw := bufio.NewWriter(conn)
	_, _ = bw.WriteString("HTTP/1.1 101 Switching Protocols\r\n") // errors stay in bw
	_ = head.Write(bw)
	_, _ = bw.WriteString("\r\n")
	return bw.Flush()
}

// joinRaw copies both ways, passes each end on, and returns when both have ended.
func joinRaw(ctx context.Context, client, up *end) (sent, received int64) {
	stop := context.AfterFunc(ctx, func() { client.conn.Close(); up.conn.Close() })
	defer stop()
	done := make(chan int64)
	go func() { done <- pipe(up, client) }()
	received = pipe(client, up)
	sent = <-done
	return sent, received
}

func pipe(dst, src *end) int64 {
	n, err := io.Copy(dst.conn, src.r)
	if err != nil { // a broken half breaks the whole
		dst.conn.Close()
		src.conn.Close()
		return n
	}
	dst.closeWrite()
	return n
}
