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
	mu    sync.Mutex
	read  time.Time
	final map[string]bool
}

// sessionFinal says whether a session is final. A store that does not answer says nothing.
func (g *Gateway) sessionFinal(ctx context.Context, sid string) bool {
	l := &g.liveness
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.read) < livenessAge {
		return l.final[sid]
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	start := time.Now()
	sessions, err := g.opt.Store.Sessions(ctx)
	g.metrics.storeCall("sessions", start, err)
	l.read = time.Now()
	if err != nil {
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
			g.pins.forget(s.ID)
		}
	}
	return l.final[sid]
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
	over  bool               // the attempt has ended
	still context.CancelFunc // ends the asking, while somebody asks
	asks  sync.WaitGroup
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d.mu.Lock()
	if d.over {
		d.mu.Unlock()
		return
	}
	d.still = cancel
	d.asks.Add(1)
	defer d.asks.Done()
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

// stop ends the watch, and waits for whoever asks the store just now.
func (d *doubt) stop() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.over = true
	d.timer.Stop()
	if d.still != nil {
		d.still()
	}
	d.mu.Unlock()
	d.asks.Wait()
}
