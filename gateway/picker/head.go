package picker

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/wire"
)

// head is a request's head as Envoy told it.
type head struct {
	request  *http.Request
	whole    bool // there is no body
	redirect bool // Envoy follows a redirect: a gate refused this request a moment ago
}

// headerOriginalURL is set by Envoy on a request that follows an internal redirect.
const headerOriginalURL = "X-Envoy-Original-Url"

// readHead makes a request of the first message.
func readHead(m *extprocv3.ProcessingRequest) (*head, error) {
	rh := m.GetRequestHeaders()
	if rh == nil {
		return nil, fmt.Errorf("the first message is %T, not the request's headers: set request_header_mode: SEND", m.GetRequest())
	}
	r := &http.Request{Header: http.Header{}, ProtoMajor: 2}
	path := ""
	for _, h := range rh.GetHeaders().GetHeaders() {
		value := string(h.GetRawValue())
		if value == "" {
			value = h.GetValue()
		}
		switch h.GetKey() {
		case ":method":
			r.Method = value
		case ":path":
			path = value
		case ":authority":
			r.Host = value
		default:
			if !strings.HasPrefix(h.GetKey(), ":") {
				r.Header.Add(h.GetKey(), value)
			}
		}
	}
	if r.Method == "" || path == "" {
		return nil, errors.New("the request's headers lack :method or :path: allow them in forward_rules")
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	r.URL = u
	for _, attributes := range m.GetAttributes() {
		if v := attributes.GetFields()["source.address"].GetStringValue(); v != "" {
			r.RemoteAddr = v
		}
	}
	return &head{request: r, whole: rh.GetEndOfStream(), redirect: r.Header.Get(headerOriginalURL) != ""}, nil
}

// options decides how a gate shall refuse this request: with 307, which Envoy
// follows by itself, where Envoy can send the request again; with 503 where it
// cannot, and then the pin is read from the store.
//
//	upgrade                             503
//	no body                             307
//	body of a known, small size         307
//	gRPC method known to be unary       307
//	any other body                      503
func (p *Picker) options(h *head) gateway.PickOptions {
	if p.replayable(h) {
		return gateway.PickOptions{Refuse: "307", Fresh: h.redirect}
	}
	return gateway.PickOptions{Refuse: "503", Fresh: true}
}

func (p *Picker) replayable(h *head) bool {
	r := h.request
	switch {
	case r.Header.Get("Upgrade") != "" || r.Method == http.MethodConnect:
		return false
	case h.whole:
		return true
	case wire.ProtocolOf(r) == wire.ProtocolGRPC:
		return p.opt.Unary != nil && p.opt.Unary(r.URL.Path)
	}
	n, err := strconv.ParseInt(r.Header.Get("Content-Length"), 10, 64)
	return err == nil && n <= p.opt.BufferLimit
}
