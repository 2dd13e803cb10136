package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/skewgate/skewgate/wire"
)

// callerOf says who calls, app@version, or "" where nobody says so whom we believe:
//
//	identity  peer                                     believed
//	header    trusted (callers.trust)                  Skewgate-Caller
//	header    any other                                nothing
//	mtls      showed a certificate that was verified   its SPIFFE URI
//	mtls      trusted, without a certificate           the URI in X-Forwarded-Client-Cert
//	mtls      any other                                nothing
//
// Where the URI gives only the app, Skewgate-Caller gives the version if it names the same app.
func (g *Gateway) callerOf(r *http.Request, trusted bool) string {
	said := r.Header.Get(wire.HeaderCaller)
	if !wellFormedCaller(said) {
		said = ""
	}
	t := g.opt.CallerIDs
	if t == nil {
		if !trusted {
			return ""
		}
		return said
	}
	for _, uri := range callerURIs(r, trusted) {
		app, version, ok := t.Match(uri)
		if !ok {
			continue
		}
		if version == "" {
			if claimed, _, _ := strings.Cut(said, "@"); claimed == app {
				return said
			}
			return ""
		}
		if id := app + "@" + version; wellFormedCaller(id) {
			return id
		}
	}
	return ""
}

// callerURIs lists the URIs of the certificate behind a request.
func callerURIs(r *http.Request, trusted bool) []string {
	switch {
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		var all []string
		for _, u := range r.TLS.PeerCertificates[0].URIs {
			all = append(all, u.String())
		}
		return all
	case trusted:
		return forwardedURIs(r.Header.Values("X-Forwarded-Client-Cert"))
	}
	return nil
}

// forwardedURIs reads X-Forwarded-Client-Cert as Envoy writes it: elements
// separated by commas, pairs by semicolons, values perhaps quoted. Only the
// last element is the trusted peer's own; those before it came with the request.
func forwardedURIs(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	elements := splitQuoted(values[len(values)-1], ',')
	var all []string
	for _, pair := range splitQuoted(elements[len(elements)-1], ';') {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || !strings.EqualFold(name, "URI") {
			continue
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = strings.ReplaceAll(value[1:n-1], `\"`, `"`)
		}
		if plain, err := url.QueryUnescape(value); err == nil && !strings.Contains(value, "://") {
			value = plain
		}
		all = append(all, value)
	}
	return all
}

// splitQuoted splits at sep outside of quotes; it gives at least one part.
func splitQuoted(s string, sep byte) []string {
	var out []string
	from, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}
