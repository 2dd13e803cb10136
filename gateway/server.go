package gateway

import (
	"net/http"
	"time"
)

// maxHeaderBytes is what an Envoy in front allows by default.
const maxHeaderBytes = 60 << 10

// NewServer makes the HTTP server that a gateway wants around it: HTTP/1.1 and
// HTTP/2, without TLS or, where its TLSConfig is set afterwards, with it, no limit on how long a stream may last, and limits on
// what a slow or hostile peer may hold.
func NewServer(g *Gateway) *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           g.withReady(),
		Protocols:         p,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			SendPingTimeout:      30 * time.Second,
			PingTimeout:          15 * time.Second,
		},
	}
}
