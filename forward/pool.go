package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// pool holds the upstream connections of both protocols.
type pool struct {
	opt    Options
	dialer *net.Dialer
	h1, h2 *http.Transport
}

func newPool(o Options) pool {
	p := pool{opt: o, dialer: &net.Dialer{Timeout: o.DialTimeout, KeepAlive: 30 * time.Second}}
	p.h1, p.h2 = p.newTransport(), p.newTransport()
	p.h1.Protocols = new(http.Protocols)
	p.h1.Protocols.SetHTTP1(true)
	p.h2.Protocols = new(http.Protocols)
	if o.TLS != nil {
		p.h2.Protocols.SetHTTP2(true)
	} else {
		p.h2.Protocols.SetUnencryptedHTTP2(true)
	}
	// Finds a peer that is gone without a word, and not one that pauses.
	p.h2.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}
	return p
}

func (p *pool) newTransport() *http.Transport {
	t := &http.Transport{
		Proxy:                  nil, // upstreams are ours; an environment variable must not redirect them
		DialContext:            p.dial,
		DisableCompression:     true,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    p.opt.IdlePerHost,
		IdleConnTimeout:        p.opt.IdleTimeout,
		ResponseHeaderTimeout:  p.opt.ResponseTimeout,
		ExpectContinueTimeout:  2 * time.Second,
		TLSHandshakeTimeout:    p.opt.DialTimeout,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         8 << 10,
	}
	if p.opt.TLS != nil {
		t.TLSClientConfig = p.opt.TLS.Clone()
	}
	return t
}

func (p *pool) scheme() string {
	if p.opt.TLS != nil {
		return "https"
	}
	return "http"
}

// transport picks the upstream's protocol. Only what needs HTTP/2 (frames both
// ways at once, trailers) gets it: any host speaks HTTP/1.1.
func (p *pool) transport(r *http.Request) *http.Transport {
	if r.ProtoMajor == 2 {
		ct := r.Header.Get("Content-Type")
		if strings.HasPrefix(ct, "application/grpc") && !strings.HasPrefix(ct, "application/grpc-web") ||
			strings.HasPrefix(ct, "application/connect+") {
			return p.h2
		}
	}
	return p.h1
}

func (p *pool) close() {
	p.h1.CloseIdleConnections()
	p.h2.CloseIdleConnections()
}

func (p *pool) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := p.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: c}, nil
}

// errIdleClosed says that a kept connection was closed by the peer before it was used again.
var errIdleClosed = errors.New("upstream closed the idle connection")

// countedConn knows whether anything was written: the proof of NotSent.
type countedConn struct {
	net.Conn
	written atomic.Int64
	doubted atomic.Bool // a request begins on a connection that was idle
}

// Write counts before it writes, so that a failed write counts as sent. A
// connection that the peer has closed is not written to.
func (c *countedConn) Write(p []byte) (int, error) {
	if c.doubted.CompareAndSwap(true, false) {
		if err := alive(c.Conn); err != nil {
			return 0, fmt.Errorf("%w: %w", errIdleClosed, err)
		}
	}
	c.written.Add(int64(len(p)))
	return c.Conn.Write(p)
}
