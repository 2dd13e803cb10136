package host_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// attempt sends one stamped request and gives what the gate said.
func attempt(t *testing.T, m *testmesh.Mesh, k owners.Key, c testmesh.Target) (testmesh.Answer, wire.Refusal) {
	t.Helper()
	a, header, err := m.Send(m.Request(t.Context(), k, c, "POST", "/add", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	if header == "" {
		return a, wire.Refusal{}
	}
	if a.Status != http.StatusMisdirectedRequest {
		t.Errorf("refused with status %d, want 421", a.Status)
	}
	r, err := wire.ParseRefusal(header)
	if err != nil {
		t.Fatal(err)
	}
	return a, r
}

// owned says whether the pin of k is OWNED.
func owned(m *testmesh.Mesh, k owners.Key) bool {
	pin, _, _, err := m.Store.Pin(m.T.Context(), k)
	return err == nil && pin.State == owners.Owned
}

// The rows of the table in gate.go.
func TestGate(t *testing.T) {
	t.Parallel()
	t.Run("row 1: the lease has passed", func(t *testing.T) {
		t.Parallel()
		m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
		m.Start("one", counting("one", nil), faulty(nil, st))
		c := m.Owner(key("1"))
		if a, _ := attempt(t, m, key("1"), c); a.Status != 200 {
			t.Errorf("within the lease: %d", a.Status)
		}
		defer st.hold(faults.BeforeRenew)()
		st.jump()
		for range 2 {
			if _, r := attempt(t, m, key("1"), c); r.Reason != wire.ReasonLease {
				t.Errorf("refused with %+v, want lease", r)
			}
		}
	})
	t.Run("row 2: another session", func(t *testing.T) {
		t.Parallel()
		m := testmesh.New(t, testmesh.Embedded(t))
		m.Start("one", counting("one", nil))
		k := key("1")
		c := m.Owner(k)
		other := c
		other.SID = owners.NewSID()
		if _, r := attempt(t, m, k, other); r.Reason != wire.ReasonSession {
			t.Errorf("refused with %+v, want session", r)
		}
		if a, _ := attempt(t, m, k, c); a.Body != "1" {
			t.Errorf("count %q, want 1: the refused event must not have run", a.Body)
		}
	})
	t.Run("row 3: released here", func(t *testing.T) {
		t.Parallel()
		m := testmesh.New(t, testmesh.Embedded(t))
		m.Start("one", counting("one", nil))
		k := key("1")
		c := m.Owner(k)
		attempt(t, m, k, c)
		if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released || r.Token != c.Token {
			t.Fatalf("release: %+v", r)
		}
		if _, r := attempt(t, m, k, c); r.Reason != wire.ReasonReleased || r.Token != c.Token {
			t.Errorf("refused with %+v, want released at %d", r, c.Token)
		}
	})
	t.Run("row 4: below the active one, repaired", func(t *testing.T) {
		t.Parallel()
		m := testmesh.New(t, testmesh.Embedded(t))
		m.Start("one", counting("one", nil))
		k := key("1")
		old := m.Owner(k) // never used
		if _, ok, err := m.Store.Release(t.Context(), k, old.SID, old.Token); !ok || err != nil {
			t.Fatal(ok, err)
		}
		m.Forget(k)
		c := m.Owner(k)
		attempt(t, m, k, c)
		if _, r := attempt(t, m, k, old); r.Reason != wire.ReasonReleased || r.Token != c.Token {
			t.Errorf("refused with %+v, want released at %d", r, c.Token)
		}
		if !owned(m, k) {
			t.Error("the repair of an old token released the active one")
		}
	})
	t.Run("row 5: below the watermark and not active, repaired", func(t *testing.T) {
		t.Parallel()
		m := testmesh.New(t, testmesh.Embedded(t))
		m.Start("one", counting("one", nil), faulty(nil, nil), func(o *host.Options) { o.Faults.ReleasedCap = 1 })
		early := m.Owner(key("early")) // its token is the lowest, and it is not active
		active := m.Owner(key("active"))
		attempt(t, m, key("active"), active)
		for _, id := range []string{"2", "3"} { // two are released: the first one is evicted
			c := m.Owner(key(id))
			attempt(t, m, key(id), c)
			m.Release(key(id), wire.ReleaseNow, time.Minute)
		}
		_, r := attempt(t, m, key("early"), early)
		if r.Reason != wire.ReasonReleased || r.Token <= early.Token {
			t.Errorf("refused with %+v, want released above %d", r, early.Token)
		}
		m.Until("the pin is given back", func() bool { return !owned(m, key("early")) })
		if a, _ := attempt(t, m, key("active"), active); a.Status != 200 {
			t.Errorf("an active object below the watermark: status %d", a.Status)
		}
	})
	t.Run("row 6: a release is under way", func(t *testing.T) {
		t.Parallel()
		m, enter, leave := holdingMesh(t)
		k := key("1")
		c := m.Owner(k)
		held := m.LaterAt(k, c, "POST", "/add?hold=1")
		<-enter
		reply := make(chan wire.ReleaseReply, 1)
		go func() { r, _ := m.ReleaseAt(k, c, wire.ReleaseNow, time.Minute); reply <- r }()
		m.Until("it is marked", func() bool { a, _ := m.ActiveOf(k); return a.State == "releasing" })
		parked := m.LaterAt(k, c, "POST", "/add")
		m.Until("the next is parked", func() bool { a, _ := m.ActiveOf(k); return a.Waiting == 1 })
		close(leave)
		if a := <-held; a.Status != 200 {
			t.Errorf("the running event: status %d", a.Status)
		}
		if a := <-parked; a.Status != http.StatusMisdirectedRequest || !strings.HasPrefix(a.Refusal, "reason=released") {
			t.Errorf("the parked event: status %d, %s; want a refusal", a.Status, a.Refusal)
		}
		if r := <-reply; !r.Released {
			t.Errorf("release: %+v", r)
		}
	})
	t.Run("row 7: a soft release is under way", func(t *testing.T) {
		t.Parallel()
		m, enter, leave := holdingMesh(t)
		k := key("1")
		c := m.Owner(k)
		held := m.LaterAt(k, c, "POST", "/add?hold=1")
		<-enter
		reply := make(chan wire.ReleaseReply, 1)
		go func() { r, _ := m.ReleaseAt(k, c, wire.ReleaseWhenIdle, time.Minute); reply <- r }()
		m.Until("it is asked for", func() bool { a, _ := m.ActiveOf(k); return a.State == "releasing" })
		next := m.LaterAt(k, c, "POST", "/add")
		m.Until("the next waits", func() bool { a, _ := m.ActiveOf(k); return a.Waiting == 1 })
		close(leave)
		if a, b := <-held, <-next; a.Status != 200 || b.Status != 200 || b.Body != "2" {
			t.Errorf("status %d, %d with count %s; want both served", a.Status, b.Status, b.Body)
		}
		if r := <-reply; !r.Released {
			t.Errorf("release: %+v", r)
		}
	})
}

// holdingMesh has one host whose handlers wait inside when asked.
func holdingMesh(t *testing.T, edit ...func(*host.Options)) (m *testmesh.Mesh, enter chan string, leave chan struct{}) {
	t.Helper()
	m = testmesh.New(t, testmesh.Embedded(t))
	enter, leave = make(chan string, 100), make(chan struct{})
	hold := func(r *http.Request) { enter <- r.URL.Query().Get("hold"); <-leave }
	m.Start("one", counting("one", hold), edit...)
	return m, enter, leave
}

func TestStampsThatNoGatewayMade(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	h := m.Start("one", counting("one", nil))
	k := key("1")
	c := m.Owner(k)
	now := time.Now()
	for name, spoil := range map[string]func(h http.Header){
		"no stamp at all": func(h http.Header) { h.Del(wire.HeaderAuth) },
		"wrong secret": func(h http.Header) {
			h.Set(wire.HeaderAuth, wire.NewSigner([]byte("another secret, of 30 bytes...")).Sign(k.String(), c.SID, c.Token, now))
		},
		"too old": func(h http.Header) {
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, c.Token, now.Add(-2*time.Minute)))
		},
		"another object":       func(h http.Header) { h.Set(wire.HeaderObject, key("2").String()) },
		"another token":        func(h http.Header) { h.Set(wire.HeaderToken, strconv.FormatInt(c.Token+1, 10)) },
		"another session":      func(h http.Header) { h.Set(wire.HeaderSession, owners.NewSID()) },
		"a token that is none": func(h http.Header) { h.Set(wire.HeaderToken, "12ab") },
		"a negative token": func(h http.Header) {
			h.Set(wire.HeaderToken, "-5")
			h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, -5, now))
		},
		"a token beyond 64 bit": func(h http.Header) { h.Set(wire.HeaderToken, "99999999999999999999") },
		"nothing of ours":       func(h http.Header) { clear(h) },
		"the object twice":      func(h http.Header) { h.Add(wire.HeaderObject, key("2").String()) },
		"the session twice":     func(h http.Header) { h.Add(wire.HeaderSession, c.SID) },
		"the token twice":       func(h http.Header) { h.Add(wire.HeaderToken, "1") },
		"the stamp twice":       func(h http.Header) { h.Add(wire.HeaderAuth, "v1.0.") },
	} {
		r := m.Request(t.Context(), k, c, "POST", "/add", http.NoBody)
		spoil(r.Header)
		a, refusal, err := m.Send(r)
		if err != nil || a.Status != http.StatusMisdirectedRequest || refusal != "reason=auth; token=0" {
			t.Errorf("%s: status %d, %q, %v; want 421 reason=auth", name, a.Status, refusal, err)
		}
	}
	for _, id := range []string{"Cart/", "Cart/" + strings.Repeat("x", 513), "Cart/%01", "Cart/%zz"} {
		r := m.Request(t.Context(), k, c, "GET", "/", http.NoBody)
		r.Header.Set(wire.HeaderObject, id)
		r.Header.Set(wire.HeaderAuth, m.Signer.Sign(id, c.SID, c.Token, now))
		if a, _, err := m.Send(r); err != nil || a.Status != 400 || a.Code() != "object_key_invalid" {
			t.Errorf("object %.20q: status %d %s, %v; want 400 object_key_invalid", id, a.Status, a.Body, err)
		}
	}
	room := owners.Key{Class: "Room", ID: "1"}
	if a, _, err := m.Send(m.Request(t.Context(), room, c, "GET", "/", http.NoBody)); err != nil || a.Status != 404 || a.Code() != "no_route" || !strings.Contains(a.Body, "it runs Cart") {
		t.Errorf("an unknown class: status %d %s, %v; want 404 no_route that names what there is", a.Status, a.Body, err)
	}
	if _, err := m.ReleaseAt(k, testmesh.Target{Addr: h.Addr, SID: owners.NewSID(), Token: c.Token}, wire.ReleaseNow, time.Second); err == nil {
		t.Error("a release for another session's object was taken")
	}
	if a, _ := attempt(t, m, k, c); a.Body != "1" {
		t.Errorf("count %q, want 1: none of these may have run", a.Body)
	}
}

// A token from the future that nobody minted is not believed: it does not spread, and ends nothing.
func TestForgedTokenChangesNothing(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	k := key("1")
	c := m.Owner(k)
	attempt(t, m, k, c)
	forged := c
	forged.Token += 1 << 50
	if _, r := attempt(t, m, k, forged); r.Reason != wire.ReasonStale || r.Token != c.Token {
		t.Errorf("refused with %+v, want stale at %d", r, c.Token)
	}
	if reply, err := m.ReleaseAt(k, forged, wire.ReleaseNow, time.Second); err != nil || reply.Released {
		t.Errorf("release of a forged token: %+v, %v", reply, err)
	}
	if a, r := attempt(t, m, k, c); a.Body != "2" {
		t.Errorf("count %q, %+v; want 2: the owner goes on", a.Body, r)
	}
	inactive := key("2")
	c2 := m.Owner(inactive)
	forged = c2
	forged.Token += 1 << 50
	if _, r := attempt(t, m, inactive, forged); r.Reason != wire.ReasonStale || r.Token > c2.Token {
		t.Errorf("refused with %+v, want stale below %d", r, forged.Token)
	}
	m.Until("the real token works", func() bool { a, _ := attempt(t, m, inactive, c2); return a.Status == 200 })
}

// How the stamper wants to be refused.
func TestRefusalForAPicker(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	m.Start("one", counting("one", nil))
	k := key("1")
	c := m.Owner(k)
	c.SID = owners.NewSID()
	send := func(refuse, contentType string) testmesh.Answer {
		r := m.Request(t.Context(), k, c, "POST", "/add?x=%20y", http.NoBody)
		r.Header.Set(wire.HeaderRefuse, refuse)
		r.Header.Set("Content-Type", contentType)
		a, refusal, err := m.Send(r)
		if err != nil || !strings.HasPrefix(refusal, "reason=session") {
			t.Errorf("refuse with %s: %q, %v", refuse, refusal, err)
		}
		return a
	}
	if a := send("307", ""); a.Status != 307 || !strings.HasSuffix(a.Header.Get("Location"), c.Addr+"/add?x=%20y") {
		t.Errorf("status %d to %s, want 307 to the same URL", a.Status, a.Header.Get("Location"))
	}
	if a := send("503", ""); a.Status != 503 || a.Code() != "owner_moving" || a.Header.Get("Retry-After") == "" {
		t.Errorf("status %d %s, want 503 owner_moving", a.Status, a.Body)
	}
	if a := send("503", "application/grpc"); a.Status != 200 || a.Header.Get("Grpc-Status") != "14" {
		t.Errorf("status %d, grpc-status %s, want trailers-only UNAVAILABLE", a.Status, a.Header.Get("Grpc-Status"))
	}
	if a := send("junk", ""); a.Status != 421 {
		t.Errorf("status %d, want 421", a.Status)
	}
}
