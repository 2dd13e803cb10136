package owners

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// Each protection is removed in turn, with the layers that would mask its
// loss; the scenario must then find a violation, and must find none while it
// is in place. What cannot be seen at the store alone is removed in the
// simulation of the whole.
var controls = []struct {
	protection string
	weaken     func(w *world)
	scenario   func(w *world) string // the violation, "" for none
}{
	{"a token is above every floor", func(w *world) {
		w.cut(&w.s.scripts.acquire, "floor + 1, ", "")
	}, tokenAfterRollback},
	{"a token is above the time", func(w *world) {
		w.cut(&w.s.scripts.acquire, ", us + (tonumber(e[3]) or 0)", "")
	}, tokenAfterLossOfThePin},
	{"a token is above the last one", func(w *world) {
		w.cut(&w.s.scripts.acquire, "prev + 1, ", "")
	}, tokenUnderAClockStep},
	{"a token is above those of a life that was lost", func(w *world) {
		w.cut(&w.s.scripts.raise, "seen > us + off and", "false and")
	}, tokenAfterLossOfEverything},
	{"who mints heeds what watchers know of a life that was lost", func(w *world) {
		w.cut(&w.s.scripts.acquire, "(tonumber(e[2]) or 0) + 1, us + (tonumber(e[3]) or 0)", "us")
	}, tokenAfterLossOfEverything},
	{"tokens of a store that was put back grow with time", func(w *world) {
		w.cut(&w.s.scripts.acquire, " + (tonumber(e[3]) or 0)", "")
	}, tokenAfterLossOfTwoPins},
	{"a token is above those that a rollback took", func(w *world) {
		w.cut(&w.s.scripts.raise, "seen > us + off and", "false and")
	}, tokenAfterRollbackOfTheTime},
	{"who mints by a clock that was set on has seen it", func(w *world) { w.unseen = true }, tokenOfTheFuture},
	{"nobody acquires during the hold", func(w *world) {
		w.cut(&w.s.scripts.acquire, "~= 'open'", "== 'nothing'")
	}, acquireAfterFlush},
	{"missing is not final", func(w *world) {
		w.cut(&w.s.scripts.acquire, "last == 'dead'", "not last")
	}, acquireFromMissing},
	{"only a session that takes pins gets one", func(w *world) {
		w.cut(&w.s.scripts.acquire, "x[2] ~= 'live' or", "")
	}, acquireForADeadSession},
	{"the expected owner is checked", func(w *world) {
		w.cut(&w.s.scripts.acquire, "prev == expT and p[3] == ARGV[a]", "true")
	}, acquireFromAnother},
	{"an owned pin does not expire", func(w *world) {
		w.cut(&w.s.scripts.acquire, "if p ~= none then call('PERSIST', pin) end", "")
	}, ownedPinAfterADay},
	{"only the owner releases", func(w *world) {
		w.cut(&w.s.scripts.release, "p[3] ~= ARGV[1] or ", "")
	}, releaseByAnother},
	{"dead needs the nonce that was seen", func(w *world) {
		w.cut(&w.s.scripts.dead, "(x[3] or '') == ARGV[1]", "true")
	}, deadAfterARenewal},
	{"every renewal has a nonce of its own", func(w *world) {
		w.cut(&w.s.scripts.renew, " .. ':' .. us .. ':' .. string.format('%.0f', k)", "")
	}, lateRenewal},
	{"a renewal counts when the replica has it", func(w *world) { w.unwaited = true }, renewalThatNoReplicaHas},
	{"timers start again at a failover", func(w *world) { w.sameRunID = true }, failoverThatLostARenewal},
	{"dead runs on the server that was watched", func(w *world) {
		w.cut(&w.s.scripts.dead, "ARGV[3] ~= server()", "false")
	}, failoverBeforeDead},
	{"a final session stays final", func(w *world) {
		w.cut(&w.s.scripts.register, "x[2] ~= 'live' and x[2] ~= 'draining'", "false")
	}, lateRegister},
	{"a lease is not above leases.max", func(w *world) {
		w.cut(&w.s.scripts.register, "tonumber(ARGV[3]) > tonumber(ARGV[4])", "false")
	}, leaseAboveTheHold},
	{"init is refused where there are sessions", func(w *world) {
		w.cut(&w.s.scripts.init, "redis.call('SCARD', KEYS[2]) > 0", "redis.call('SCARD', KEYS[2]) > 1000")
	}, initWithHosts},
	{"a hold is as long as the longest lease", func(w *world) {
		w.s.opt.MaxLease = lease
		w.s.maxLease.Store(int64(lease))
	}, holdOfAShortLease},
}

func TestControls(t *testing.T) {
	for _, c := range controls {
		t.Run(c.protection, func(t *testing.T) {
			if v := c.scenario(newWorld(t)); v != "" {
				t.Errorf("with the protection: %s", v)
			}
			w := newWorld(t)
			c.weaken(w)
			if c.scenario(w) == "" {
				t.Error("without the protection nothing was found")
			}
		})
	}
}

// A world is an embedded store whose clocks, data and run id a scenario moves.
type world struct {
	t         *testing.T
	ctx       context.Context
	e         *Embedded
	s         *Store
	watcher   *Watcher
	now       time.Duration // of watchers and hosts
	sameRunID bool
	unwaited  bool // WAIT counts replicas that have nothing
	unseen    bool // minting is no reading of the token clock
}

const lease, longest = 2 * time.Second, 10 * time.Second

func newWorld(t *testing.T) *world {
	t.Helper()
	e, err := StartEmbedded("", true)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: t.Context(), e: e, now: time.Hour}
	w.s, err = Open(w.ctx, Options{
		URL: e.URL(), Dial: e.Dial, MaxLease: longest, Timeout: 30 * time.Second, Clock: func() time.Duration { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.watcher = NewWatcher(w.s, "g", nil)
	t.Cleanup(func() {
		_ = w.s.Close()
		_ = e.Close()
	})
	return w
}

// cut replaces a part of a rule, and fails when the rule does not have it any more.
func (w *world) cut(sc *Script, old, by string) {
	w.t.Helper()
	if strings.Count(sc.src, old) != 1 {
		w.t.Fatalf("%s has %q %d times", sc.name, old, strings.Count(sc.src, old))
	}
	weak := NewScript(sc.name, strings.Replace(sc.src, old, by, 1))
	weak.keys, weak.args = sc.keys, sc.args
	*sc = weak
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) host() string {
	w.t.Helper()
	sid := NewSID()
	_, err := w.s.Register(w.ctx, registrationOf(sid))
	w.must(err)
	return sid
}

func registrationOf(sid string) Registration {
	return Registration{
		SID: sid, Addr: "a:1", Name: "n", App: "shop", Version: "v1", Classes: []string{"Cart"}, Lease: lease, Ready: true,
	}
}

var object = Key{Class: "Cart", ID: "1"}

func (w *world) acquire(expect Pin, sid string, floor int64) (Pin, bool) {
	w.t.Helper()
	p, won, err := w.s.Acquire(w.ctx, Acquire{Key: object, Expect: expect, SID: sid, Floor: floor})
	if err != nil {
		return p, false
	}
	return p, won
}

func (w *world) poll() {
	w.t.Helper()
	w.must(w.watcher.step(w.ctx))
}

func (w *world) state(sid string) SessionState {
	w.t.Helper()
	s, _, err := w.s.Session(w.ctx, sid)
	w.must(err)
	return s.State
}

// copyOf takes all hashes of the store; restore puts them back, as the
// promotion of a replica does that lacks what came since. The server is
// another one then.
func (w *world) copyOf() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, k := range w.e.mini.Keys() {
		if w.e.mini.Type(k) != "hash" {
			continue
		}
		all[k] = map[string]string{}
		names, err := w.e.mini.HKeys(k)
		w.must(err)
		for _, n := range names {
			all[k][n] = w.e.mini.HGet(k, n)
		}
	}
	return all
}

func (w *world) restore(all map[string]map[string]string) {
	for k, fields := range all {
		w.e.mini.Del(k)
		for n, v := range fields {
			w.e.mini.HSet(k, n, v)
		}
	}
	w.newServer()
}

func (w *world) newServer() {
	if !w.sameRunID {
		w.e.mini.Server().SetPreHook(infoHook(random128()))
	}
}

// passedOn releases the object and gives it to another host: the pin between the two, a copy of the store of
// that moment, and the pin after it.
func (w *world) passedOn() (released Pin, before map[string]map[string]string, used Pin) {
	w.t.Helper()
	a, b := w.host(), w.host()
	first, _ := w.acquire(Pin{}, a, 0)
	released, _, err := w.s.Release(w.ctx, object, a, first.Token)
	w.must(err)
	before = w.copyOf()
	used, _ = w.acquire(released, b, 0)
	return released, before, used
}

// A pin falls back behind a token that was used, and the store's clock with it; a caller knows the token.
func tokenAfterRollback(w *world) string {
	released, before, used := w.passedOn()
	w.restore(before)
	w.e.mini.SetTime(time.Now().Add(-time.Hour))
	if again, won := w.acquire(released, released.SID, used.Token); won && again.Token <= used.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, used.Token)
	}
	return ""
}

// A pin is lost and no caller knows its token any more.
func tokenAfterLossOfThePin(w *world) string {
	a := w.host()
	used, _ := w.acquire(Pin{}, a, 0)
	w.e.mini.Del(pinKey(object))
	if again, won := w.acquire(Pin{}, a, 0); won && again.Token <= used.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, used.Token)
	}
	return ""
}

// The store's clock is set back; the caller is a fresh one.
func tokenUnderAClockStep(w *world) string {
	a := w.host()
	used, _ := w.acquire(Pin{}, a, 0)
	released, _, err := w.s.Release(w.ctx, object, a, used.Token)
	w.must(err)
	w.e.mini.SetTime(time.Now().Add(-time.Hour))
	if again, won := w.acquire(released, a, 0); won && again.Token <= used.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, used.Token)
	}
	return ""
}

// loss takes all data, sets the clock back by an hour, and lasts until the store is open again.
func (w *world) loss() {
	w.t.Helper()
	w.e.mini.FlushAll()
	w.e.mini.SetTime(time.Now().Add(-time.Hour))
	for range 3 {
		w.poll()
		w.now += WatchSpan(longest)
	}
	if e, err := w.s.Epoch(w.ctx); err != nil || !e.Open {
		w.t.Fatalf("%+v, %v", e, err)
	}
}

// The store loses its data and its time; no caller knows the token any more, but whoever watches knows the time.
func tokenAfterLossOfEverything(w *world) string {
	w.poll()
	used, _ := w.acquire(Pin{}, w.host(), 0)
	w.poll()
	w.loss()
	if again, won := w.acquire(Pin{}, w.host(), 0); !won || again.Token <= used.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, used.Token)
	}
	return ""
}

// After such a loss the pin alone is lost, as it expires a day after its release.
func tokenAfterLossOfTwoPins(w *world) string {
	w.poll()
	w.loss()
	first, _ := w.acquire(Pin{}, w.host(), 0)
	w.e.mini.Del(pinKey(object))
	w.e.mini.SetTime(time.Now().Add(-time.Hour + time.Second))
	if again, won := w.acquire(Pin{}, w.host(), 0); !won || again.Token <= first.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, first.Token)
	}
	return ""
}

// The store falls back to an older copy, and its time with it; its life is the same, so nobody holds.
func tokenAfterRollbackOfTheTime(w *world) string {
	released, before, used := w.passedOn()
	w.poll()
	w.restore(before)
	w.e.mini.SetTime(time.Now().Add(-time.Hour))
	w.poll()
	if again, won := w.acquire(released, released.SID, 0); !won || again.Token <= used.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, used.Token)
	}
	return ""
}

// The clock is set on after the last poll, and a token is minted by it; then all is lost.
func tokenOfTheFuture(w *world) string {
	w.poll()
	seen := w.s.tokens.highest
	w.e.mini.SetTime(time.Now().Add(time.Hour))
	used, _ := w.acquire(Pin{}, w.host(), 0)
	if w.unseen {
		w.s.tokens.highest = seen
	}
	w.loss()
	if again, won := w.acquire(Pin{}, w.host(), 0); !won || again.Token <= used.Token {
		return fmt.Sprintf("token %d after %d was used", again.Token, used.Token)
	}
	return ""
}

// The store loses its data; a host that did not notice runs on for its lease.
func acquireAfterFlush(w *world) string {
	a := w.host()
	w.acquire(Pin{}, a, 0)
	w.e.mini.FlushAll()
	b := w.host()
	for range 5 {
		w.poll()
		if _, won := w.acquire(Pin{}, b, 0); won {
			return "two hosts own the object"
		}
		w.now += lease / 5
	}
	return ""
}

// Only the session record is gone; its host holds a lease.
func acquireFromMissing(w *world) string {
	a, b := w.host(), w.host()
	p, _ := w.acquire(Pin{}, a, 0)
	w.e.mini.Del(sessionKey(a))
	if _, won := w.acquire(p, b, 0); won {
		return "a pin was taken from a session that may live"
	}
	return ""
}

func acquireForADeadSession(w *world) string {
	a := w.host()
	w.must(w.s.CloseSession(w.ctx, a))
	if _, won := w.acquire(Pin{}, a, 0); won {
		return "a pin was given to a closed session"
	}
	return ""
}

// The caller saw another owner, which is dead; the pin has moved on since.
func acquireFromAnother(w *world) string {
	a, b, c := w.host(), w.host(), w.host()
	p, _ := w.acquire(Pin{}, a, 0)
	w.must(w.s.CloseSession(w.ctx, a))
	w.acquire(p, b, 0)
	if _, won := w.acquire(p, c, 0); won {
		return "a pin was taken from a live session"
	}
	return ""
}

func ownedPinAfterADay(w *world) string {
	a := w.host()
	p, _ := w.acquire(Pin{}, a, 0)
	p, _, err := w.s.Release(w.ctx, object, a, p.Token)
	w.must(err)
	w.acquire(p, a, 0)
	w.e.mini.FastForward(2 * releasedTTL)
	if p, _, _, err := w.s.Pin(w.ctx, object); err != nil || p.State != Owned {
		return fmt.Sprintf("an owned pin is gone: %+v, %v", p, err)
	}
	return ""
}

func releaseByAnother(w *world) string {
	a, b := w.host(), w.host()
	p, _ := w.acquire(Pin{}, a, 0)
	if _, ok, _ := w.s.Release(w.ctx, object, b, p.Token); ok {
		return "somebody else released the pin"
	}
	return ""
}

// A renewal comes between the look of a watcher and its verdict.
func deadAfterARenewal(w *world) string {
	a := w.host()
	s, _, err := w.s.Session(w.ctx, a)
	w.must(err)
	_, err = w.s.Renew(w.ctx, a, Health{Ready: true})
	w.must(err)
	_, err = w.s.Dead(w.ctx, a, s.Nonce)
	w.must(err)
	if w.state(a).Final() {
		return "a session was declared dead that has just been renewed"
	}
	return ""
}

// The watcher sees a renewal; the host renews again; then the first renewal
// is sent again by the client library and the watcher sees its nonce again.
func lateRenewal(w *world) string {
	a := w.host()
	first := func() {
		_, err := w.s.run(w.ctx, w.s.scripts.renew, []string{sessionKey(a), keyEpoch}, "r1", "1", 0, 0)
		w.must(err)
	}
	first()
	w.poll()
	w.now += lease / 2
	_, err := w.s.Renew(w.ctx, a, Health{Ready: true})
	w.must(err)
	leaseEnds := w.now + HostSpan(lease)
	first()
	w.now += lease/2 + lease/100
	w.poll()
	if w.now < leaseEnds && w.state(a).Final() {
		return "a session was declared dead within its lease"
	}
	return ""
}

// The store falls back to before a renewal, which the watcher never saw.
func failoverThatLostARenewal(w *world) string {
	a := w.host()
	w.poll()
	before := w.copyOf()
	w.now += lease * 9 / 10
	_, err := w.s.Renew(w.ctx, a, Health{Ready: true})
	w.must(err)
	leaseEnds := w.now + HostSpan(lease)
	w.restore(before)
	w.now += lease / 5
	w.poll()
	if w.now < leaseEnds && w.state(a).Final() {
		return "a session was declared dead within its lease"
	}
	return ""
}

// The replica hangs when the host renews, and is promoted then. Watchers that
// cannot tell one server from another, which hides the loss, see the nonce of before.
func renewalThatNoReplicaHas(w *world) string {
	a := w.host()
	leaseEnds := w.now + HostSpan(lease)
	w.poll()
	before := w.copyOf()
	w.sameRunID, w.s.opt.Replicas = true, 1
	info := infoHook(random128())
	w.e.mini.Server().SetPreHook(func(p *server.Peer, cmd string, args ...string) bool {
		if cmd != "WAIT" {
			return info(p, cmd, args...)
		}
		acked := 0
		if w.unwaited {
			acked = 1
		}
		p.WriteInt(acked)
		return true
	})
	w.poll()
	w.now += lease * 9 / 10
	if _, err := w.s.Renew(w.ctx, a, Health{Ready: true}); err == nil {
		leaseEnds = w.now + HostSpan(lease)
	}
	w.restore(before)
	w.now += lease / 5
	w.poll()
	if w.now < leaseEnds && w.state(a).Final() {
		return "a session was declared dead within its lease"
	}
	return ""
}

// The same, but the failover comes between the look and the verdict.
func failoverBeforeDead(w *world) string {
	a := w.host()
	w.poll()
	old := w.watcher.runID
	before := w.copyOf()
	seen := w.watcher.seen[a].value
	_, err := w.s.Renew(w.ctx, a, Health{Ready: true})
	w.must(err)
	w.restore(before)
	_, err = w.s.deadOn(w.ctx, a, seen, old)
	w.must(err)
	if w.state(a).Final() {
		return "a session was declared dead within its lease"
	}
	return ""
}

// A register that was sent twice runs again after the session was closed.
func lateRegister(w *world) string {
	a := w.host()
	w.must(w.s.CloseSession(w.ctx, a))
	if _, err := w.s.Register(w.ctx, registrationOf(a)); err == nil {
		return "a closed session renewed its lease"
	}
	return ""
}

// A host asks for a lease that outlives the hold.
func leaseAboveTheHold(w *world) string {
	r := registrationOf(NewSID())
	r.Lease = longest * 2
	if _, err := w.s.Register(w.ctx, r); err == nil {
		return "a lease outlives every hold"
	}
	return ""
}

func initWithHosts(w *world) string {
	w.e.mini.FlushAll()
	a := w.host()
	w.must(ignore(w.s.Init(w.ctx), ErrSessions))
	if _, won := w.acquire(Pin{}, a, 0); won {
		return "acquired although hosts of before may run"
	}
	return ""
}

// The longest lease was granted just before the store lost its data.
func holdOfAShortLease(w *world) string {
	r := registrationOf(NewSID())
	r.Lease = longest
	if _, err := w.s.Register(w.ctx, r); err != nil { // the weakened store would refuse it, its elders did not
		w.e.mini.HSet(sessionKey(r.SID), "lh", fmt.Sprint(longest.Milliseconds()))
	}
	leaseEnds := w.now + HostSpan(longest)
	w.e.mini.FlushAll()
	b := w.host()
	for w.now < leaseEnds {
		w.poll()
		if _, won := w.acquire(Pin{}, b, 0); won {
			return "acquired within a lease of before"
		}
		w.now += 100 * time.Millisecond
		_, _ = w.s.Renew(w.ctx, b, Health{Ready: true}) // so that the new host lives
	}
	return ""
}

func ignore(err, expected error) error {
	if err == nil || strings.Contains(err.Error(), expected.Error()) {
		return nil
	}
	return err
}
