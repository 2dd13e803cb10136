package gateway

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// clean removes from a client's head what only we, or a trusted peer, may say.
func clean(h http.Header, req Request, remote string) {
	wire.Strip(h)
	if h.Del(wire.HeaderCaller); req.Caller != "" {
		h[wire.HeaderCaller] = []string{req.Caller}
	}
	if !req.Trusted {
		for name := range h {
			if strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Envoy-") || name == "Forwarded" {
				delete(h, name)
			}
		}
	}
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		from := ap.Addr().Unmap().String()
		if before := h.Values("X-Forwarded-For"); len(before) > 0 {
			from = strings.Join(before, ", ") + ", " + from
		}
		h.Set("X-Forwarded-For", from)
	}
}

// stamp tells the host's gate which object this is for, and proves that we say so.
// refuse is the status with which the gate shall refuse.
func (g *Gateway) stamp(h http.Header, key owners.Key, t *Target, refuse string) {
	object := key.String()
	h[wire.HeaderObject] = []string{object}
	if t.SID == "" {
		return // affinity: no pin, no gate
	}
	h[wire.HeaderSession] = []string{t.SID}
	h[wire.HeaderToken] = []string{strconv.FormatInt(t.Token, 10)}
	h[wire.HeaderRefuse] = []string{refuse}
	h[wire.HeaderAuth] = []string{g.opt.Signer.Sign(object, t.SID, t.Token, time.Now())}
}

// refusalOf reads a gate's refusal off a response's head: 421, or the 408 with
// which a host that leaves ends a connection that it took for idle.
func refusalOf(status int, h http.Header) (wire.Refusal, bool) {
	v := h.Get(wire.HeaderRefusal)
	if v == "" || status != http.StatusMisdirectedRequest && status != http.StatusRequestTimeout {
		return wire.Refusal{}, false
	}
	ref, err := wire.ParseRefusal(v)
	return ref, err == nil
}
