package ownerstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/owners"
)

// The client library sends a call again when its reply is late, and the first
// one may still run later. So every script call of a random history is run a
// second time at a random later moment, word for word.
var resendTests = map[string]func(*testing.T, *fixture){
	"scripts that are sent again do no harm": func(t *testing.T, f *fixture) {
		rec := &recorder{}
		f.rdb().AddHook(rec)
		rapid.Check(t, func(rt *rapid.T) {
			f.must(f.rdb().FlushDB(f.ctx).Err())
			f.must(f.store.Init(f.ctx))
			rec.sent, rec.on = nil, true
			h := &history{f: f, rt: rt, rec: rec, tokens: map[owners.Key]int64{}, user: map[string]string{}, nonces: map[string]int{}}
			for range 4 {
				h.sids = append(h.sids, f.host())
			}
			rt.Repeat(map[string]func(*rapid.T){
				"acquire": h.acquire, "release": h.release, "confirm": h.confirm, "renew": h.renew,
				"end": h.end, "resend": h.resend, "": h.check,
			})
			rec.on = false
		})
	},
}

// A recorder keeps every script call that was sent.
type recorder struct {
	on   bool
	sent [][]any
}

func (r *recorder) keep(cmds ...redis.Cmder) {
	for _, c := range cmds {
		if n := strings.ToLower(fmt.Sprint(c.Args()[0])); r.on && strings.HasPrefix(n, "eval") {
			r.sent = append(r.sent, c.Args())
		}
	}
}

func (r *recorder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.keep(cmd)
		return next(ctx, cmd)
	}
}

func (r *recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		r.keep(cmds...)
		return next(ctx, cmds)
	}
}

// A history is a random run of the protocol with what must hold of it.
type history struct {
	f      *fixture
	rt     *rapid.T
	rec    *recorder
	sids   []string
	tokens map[owners.Key]int64 // highest token seen
	user   map[string]string    // object and token → the session that may use it
	nonces map[string]int       // nonce → call after which it stood
	calls  int
	final  []string
}

func (h *history) key() owners.Key {
	return cart(rapid.SampledFrom([]string{"a", "b"}).Draw(h.rt, "object"))
}
func (h *history) sid() string { return rapid.SampledFrom(h.sids).Draw(h.rt, "session") }

func (h *history) acquire(rt *rapid.T) {
	k := h.key()
	_, _, err := h.f.store.Acquire(h.f.ctx, owners.Acquire{Key: k, Expect: h.f.pin(k), SID: h.sid(), Floor: h.tokens[k]})
	h.ok(err)
}

func (h *history) release(rt *rapid.T) {
	k := h.key()
	if p := h.f.pin(k); p.State != owners.None {
		_, _, err := h.f.store.Release(h.f.ctx, k, p.SID, p.Token)
		h.ok(err)
	}
}

func (h *history) confirm(rt *rapid.T) {
	k := h.key()
	if p := h.f.pin(k); p.State != owners.None {
		_, err := h.f.store.Confirm(h.f.ctx, k, p.SID, p.Token)
		h.ok(err)
	}
}

func (h *history) renew(rt *rapid.T) {
	sid := h.sid()
	_, err := h.f.store.Renew(h.f.ctx, sid, owners.Health{Ready: true})
	if s := h.f.session(sid).State; s.Final() == (err == nil) {
		rt.Fatalf("renewal of a %s session: %v", s, err)
	}
}

func (h *history) end(rt *rapid.T) {
	if len(h.final) > 1 { // two stay
		rt.Skip()
	}
	sid := h.sid()
	if h.f.session(sid).State == owners.Live {
		to := rapid.SampledFrom([]owners.SessionState{owners.Closed, owners.Dead, owners.Draining}).Draw(rt, "to")
		h.f.end(sid, to)
		if to.Final() {
			h.final = append(h.final, sid)
		}
	}
}

// resend runs an earlier call again.
func (h *history) resend(rt *rapid.T) {
	if len(h.rec.sent) == 0 {
		rt.Skip()
	}
	args := rapid.SampledFrom(h.rec.sent).Draw(rt, "call")
	h.rec.on = false
	err := h.f.rdb().Do(h.f.ctx, args...).Err()
	h.rec.on = true
	if err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		rt.Fatal(err)
	}
}

func (h *history) ok(err error) {
	if err != nil {
		h.rt.Fatal(err)
	}
}

// check: tokens never fall, a token has one session, final stays final, and a nonce that was replaced never stands again.
func (h *history) check(rt *rapid.T) {
	h.calls++
	for _, id := range []string{"a", "b"} {
		p := h.f.pin(cart(id))
		if p.Token < h.tokens[p.Key] {
			rt.Fatalf("%s fell from token %d to %d", p.Key, h.tokens[p.Key], p.Token)
		}
		h.tokens[p.Key] = p.Token
		use := fmt.Sprint(p.Key, p.Token)
		if s, ok := h.user[use]; ok && s != p.SID {
			rt.Fatalf("token %s is used by %s and %s", use, s, p.SID)
		}
		h.user[use] = p.SID
	}
	all, err := h.f.store.Sessions(h.f.ctx)
	h.ok(err)
	for _, s := range all {
		if slices.Contains(h.final, s.ID) && !s.State.Final() {
			rt.Fatalf("a final session came back: %+v", s)
		}
		n := s.Nonce
		if last, ok := h.nonces[n]; ok && last != h.calls-1 {
			rt.Fatalf("nonce %s came back", n)
		}
		h.nonces[n] = h.calls
	}
}
