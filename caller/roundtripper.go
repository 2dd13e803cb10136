package caller

import "net/http"

// Transport is an http.RoundTripper that says who calls.
type Transport struct {
	Caller Caller
	Base   http.RoundTripper // nil means http.DefaultTransport
}

// RoundTrip sends a copy of r with the header set. A header that r has already is left.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if r.Header.Get(Header) != "" || t.Caller == (Caller{}) {
		return base.RoundTrip(r)
	}
	r = r.Clone(r.Context()) // a RoundTripper must not change what it is given
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(Header, t.Caller.String())
	return base.RoundTrip(r)
}
