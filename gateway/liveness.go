package gateway

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A host that stands still answers nothing, and its connections stay open. Its
// session is declared dead when its lease has passed; who waits for it must
// hear of that, and the next request must not follow its pin.

// When a request without an answer, and then again, asks whether its host's
// session still lives.
const (
	doubtFirst  = time.Second
	doubtAgain  = 500 * time.Millisecond
	doubtStream = 5 * time.Second // once it answers: a socket may live for days
)

// livenessAge is how old the answer may be: one reading of all sessions serves all who ask.
const livenessAge = 500 * time.Millisecond

// errOwnerGone ends an attempt whose host's session was declared dead.
var errOwnerGone = errors.New("the host's session is over")

// liveness knows which sessions are final, as of a moment ago.
type liveness struct {
	turn  chan struct{} // of capacity 1: holds a value while somebody reads; who waits for it may give up
	read  time.Time
	final map[string]bool
}

// sessionFinal says whether a session is final. A store that does not answer
// says nothing, and whoever asks need not wait for it longer than ctx.
func (g *Gateway) sessionFinal(ctx context.Context, sid string) bool {
	l := &g.liveness
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return false
	}
	if time.Since(l.read) < livenessAge {
		return l.final[sid]
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	start := time.Now()
	sessions, err := g.opt.Store.Sessions(ctx)
	g.metrics.storeCall("sessions", start, err)
	l.read = time.Now()
	if sessions == nil && err != nil { // those that can be read are there beside an error about others
		return false
	}
	known := l.final
	l.final = map[string]bool{}
	for _, s := range sessions {
		if !s.State.Final() {
			continue
		}
		l.final[s.ID] = true
		if !known[s.ID] {
			g.pins.orphan(s.ID)
		}
	}
	return l.final[sid]
}

// sessionsOver remembers whose pins were orphaned. It is emptied when it is
// full: to do so again is only a walk.
type sessionsOver struct {
	mu   sync.Mutex
	sids map[string]bool
}

const maxSessionsOver = 1024

// first says that sid was not met before.
func (o *sessionsOver) first(sid string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sids[sid] {
		return false
	}
	if o.sids == nil || len(o.sids) >= maxSessionsOver {
		o.sids = map[string]bool{}
	}
	o.sids[sid] = true
	return true
}

// doubt watches one attempt at a pinned host and ends it when the host's
// session is over.
type doubt struct {
	g     *Gateway
	sid   string
	end   context.CancelCauseFunc // of the request
	timer *time.Timer

	mu    sync.Mutex
	every time.Duration
	over  bool                    // the attempt has ended
	still context.CancelCauseFunc // ends the asking, while somebody asks
}

// watch begins to doubt; stop must be called when the attempt has ended.
func (g *Gateway) watch(t *Target, end context.CancelCauseFunc) *doubt {
	if t.SID == "" || g.opt.Store == nil {
		return nil
	}
	d := &doubt{g: g, sid: t.SID, end: end, every: doubtAgain}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer = time.AfterFunc(doubtFirst, d.ask)
	return d
}

// answered says that the host has begun to answer.
func (d *doubt) answered() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.every = doubtStream
	d.mu.Unlock()
}

func (d *doubt) ask() {
	ctx, cancel, leave := d.g.drain.enter(context.Background())
	defer leave()
	d.mu.Lock()
	if d.over {
		d.mu.Unlock()
		return
	}
	d.still = cancel
	d.mu.Unlock()
	final := d.g.sessionFinal(ctx, d.sid)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.over:
	case final:
		d.end(errOwnerGone)
	default:
		d.timer.Reset(d.every)
	}
}

// stop ends the watch. Whoever asks the store just now ends soon, and is Drain's to wait for: the request is not held up.
func (d *doubt) stop() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.over = true
	d.timer.Stop()
	if d.still != nil {
		d.still(nil)
	}
	d.mu.Unlock()
}
