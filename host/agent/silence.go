package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// errSilent is why an event was given up.
var errSilent = errors.New("the upstream was silent for too long")

// silence gives up an event whose upstream neither takes more of the request
// nor begins an answer for too long: it would hold its object's queue for ever.
// The time that a client takes to send is not counted, and nothing is once the
// answer has begun or the event has become a stream.
type silence struct {
	most   time.Duration
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer // nil where there is no limit, or no more
	answered bool        // the upstream has begun its answer, or a stream
	nobody   bool        // waits for the answer
	ended    bool
}

// newSilence gives the context under which to forward; with most below 0 there is no limit.
func newSilence(ctx context.Context, most time.Duration) (*silence, context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &silence{most: most, cancel: cancel}
	if most > 0 {
		s.start(most)
	}
	return s, ctx, cancel
}

// wrap watches how the upstream takes the request's body.
func (s *silence) wrap(r *http.Request) *http.Request {
	if s.timer == nil || r.Body == nil || r.Body == http.NoBody {
		return r
	}
	r2 := *r
	r2.Body = &heardBody{r.Body, s}
	return &r2
}

func (s *silence) start(d time.Duration) {
	s.timer = time.AfterFunc(d, func() { s.cancel(errSilent) })
}

// over says that the upstream has begun its answer. Who waits for it may wait for its end.
func (s *silence) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = true
	if s.nobody {
		s.limit()
		return
	}
	s.halt()
}

// alone says that nobody waits for the answer any more: from now on the
// upstream has the time once, answer and all. With no limit it may still take
// what it likes to begin one; what it then sends for ever is no work to wait for.
func (s *silence) alone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nobody = true
	if s.timer != nil {
		s.timer.Reset(s.most)
	}
	s.limit()
}

// limit starts the time of an answer that nobody waits for, if it does not run. Needs mu.
func (s *silence) limit() {
	switch {
	case s.ended || s.timer != nil:
	case s.most > 0:
		s.start(s.most)
	case s.answered:
		s.start(defaultResponseTimeout)
	}
}

// end ends the watch.
func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.halt()
}

// halt stops the time for good. Needs mu.
func (s *silence) halt() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// pause stops the time, resume begins it anew.
func (s *silence) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *silence) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Reset(s.most)
	}
}

// heardBody is a request's body: who reads it has taken what was before.
type heardBody struct {
	io.ReadCloser
	s *silence
}

// Read waits for the client, which is not the upstream's silence.
func (b *heardBody) Read(p []byte) (int, error) {
	b.s.pause()
	defer b.s.resume()
	return b.ReadCloser.Read(p)
}
