package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Do makes one attempt of the gateway at a host, in place of sockets and of
// package forward: it may be late, refused, lost, answered in vain, or repeated
// by somebody in between. A pause may fall between the look at the pin and the sending.
func (g *proxy) Do(ctx context.Context, w http.ResponseWriter, r *http.Request, a forward.Attempt) (result forward.Result) {
	o := ctx.Value(opKey{}).(*op)
	g.w.check.sends(o)
	defer func() {
		if result.Stage == forward.NotSent || result.Stage == forward.Withheld {
			g.w.check.returns(o)
		}
	}()
	if a.Body != nil {
		defer a.Body.Close()
	}
	g.stand()
	out, err := g.outgoing(r, a)
	if err != nil {
		return forward.Result{Stage: forward.NotSent, Err: err}
	}
	g.w.check.keeps(o, out.ContentLength)
	if g.one("repeats", 60) { // somebody in between sends it again, later
		g.w.check.faulted("repeated-request", g.name)
		// Each copy has a name of its own: several attempts at one request may be repeated.
		again := out.Clone(context.Background())
		again.URL.RawQuery = fmt.Sprintf("id=%sagain%d", o.id, g.repeats.Add(1))
		g.w.later(g.span(0, 3*time.Second), func() { g.deliver(context.Background(), again, a.Addr) })
	}
	return g.hand(w, a, g.deliver(ctx, out, a.Addr))
}

// Close has no connections to end.
func (g *proxy) Close() {}

// hand takes what came back to the gateway, and what that lets through to its client.
func (g *proxy) hand(w http.ResponseWriter, a forward.Attempt, got answer) forward.Result {
	weak := g.w.c.Weak
	switch {
	case got.kind == unsent, got.kind == unknown && weak.Resend:
		g.w.check.refusals.Add(1)
		return forward.Result{Stage: forward.NotSent, Err: errRefused}
	case got.kind == unknown:
		return forward.Result{Stage: forward.Unknown, Err: errNoAnswer}
	case got.header.Get(wire.HeaderRefusal) != "":
		g.w.check.refusals.Add(1)
		if weak.NoResend {
			return forward.Result{Stage: forward.Unknown, Err: errNoAnswer}
		}
	}
	if !a.Answer(got.status, got.header) {
		return forward.Result{Stage: forward.Withheld, Status: got.status}
	}
	for name, v := range got.header {
		w.Header()[name] = v
	}
	w.WriteHeader(got.status)
	_, err := io.WriteString(w, got.body)
	return forward.Result{Stage: forward.Delivered, Status: got.status, Err: err}
}

var errNoAnswer = errors.New("no answer came")

// outgoing is the request as the host's machine gets it.
func (g *proxy) outgoing(r *http.Request, a forward.Attempt) (*http.Request, error) {
	out := r.Clone(context.Background())
	out.Host, out.URL.Path = a.Addr, "/"
	a.Head(out.Header)
	out.Body, out.ContentLength = http.NoBody, 0
	if a.Body != nil {
		b, err := io.ReadAll(a.Body)
		if err != nil {
			return nil, err
		}
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	}
	return out, nil
}

// deliver carries a request to whoever listens at addr, and its answer back.
func (g *proxy) deliver(ctx context.Context, req *http.Request, addr string) answer {
	if ok, _ := g.reaches(); !ok {
		time.Sleep(200 * time.Millisecond)
		return answer{kind: unsent} // could not be connected: nothing was sent
	}
	g.travel(time.Now().Add(g.delay()))
	i := g.w.at(addr)
	if i == nil {
		time.Sleep(g.span(0, 200*time.Millisecond))
		return answer{kind: unsent}
	}
	if ok, _ := i.node.reaches(); !ok {
		time.Sleep(200 * time.Millisecond)
		return answer{kind: unsent}
	}
	got := make(chan answer, 1)
	there, cancel := context.WithCancel(context.Background())
	g.w.wg.Go(func() {
		defer cancel()
		i.node.stand()
		rec := i.serve(req.WithContext(there))
		i.node.travel(time.Now().Add(i.node.delay()))
		i.node.stand()
		near, _ := g.reaches()
		far, _ := i.node.reaches()
		if !near || !far {
			return
		}
		if i.node.one("drops", 300) {
			g.w.check.faulted("lost-answer", i.m.name)
			return
		}
		got <- answer{kind: answered, status: rec.Code, header: rec.Header(), body: rec.Body.String()}
	})
	timeout := time.NewTimer(sendLimit)
	defer timeout.Stop()
	select {
	case a := <-got:
		g.stand()
		return a
	case <-timeout.C:
	case <-ctx.Done():
	}
	cancel() // the connection is closed
	return answer{kind: unknown}
}

// A route is a pin as somebody read it.
type route struct {
	addr, sid string
	token     int64
}

// route reads where an object is.
func (g *proxy) route(k owners.Key) (route, bool) {
	pin, sess, found, err := g.serving().store.Pin(g.ctx, k)
	if err != nil || !found || pin.State != owners.Owned {
		return route{}, false
	}
	return route{sess.Addr, pin.SID, pin.Token}, true
}

// stamped is a request that carries the mesh's signature.
func (g *proxy) stamped(k owners.Key, r route, method, url string) *http.Request {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err) // made of constants
	}
	h := req.Header
	h.Set(wire.HeaderObject, k.String())
	h.Set(wire.HeaderSession, r.sid)
	h.Set(wire.HeaderToken, strconv.FormatInt(r.token, 10))
	h.Set(wire.HeaderAuth, g.w.signer.Sign(k.String(), r.sid, r.token, time.Now()))
	h.Set(wire.HeaderRefuse, "421")
	return req
}

// forge sends a token from the far future, as a request and as a release.
func (g *proxy) forge(k owners.Key) {
	g.w.wg.Go(func() {
		r, ok := g.route(k)
		if !ok {
			return
		}
		g.w.check.faulted("forged-token", g.name)
		r.token = time.Now().AddDate(10, 0, 0).UnixMicro()
		g.w.wg.Go(func() {
			g.deliver(context.Background(), g.stamped(k, r, http.MethodGet, "http://"+r.addr+"/?id=forged"), r.addr)
		})
		g.release(k, r, wire.ReleaseNow, time.Second, "")
	})
}

// release is what a mover sends; to is the session that shall own the object next, or "".
func (g *proxy) release(k owners.Key, r route, mode string, deadline time.Duration, to string) {
	req := g.stamped(k, r, http.MethodPost, "http://"+r.addr+wire.PathRelease)
	req.Body, req.ContentLength = releaseBody(k, r, mode, deadline, to), -1
	g.deliver(context.Background(), req, r.addr)
}
