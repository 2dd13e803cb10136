package forward

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hopByHop are the fields that end at the next hop (RFC 9110 §7.6.1), and
// those that older peers treat so.
var hopByHop = [...]string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Http2-Settings", "Proxy-Authenticate", "Proxy-Authorization",
}

// RemoveHopByHop deletes hop-by-hop fields and those named in Connection.
func RemoveHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// upgradeProtocol gives the protocol that r asks to switch to, or "". A
// request with a body, and a switch to another HTTP, are passed on without the
// switch.
func upgradeProtocol(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ContentLength != 0 || !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") {
		return ""
	}
	proto := r.Header.Get("Upgrade")
	for token := range strings.SplitSeq(proto, ",") {
		name, _, _ := strings.Cut(textproto.TrimString(token), "/")
		if !httpguts.ValidHeaderFieldName(name) || strings.EqualFold(name, "h2c") || strings.EqualFold(name, "h2") ||
			strings.EqualFold(name, "http") || strings.EqualFold(name, "tls") {
			return ""
		}
	}
	return proto
}

// outgoing makes the upstream's request of the client's.
func outgoing(r *http.Request, a Attempt, body *body, scheme string) *http.Request {
	out := &http.Request{
		Method: r.Method, Host: r.Host, ContentLength: r.ContentLength,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{
			Scheme: scheme, Host: a.Addr,
			Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		},
		Header: r.Header.Clone(),
	}
	if out.Header == nil {
		out.Header = http.Header{}
	}
	trailersOK := httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers")
	RemoveHopByHop(out.Header)
	if trailersOK {
		out.Header.Set("Te", "trailers") // gRPC servers ask for it
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // otherwise net/http adds its own
	}
	if body != nil {
		out.Body = body
		if r.ContentLength == 0 && (r.Body == nil || r.Body == http.NoBody) && a.Body == nil {
			out.Body = noBodyFor(r.Method)
		}
		out.Trailer = body.announce()
		if len(out.Trailer) > 0 {
			out.ContentLength = -1 // HTTP/1.1 trailers need chunks
		}
	}
	if a.Head != nil {
		a.Head(out.Header)
	}
	return out
}

// noBodyFor gives the body of a request that has none. Where net/http would
// replay a request by itself because its method is idempotent, that is a body
// that net/http cannot know to be empty: what runs an event must not be sent
// twice behind our back.
func noBodyFor(method string) io.ReadCloser {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "":
		return emptyBody{}
	}
	return http.NoBody
}

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error) { return 0, io.EOF }
func (emptyBody) Close() error             { return nil }

// copyHeader adds src's fields to dst.
func copyHeader(dst, src http.Header) {
	for name, values := range src {
		dst[name] = append(dst[name], values...)
	}
}
