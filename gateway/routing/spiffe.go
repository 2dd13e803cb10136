package routing

import (
	"fmt"
	"net/url"
	"strings"
)

// SPIFFE reads who calls out of the URI of a worker's certificate, by a
// template such as spiffe://shop.example/app/{app}/version/{version}. A part of
// the path that is * may be anything. Without {version} the certificate only
// vouches for the app, and its holder says which version it is.
type SPIFFE struct {
	domain string
	parts  []string
}

// ParseSPIFFE checks a template.
func ParseSPIFFE(template string) (SPIFFE, error) {
	rest, ok := strings.CutPrefix(template, "spiffe://")
	domain, path, _ := strings.Cut(rest, "/")
	if !ok || domain == "" || strings.ContainsAny(domain, "{}*@:?#% ") {
		return SPIFFE{}, fmt.Errorf("template %q does not begin with spiffe://TRUST-DOMAIN/", template)
	}
	t := SPIFFE{domain: domain, parts: strings.Split(path, "/")}
	count := map[string]int{}
	for _, p := range t.parts {
		switch {
		case p == "{app}", p == "{version}":
			count[p]++
		case p == "*":
		case p == "" || strings.ContainsAny(p, "{}*?#% "):
			return SPIFFE{}, fmt.Errorf("template %q has the part %q; a part is a word, {app}, {version} or *", template, p)
		}
	}
	if count["{app}"] != 1 || count["{version}"] > 1 {
		return SPIFFE{}, fmt.Errorf("template %q needs {app} once, and {version} at most once", template)
	}
	return t, nil
}

// String gives the template.
func (t SPIFFE) String() string { return "spiffe://" + t.domain + "/" + strings.Join(t.parts, "/") }

// Match reads a URI. version is empty where the template has none.
func (t SPIFFE) Match(uri string) (app, version string, ok bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "spiffe" || u.Host != t.domain || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", false
	}
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if len(parts) != len(t.parts) {
		return "", "", false
	}
	for i, want := range t.parts {
		switch got := parts[i]; {
		case got == "":
			return "", "", false
		case want == "{app}":
			app = got
		case want == "{version}":
			version = got
		case want != "*" && want != got:
			return "", "", false
		}
	}
	return app, version, true
}
