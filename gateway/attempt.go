package gateway

import (
	"context"
	"io"
	"net/http"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/wire"
)

// refuseMisdirected asks a gate for 421: it is us who read it, never the client.
const refuseMisdirected = "421"

// attempt is one try of a call at one target: what is changed on the way there and back.
type attempt struct {
	*call
	target  *Target
	doubt   *doubt
	refusal wire.Refusal
}

// do makes the attempt. The doubt ends with it: a request that is held
// afterwards did not start, and the end of that host's session is not its end.
func (a *attempt) do(ctx context.Context, body io.ReadCloser) forward.Result {
	defer a.doubt.stop()
	return a.forwarder().Do(ctx, a.w, a.r, forward.Attempt{
		Addr: a.target.Addr, Body: body, Head: a.head, Answer: a.answer, Trailer: a.trailer, RequestTrailer: passTrailer,
	})
}

// head changes the outgoing request head.
func (a *attempt) head(h http.Header) {
	clean(h, a.req, a.r.RemoteAddr)
	if a.req.Class.Mode == routing.ModeObserve {
		return
	}
	a.g.stamp(h, a.key, a.target, refuseMisdirected)
	if a.target.SID != "" && a.body != nil && a.r.ProtoMajor == 1 && (a.r.ContentLength < 0 || a.r.ContentLength > expectAbove) {
		h["Expect"] = []string{"100-continue"}
	}
}

// answer looks at the host's response head: a gate's refusal is withheld from
// the client, everything else is the answer.
func (a *attempt) answer(status int, h http.Header) bool {
	if a.target.SID != "" {
		if ref, ok := refusalOf(status, h); ok {
			a.refusal = ref
			return false
		}
	}
	a.doubt.answered()
	a.body.accepted()
	a.hold.settled()
	if a.req.Class.Mode == routing.ModeObserve {
		a.ev.ObjectVersion = versionOf(h.Get(a.g.opt.VersionHeader))
	}
	a.ev.answered(status, h)
	a.ev.Upgrade = status == http.StatusSwitchingProtocols
	wire.Strip(h)
	if a.req.Class.Mode != routing.ModeObserve && a.target.Version != "" {
		h[wire.HeaderObjectVersion] = []string{a.req.Class.App + "@" + a.target.Version}
	}
	h.Del(wire.HeaderOverride)
	if o := a.d.overrideAnswer(a.target.Version); o != "" {
		h[wire.HeaderOverride] = []string{o}
		a.ev.Override = o
	}
	return true
}

// trailer changes the response's trailers.
func (a *attempt) trailer(h http.Header) {
	wire.Strip(h)
	a.ev.grpcStatus(h)
}

// passTrailer says whether a client's trailer goes to the host.
func passTrailer(name string) bool {
	h := http.Header{name: nil}
	wire.Strip(h)
	return len(h) == 1 && name != wire.HeaderCaller
}

// finish looks at an answer that has left.
func (a *attempt) finish(result forward.Result) error {
	if result.Err == nil || a.ev.Upgrade {
		return nil
	}
	return &cutError{err: result.Err}
}
