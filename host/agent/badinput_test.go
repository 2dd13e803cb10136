package agent_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// What no gateway has stamped does not reach the upstream, whatever it asks for.
func TestStampsThatNoGatewayMade(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	var reached atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get(wire.HeaderEvent) != "" {
			reached.Add(1)
		}
	}))
	t.Cleanup(srv.Close)
	startAgent(m, "one", &upstream{addr: strings.TrimPrefix(srv.URL, "http://"), storage: addr(t)})
	k, now := key("1"), time.Now()
	c := m.Owner(k)
	for name, x := range map[string]struct {
		reason string
		spoil  func(http.Header)
	}{
		"no signature": {"auth", func(h http.Header) { h.Del(wire.HeaderAuth) }},
		"another secret": {"auth", func(h http.Header) {
			h.Set(wire.HeaderAuth, wire.NewSigner([]byte("another secret, of 30 bytes...")).Sign(k.String(), c.SID, c.Token, now))
		}},
		"a negative token": {"auth", func(h http.Header) {
			h.Set(wire.HeaderToken, "-5")
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, -5, now))
		}},
		"no number": {"auth", func(h http.Header) { h.Set(wire.HeaderToken, "12ab") }},
		"another session": {"session", func(h http.Header) {
			sid := owners.NewSID()
			h.Set(wire.HeaderSession, sid)
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), sid, c.Token, now))
		}},
		"the far future": {"stale", func(h http.Header) {
			h.Set(wire.HeaderToken, fmt.Sprint(c.Token+1<<50))
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, c.Token+1<<50, now))
		}},
	} {
		for _, path := range []string{"/", agent.PathDeactivate} {
			r := m.Request(t.Context(), k, c, "POST", path, http.NoBody)
			x.spoil(r.Header)
			a, refusal, err := m.Send(r)
			if err != nil || a.Status != http.StatusMisdirectedRequest || !strings.HasPrefix(refusal, "reason="+x.reason) {
				t.Errorf("%s to %s: %d %q, %v; want 421 reason=%s", name, path, a.Status, refusal, err, x.reason)
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d of them reached the upstream", n)
	}
	m.Until("one that a gateway made does", func() bool {
		_, refusal, err := m.Send(m.Request(t.Context(), k, c, "GET", "/", http.NoBody))
		return err == nil && refusal == "" && reached.Load() == 1
	})
}
