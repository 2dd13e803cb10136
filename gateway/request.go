package gateway

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
)

// Cloudflare's names for what we call Skewgate-Version-Overrides, and for a
// key that assigns versions in place of the object's id.
const (
	headerCloudflareOverrides = "Cloudflare-Workers-Version-Overrides"
	headerCloudflareKey       = "Cloudflare-Workers-Version-Key"
)

// maxWord bounds a caller's, preview's or version key's length.
const maxWord = 128

// Request is what the head of a client's request says. Nothing else reads
// edge headers.
type Request struct {
	Class   *routing.Class
	ID      string
	HasID   bool
	IDTwice bool   // the id header was sent more than once
	Method  string // "/pkg.Service/Method" of an RPC, else ""
	Route   string // service or template: few values

	Caller     string // app@version; "" when not said, not well-formed or not believed
	Preview    string
	Overrides  string // the header's value; "" when there is none
	VersionKey string
	Trusted    bool      // the peer is trusted to say who calls and for whom
	Deadline   time.Time // of the client, from grpc-timeout; zero is none
}

// parse reads the head of r.
func (g *Gateway) parse(s *snapshot, r *http.Request) (Request, error) {
	if r.Method == http.MethodConnect {
		return Request{}, &wire.Problem{Code: wire.NoRoute, Detail: "CONNECT is not served"}
	}
	if reserved(r.URL.Path) {
		return Request{}, noRoute(r, errReserved)
	}
	m, err := s.table.Match(r.URL.EscapedPath())
	if err != nil {
		return Request{}, noRoute(r, err)
	}
	req := Request{Class: m.Class, ID: m.ID, HasID: m.HasID, Method: m.Method, Route: m.Route, Trusted: g.trusts(r.RemoteAddr)}
	h := r.Header
	if !req.HasID && m.Class.IDHeader != "" {
		if ids := h.Values(m.Class.IDHeader); len(ids) > 0 {
			req.ID, req.HasID, req.IDTwice = ids[0], true, len(ids) > 1
		}
	}
	req.Caller = g.callerOf(r, req.Trusted)
	req.Preview = h.Get(wire.HeaderPreview)
	if req.Overrides = strings.Join(h.Values(wire.HeaderVersionOverrides), ", "); req.Overrides == "" {
		req.Overrides = strings.Join(h.Values(headerCloudflareOverrides), ", ")
	}
	if k := h.Get(headerCloudflareKey); len(k) <= maxWord {
		req.VersionKey = k
	}
	if d, ok := grpcTimeout(h.Get("Grpc-Timeout")); ok {
		req.Deadline = time.Now().Add(d)
	}
	return req, nil
}

// errReserved answers requests for what gates and agents serve to gateways
// only. Our stamp would make a client's look like one of ours.
var errReserved = errors.New("paths below " + reservedPrefix + " are not for clients")

const reservedPrefix = "/_skewgate"

// reserved looks at the decoded path, as hosts do, and past empty segments.
func reserved(path string) bool {
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	rest, ok := strings.CutPrefix(path, reservedPrefix)
	return ok && (rest == "" || rest[0] == '/')
}

func noRoute(r *http.Request, err error) error {
	return &wire.Problem{Code: wire.NoRoute, Detail: r.Method + " " + r.URL.EscapedPath() + ": " + err.Error(), Err: err}
}

// trusts says whether a peer's address is among those that may say who calls.
func (g *Gateway) trusts(remote string) bool {
	if len(g.opt.TrustedCallers) == 0 {
		return false
	}
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := ap.Addr().Unmap()
	for _, p := range g.opt.TrustedCallers {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// wellFormedCaller accepts app@version made of printable ASCII without spaces, quotes or commas.
func wellFormedCaller(s string) bool {
	app, version, ok := strings.Cut(s, "@")
	if !ok || app == "" || version == "" || len(s) > maxWord || strings.Contains(version, "@") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == '\\' {
			return false
		}
	}
	return true
}

// grpcTimeout reads gRPC's TimeoutValue TimeoutUnit: at most eight digits and one of HMSmun.
func grpcTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second,
		'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}[s[len(s)-1]]
	if !ok {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s[:len(s)-1]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if n > int64(1<<62)/int64(unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
