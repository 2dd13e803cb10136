package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// ServeHTTP is the gate with the objects behind it: read the stamp, admit,
// run the handler behind the output gate, end the event.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case wire.PathRelease:
		h.serveRelease(w, r)
		return
	case PathActive:
		h.serveActive(w, r)
		return
	}
	st, err := h.readStamp(r)
	if err != nil {
		h.answer(w, r, err)
		return
	}
	c := h.classes[st.key.Class]
	if c == nil {
		h.answer(w, r, h.noClass(st.key.Class))
		return
	}
	streaming, isGRPC := h.methodOf(r)
	e, err := h.admit(r.Context(), st, exclusive)
	if err != nil {
		h.answer(w, r, err)
		return
	}
	out := newOutputGate(e, w, r)
	defer func() {
		if p := recover(); p != nil { // net/http logs it and closes the connection, unless it is hijacked
			out.abort()
			panic(p)
		}
		out.finish()
	}()
	if isGRPC {
		h.serveGRPC(out, r, e, streaming)
		return
	}
	handler, ok := e.act.object.value.(http.Handler)
	if !ok {
		(&wire.Problem{Code: wire.NoRoute, Object: st.key.String(), Detail: "class " + st.key.Class + " is served over gRPC only"}).WriteTo(out, r)
		return
	}
	handler.ServeHTTP(out, r.WithContext(&e.ctx))
}

// readStamp reads and authenticates what the gateway says of the request, and
// removes what is not for the handler.
func (h *Host) readStamp(r *http.Request) (stamp, error) {
	v, err := h.ofHeader(r.Header)
	if err != nil {
		return stamp{}, err
	}
	delete(r.Header, wire.HeaderAuth)
	delete(r.Header, wire.HeaderSession)
	return h.checkStamp(v, func() bool { return trusted(h, r) })
}

// noClass says what a request for a class gets that is not here.
func (h *Host) noClass(class string) error {
	return &failedError{wire.NoRoute, fmt.Errorf("this host runs no class %q; it runs %s", class, strings.Join(slices.Sorted(maps.Keys(h.classes)), ", "))}
}

// stampValues are what a stamp says, before anybody has looked whether it is true.
type stampValues struct{ object, session, token, auth string }

// stampValues reads a stamp. A header that is there twice is refused: whoever
// has judged the request before may have read the other one.
func (h *Host) stampValues(object, session, token, auth []string) (stampValues, error) {
	if max(len(object), len(session), len(token), len(auth)) > 1 {
		return stampValues{}, h.unauthorized("a header of the stamp is repeated: %d of %s, %d of %s, %d of %s, %d of %s", len(object), wire.HeaderObject,
			len(session), wire.HeaderSession, len(token), wire.HeaderToken, len(auth), wire.HeaderAuth)
	}
	return stampValues{only(object), only(session), only(token), only(auth)}, nil
}

func only(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// ofHeader is stampValues of a request; the server has made the names canonical.
func (h *Host) ofHeader(hd http.Header) (stampValues, error) {
	return h.stampValues(hd[wire.HeaderObject], hd[wire.HeaderSession], hd[wire.HeaderToken], hd[wire.HeaderAuth])
}

// checkStamp is the same for HTTP and gRPC. peer says whether the connection itself proves the peer.
func (h *Host) checkStamp(v stampValues, peer func() bool) (stamp, error) {
	n, err := owners.ParseToken(v.token) // one that the store cannot count would never be answered
	if err != nil {
		return stamp{}, h.unauthorized("no usable token: %v", err)
	}
	if h.signer != nil {
		if err := h.signer.Verify(v.auth, v.object, v.session, n, time.Now()); err != nil {
			return stamp{}, h.unauthorized("%v", err)
		}
	} else if !peer() {
		return stamp{}, h.unauthorized("this host has no mesh secret and believes only loopback peers and verified certificates")
	}
	key, err := owners.ParseKey(v.object)
	if err != nil {
		return stamp{}, &failedError{wire.ObjectKeyInvalid, err}
	}
	return stamp{key: key, sid: v.session, token: n}, nil
}

func (h *Host) unauthorized(msg string, args ...any) error {
	h.opt.Logger.Warn("refused a request that no gateway of this mesh has stamped", "why", fmt.Sprintf(msg, args...))
	return &refusedError{wire.Refusal{Reason: wire.ReasonAuth}}
}

// trusted says that the connection itself proves the peer.
func trusted(h *Host, r *http.Request) bool {
	if h.opt.mutualTLS() {
		return r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// answer tells why a request did not run.
func (h *Host) answer(w http.ResponseWriter, r *http.Request, err error) {
	var refused *refusedError
	var failed *failedError
	switch {
	case errors.As(err, &refused):
		h.refuse(w, r, refused)
	case errors.As(err, &failed):
		(&wire.Problem{Code: failed.code, Object: r.Header.Get(wire.HeaderObject), Detail: failed.Error()}).WriteTo(w, r)
	case errors.Is(err, context.Canceled): // the client is gone
		w.WriteHeader(499)
	default:
		(&wire.Problem{Code: wire.UpstreamTimeout, Object: r.Header.Get(wire.HeaderObject), Detail: "the request's own deadline passed before its turn came; nothing was executed"}).WriteTo(w, r)
	}
}

// refuse answers with the status that the stamper asked for. Nothing of the
// body has been read. Where a gRPC client may see it, it is a trailers-only UNAVAILABLE.
func (h *Host) refuse(w http.ResponseWriter, r *http.Request, e *refusedError) {
	w.Header().Set(wire.HeaderRefusal, e.Refusal.String())
	w.Header().Set("Cache-Control", "no-store")
	if h.leaving.Load() { // the connection is of no more use
		w.Header().Set("Connection", "close")
		h.asked()
	}
	switch r.Header.Get(wire.HeaderRefuse) {
	case "307":
		// Absolute: Envoy follows no other by itself, and would show it to the client.
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		w.Header().Set("Location", scheme+r.Host+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "503":
		(&wire.Problem{Code: wire.OwnerMoving, Object: r.Header.Get(wire.HeaderObject), Detail: e.Error(), Token: e.Token}).WriteTo(w, r)
	default:
		w.WriteHeader(http.StatusMisdirectedRequest)
	}
}

func (h *Host) server() *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: p, TLSConfig: h.opt.TLS, ReadHeaderTimeout: 30 * time.Second,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 10000},
		ConnState: h.farewell.state,
		ErrorLog:  slog.NewLogLogger(h.opt.Logger.Handler(), slog.LevelWarn), // TLS handshakes that failed, and why
	}
}

func (h *Host) serve(srv *http.Server, l net.Listener) error {
	l = keptListener{l, h.farewell}
	if h.opt.TLS != nil {
		return srv.ServeTLS(tlsListener{l}, "", "")
	}
	return srv.Serve(l)
}

// stopServer ends idle connections with a word to their peers, then the
// listener, and the others as they become idle.
func (h *Host) stopServer(srv *http.Server) {
	h.farewell.say()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close() // what is left has had its time
	}
}
