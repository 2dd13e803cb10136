package host_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// releaseBody is what a mover says beside its stamp.
func releaseBody(k owners.Key, c testmesh.Target, mode, deadline string) string {
	return fmt.Sprintf(`{"object":%q,"token":%d,"mode":%q,"deadline":%s}`, k, c.Token, mode, deadline)
}

// A release that no mover of this mesh has asked for, or that makes no sense, changes nothing.
func TestReleasesThatAreNone(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	now := time.Now()
	good := releaseBody(k, c, wire.ReleaseNow, `"5s"`)
	send := func(method, body string, spoil func(http.Header)) (int, string, http.Header) {
		r := m.Request(t.Context(), k, c, method, wire.PathRelease, strings.NewReader(body))
		spoil(r.Header)
		a, _, err := m.Send(r)
		if err != nil {
			t.Fatal(err)
		}
		return a.Status, a.Body, a.Header
	}
	as := func(http.Header) {}
	for what, x := range map[string]struct {
		method, body string
		spoil        func(http.Header)
		status       int
		says         string
	}{
		"without a stamp": {"POST", good, func(h http.Header) { h.Del(wire.HeaderAuth) }, 421, "reason=auth"},
		"of another secret": {"POST", good, func(h http.Header) {
			h.Set(wire.HeaderAuth, wire.NewSigner([]byte("another secret, of 30 bytes...")).Sign(k.String(), c.SID, c.Token, now))
		}, 421, "reason=auth"},
		"long ago": {"POST", good, func(h http.Header) {
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, c.Token, now.Add(-time.Hour)))
		}, 421, "reason=auth"},
		"a negative token":     {"POST", good, func(h http.Header) { h.Set(wire.HeaderToken, "-1") }, 421, "reason=auth"},
		"a token that is none": {"POST", good, func(h http.Header) { h.Set(wire.HeaderToken, "1e3") }, 421, "reason=auth"},
		"a token that the store cannot count": {"POST", releaseBody(k, testmesh.Target{Token: 1 << 53}, wire.ReleaseNow, `"5s"`), func(h http.Header) {
			h.Set(wire.HeaderToken, itoa(1<<53))
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, 1<<53, now))
		}, 421, "reason=auth"},
		"no token": {"POST", releaseBody(k, testmesh.Target{}, wire.ReleaseNow, `"5s"`), func(h http.Header) {
			h.Set(wire.HeaderToken, "0")
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, 0, now))
		}, 421, "reason=auth"},
		"another session's": {"POST", good, func(h http.Header) {
			sid := owners.NewSID()
			h.Set(wire.HeaderSession, sid)
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), sid, c.Token, now))
		}, 421, "reason=session"},
		"no body":               {"POST", "", as, 400, "read release request"},
		"a body that is none":   {"POST", "{", as, 400, "read release request"},
		"another object's body": {"POST", releaseBody(key("2"), c, wire.ReleaseNow, `"5s"`), as, 400, "differ from the signed headers"},
		"another token's body":  {"POST", releaseBody(k, testmesh.Target{Token: c.Token + 1}, wire.ReleaseNow, `"5s"`), as, 400, "differ from the signed headers"},
		"an unknown mode":       {"POST", releaseBody(k, c, "soon", `"5s"`), as, 400, "want when-idle, drain or now"},
		"a negative deadline":   {"POST", releaseBody(k, c, wire.ReleaseNow, `"-5s"`), as, 400, "deadline"},
		"a GET":                 {"GET", good, as, 405, "takes POST only"},
	} {
		status, body, h := send(x.method, x.body, x.spoil)
		if status != x.status || !strings.Contains(body+h.Get(wire.HeaderRefusal), x.says) {
			t.Errorf("%s: status %d %s %s; want %d with %q", what, status, body, h.Get(wire.HeaderRefusal), x.status, x.says)
		}
		if (h.Get("Allow") == "POST") != (status == 405) {
			t.Errorf("%s: status %d allows %q", what, status, h.Get("Allow"))
		}
	}
	if a, r := attempt(t, m, k, c); a.Body != "2" || !owned(m, k) {
		t.Errorf("count %q, %+v; want 2: the object has not left", a.Body, r)
	}
	if status, body, _ := send("POST", good, as); status != 200 || !strings.Contains(body, `"released":true`) {
		t.Errorf("the one that makes sense: status %d %s", status, body)
	}
}

// A release at a host for an object that is another host's ends nothing, there or here.
func TestReleaseOfSomebodyElsesObject(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	k := key("1")
	owner := m.Owner(k)
	attempt(t, m, k, owner)
	other := m.Start("two", counting("two", nil))
	s, ok := m.SessionAt(other.Addr)
	if !ok {
		t.Fatal("the other host has no session")
	}
	for _, token := range []int64{1, owner.Token, owner.Token + 1, 1 << 52, 1<<53 - 1} {
		reply, err := m.ReleaseAt(k, testmesh.Target{Addr: other.Addr, SID: s.ID, Token: token}, wire.ReleaseNow, 5*time.Second)
		if err != nil {
			t.Errorf("token %d: %v", token, err)
		}
		pin, _, _, err := m.Store.Pin(t.Context(), k)
		if err != nil || pin.State != owners.Owned || pin.SID != owner.SID || pin.Token != owner.Token {
			t.Fatalf("token %d: the pin is %+v after %+v, %v; want it as it was", token, pin, reply, err)
		}
	}
	if a, r := attempt(t, m, k, owner); a.Body != "2" && a.Status != 200 {
		t.Errorf("status %d %q, %+v; want the owner to go on", a.Status, a.Body, r)
	}
}

// What is active is told to gateways only.
func TestActiveIsForGateways(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	h := m.Start("one", counting("one", nil))
	s, ok := m.SessionAt(h.Addr)
	if !ok {
		t.Fatal("no session")
	}
	ask := func(method string, header http.Header) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.Addr+host.PathActive, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		res, err := m.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b) + res.Header.Get(wire.HeaderRefusal)
	}
	good := http.Header{wire.HeaderSession: {s.ID}, wire.HeaderAuth: {m.Signer.Sign("", s.ID, 0, time.Now())}}
	for what, header := range map[string]http.Header{
		"nothing":              {},
		"without a stamp":      {wire.HeaderSession: {s.ID}},
		"another secret":       {wire.HeaderSession: {s.ID}, wire.HeaderAuth: {wire.NewSigner([]byte("another secret, of 30 bytes...")).Sign("", s.ID, 0, time.Now())}},
		"a stamp of a request": {wire.HeaderSession: {s.ID}, wire.HeaderAuth: {m.Signer.Sign("Cart/1", s.ID, 1, time.Now())}},
		"two sessions":         {wire.HeaderSession: {s.ID, "x"}, wire.HeaderAuth: good[wire.HeaderAuth]},
	} {
		if status, body := ask("GET", header); status != 421 || !strings.Contains(body, "reason=auth") {
			t.Errorf("%s: status %d %s, want 421 reason=auth", what, status, body)
		}
	}
	if status, body := ask("POST", good); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d %s, want 405", status, body)
	}
	if status, body := ask("GET", good); status != 200 || !strings.Contains(body, s.ID) {
		t.Errorf("GET: status %d %s", status, body)
	}
}
