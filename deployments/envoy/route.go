package envoy

import (
	"strings"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
	"github.com/skewgate/skewgate/xds"
)

// hashRoute sends one shape of request by its object's id.
type hashRoute struct {
	Name  string
	Match string // inside of match: {…}
	Hash  string // an entry of hash_policy
}

// hashRoutes gives a route to each service and template whose object Envoy can
// see, in the order in which gateways match. The same object hashes alike
// whether its id came in the path or in a header.
func hashRoutes(classes []routing.Class) []hashRoute {
	byName := map[string]routing.Class{}
	for _, c := range classes {
		byName[c.Name] = c
	}
	var out []hashRoute
	for _, m := range xds.Matches(classes) {
		r := hashRoute{Name: m.Class + " " + m.Route}
		if m.Service {
			r.Match = "prefix: " + mustQuote(m.Pattern)
		} else {
			r.Match = "safe_regex: {regex: " + mustQuote(m.Pattern) + "}"
		}
		switch id := byName[m.Class].IDHeader; {
		case m.IDPattern != "":
			// :path has the query too.
			r.Hash = "{header: {header_name: \":path\", regex_rewrite: {pattern: {regex: " + mustQuote(m.IDPattern) + "}, substitution: \"\\\\1\"}}}"
		case id != "":
			r.Hash = "{header: {header_name: " + mustQuote(id) + "}}"
		default:
			continue
		}
		out = append(out, r)
	}
	return out
}

// hashValue is what gateways are hashed by in picker mode: the id header, or
// the path where there is none.
func hashValue(classes []routing.Class) string {
	ids := idHeaders(classes)
	switch len(ids) {
	case 0:
		return "%REQ(:PATH)%"
	case 1:
		return "%REQ(" + ids[0] + "?:PATH)%"
	}
	value := ""
	for _, id := range ids {
		value += "%REQ(" + id + ")%"
	}
	return value
}

func idHeaders(classes []routing.Class) []string {
	var ids []string
	for _, c := range classes {
		if c.IDHeader != "" {
			ids = append(ids, c.IDHeader)
		}
	}
	return uniqueSorted(ids)
}

// forwarded lists the request headers that a picker decides by.
func forwarded(classes []routing.Class) string {
	names := append(idHeaders(classes), ":path", ":method", ":authority", "content-type", "content-length", "transfer-encoding",
		"upgrade", "connection", "te", "grpc-timeout", "x-request-id", "x-forwarded-client-cert", "traceparent", "tracestate",
		strings.ToLower(wire.HeaderCaller), strings.ToLower(wire.HeaderPreview), strings.ToLower(wire.HeaderVersionOverrides),
		"cloudflare-workers-version-overrides", "cloudflare-workers-version-key")
	var out []string
	for _, n := range uniqueSorted(names) {
		out = append(out, "{exact: "+mustQuote(n)+"}")
	}
	return strings.Join(out, ", ")
}

// logged lists the headers that access records carry.
func logged(classes []routing.Class) string {
	names := append(idHeaders(classes), strings.ToLower(wire.HeaderCaller), strings.ToLower(wire.HeaderObject), strings.ToLower(wire.HeaderSession))
	var out []string
	for _, n := range uniqueSorted(names) {
		out = append(out, mustQuote(n))
	}
	return strings.Join(out, ", ")
}

// mustQuote quotes text: JSON of a string cannot fail.
func mustQuote(s string) string {
	q, err := quoted(s)
	if err != nil {
		panic("envoy: quote: " + err.Error())
	}
	return q
}
