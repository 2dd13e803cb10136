package wire

import (
	"net/http"
	"strings"
)

// Protocol is how a request's client wants errors to look.
type Protocol int

// Protocols.
const (
	ProtocolHTTP Protocol = iota
	ProtocolGRPC
	ProtocolGRPCWeb
	ProtocolConnect       // unary
	ProtocolConnectStream // any streaming kind
)

// ProtocolOf tells a request's protocol by its head.
func ProtocolOf(r *http.Request) Protocol {
	ct := r.Header.Get("Content-Type")
	switch {
	case isType(ct, "application/grpc-web"), isType(ct, "application/grpc-web-text"):
		return ProtocolGRPCWeb
	case isType(ct, "application/grpc"):
		return ProtocolGRPC
	case strings.HasPrefix(ct, "application/connect+"):
		return ProtocolConnectStream
	case r.Header.Get("Connect-Protocol-Version") != "",
		r.Method == http.MethodGet && strings.HasPrefix(r.URL.Query().Get("connect"), "v"):
		return ProtocolConnect
	}
	return ProtocolHTTP
}

// isType accepts a media type with a subtype suffix or parameters: base, base+proto, base; charset=….
func isType(ct, base string) bool {
	if len(ct) < len(base) || !strings.EqualFold(ct[:len(base)], base) {
		return false
	}
	rest := ct[len(base):]
	return rest == "" || rest[0] == '+' || rest[0] == ';'
}
