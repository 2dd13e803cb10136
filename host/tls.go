package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/wire"
)

// MTLS makes the gate serve TLS and lets in only gateways: peers whose
// certificate is of an authority in CAFile and carries one of the names in
// Gateways. A host's own certificate does not get in unless it is named there. The files are
// read again when they change. With a secret as well, both are asked for.
//
// A name is a URI of the certificate (spiffe://shop.example/gateway, or
// spiffe://shop.example/gateways/* for all below), a DNS name, an IP address,
// CN=NAME for the subject's common name, or * for every certificate of the
// authority, which is right only where it issues to gateways alone.
type MTLS struct {
	CertFile string   // PEM, own certificate and those between it and its authority
	KeyFile  string   // PEM
	CAFile   string   // PEM, authorities of gateways' certificates
	Gateways []string // names of gateways
}

func (m MTLS) used() bool {
	return m.CertFile != "" || m.KeyFile != "" || m.CAFile != "" || len(m.Gateways) > 0
}

// withTLS makes Options.TLS of Options.MTLS.
func (o Options) withTLS() (Options, error) {
	if !o.MTLS.used() {
		return o, nil
	}
	if o.TLS != nil {
		return o, fmt.Errorf("%w: TLS and MTLS are both given; MTLS makes the configuration of its own", ErrOptions)
	}
	src, err := mtls.Open(mtls.Files{CertFile: o.MTLS.CertFile, KeyFile: o.MTLS.KeyFile, CAFile: o.MTLS.CAFile, Peers: o.MTLS.Gateways}, o.Logger)
	if err != nil {
		return o, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	o.TLS = src.Server()
	return o, nil
}

// tlsListener gives connections that find out when a peer speaks plain HTTP
// and tell it so in its own words: net/http's own answer would look to a
// gateway, and then to its client, like an answer of the object.
type tlsListener struct{ net.Listener }

// Accept wraps what comes.
func (l tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &firstByte{Conn: c}, nil
}

// firstByte looks at the first byte of a connection: a TLS record of a handshake begins with 22.
type firstByte struct {
	net.Conn
	once sync.Once
	err  error
}

const recordHandshake = 22

var errPlain = errors.New("the peer speaks plain HTTP to a gate that serves TLS")

// Read fails where the peer speaks plain HTTP, after telling it.
func (c *firstByte) Read(p []byte) (n int, err error) {
	looked := false
	c.once.Do(func() {
		looked = true
		n, err = c.Conn.Read(p)
		if n > 0 && p[0] != recordHandshake {
			c.tell(p[:n])
			n, err, c.err = 0, errPlain, errPlain
		}
	})
	if looked {
		return n, err
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// CloseWrite is for protocols that close one direction.
func (c *firstByte) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// tell refuses in HTTP/2 by a GOAWAY that covers every stream, in HTTP/1 by a gate's refusal.
func (c *firstByte) tell(begin []byte) {
	_ = c.Conn.SetDeadline(time.Now().Add(writeGrace)) // a closed connection is as good
	var b bytes.Buffer
	if bytes.HasPrefix([]byte(http2.ClientPreface), begin) || bytes.HasPrefix(begin, []byte("PRI ")) {
		f := http2.NewFramer(&b, nil)
		_ = f.WriteSettings() // into memory
		_ = f.WriteGoAway(0, http2.ErrCodeNo, []byte(errPlain.Error()))
	} else {
		text := errPlain.Error() + "\n"
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n%s: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			http.StatusMisdirectedRequest, http.StatusText(http.StatusMisdirectedRequest), wire.HeaderRefusal, wire.Refusal{Reason: wire.ReasonTLS}, len(text), text)
	}
	if _, err := c.Conn.Write(b.Bytes()); err != nil {
		return
	}
	if c.CloseWrite() == nil { // what is not read would reset the connection, and take the answer with it
		_ = c.Conn.SetReadDeadline(time.Now().Add(closeGrace))
		_, _ = io.CopyN(io.Discard, c.Conn, 1<<20)
	}
}
