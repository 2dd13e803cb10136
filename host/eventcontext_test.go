package host_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
)

type nameKey struct{}

// An event's context is in every respect what context.WithCancelCause makes, whenever somebody asks it for what.
func TestEventContextIsLikeACancelledOne(t *testing.T) {
	t.Parallel()
	why := errors.New("the object moved")
	asks := map[string]func(context.Context){
		"nothing":            func(context.Context) {},
		"its channel":        func(c context.Context) { c.Done() },
		"its error":          func(c context.Context) { _ = c.Err() },
		"its cause":          func(c context.Context) { _ = context.Cause(c) },
		"a context below it": func(c context.Context) { context.AfterFunc(c, func() {}) },
	}
	ends := map[string]func(request, event func(error)){
		"nothing":          func(func(error), func(error)) {},
		"the event":        func(_, event func(error)) { event(context.Canceled) },
		"a reason":         func(_, event func(error)) { event(why) },
		"two reasons":      func(_, event func(error)) { event(why); event(context.Canceled) },
		"the request":      func(request, _ func(error)) { request(why) },
		"both":             func(request, event func(error)) { request(errors.New("gone")); event(why) },
		"the event, first": func(request, event func(error)) { event(why); request(errors.New("gone")) },
	}
	type state struct {
		err, cause, below error
		closed, after     bool
		name              any
	}
	look := func(c context.Context) (s state) {
		s.err, s.cause, s.name = c.Err(), context.Cause(c), c.Value(nameKey{})
		below, cancel := context.WithTimeout(c, time.Hour)
		defer cancel()
		s.below = context.Cause(below)
		select {
		case <-c.Done():
			s.closed = true
		default:
		}
		ran := make(chan struct{})
		if stop := context.AfterFunc(c, func() { close(ran) }); !stop() {
			<-ran
			s.after = true
		}
		return s
	}
	made := func(of func(context.Context) (context.Context, func(error)), ask func(context.Context), end func(request, event func(error))) state {
		request, endRequest := context.WithCancelCause(context.WithValue(t.Context(), nameKey{}, "a request"))
		defer endRequest(nil)
		c, cancel := of(request)
		ask(c)
		end(endRequest, cancel)
		return look(c)
	}
	full := func(under context.Context) (context.Context, func(error)) {
		c, cancel := context.WithCancelCause(under)
		return c, cancel
	}
	for asked, ask := range asks {
		for ended, end := range ends {
			want, got := made(full, ask, end), made(host.EventContext, ask, end)
			if got.err != want.err || got.closed != want.closed || got.after != want.after || got.name != want.name ||
				errText(got.cause) != errText(want.cause) || errText(got.below) != errText(want.below) {
				t.Errorf("asked for %s, ended by %s: %+v, want %+v", asked, ended, got, want)
			}
		}
	}
}

// What outlasts the client ends with the event, for the first reason, whenever somebody asks for it.
func TestWithoutClient(t *testing.T) {
	t.Parallel()
	why := errors.New("the object moved")
	for _, early := range []bool{true, false} {
		request, leave := context.WithCancelCause(context.WithValue(t.Context(), nameKey{}, "a request"))
		c, end := host.EventContext(request)
		last := context.Context(nil)
		if early {
			last = host.Lasting(c)
		}
		leave(context.Canceled)
		if c.Err() == nil || early && last.Err() != nil {
			t.Errorf("the client left, asked before it %v: %v, %v", early, c.Err(), last)
		}
		end(why)
		end(context.Canceled)
		if last = host.Lasting(c); context.Cause(last) != why || last.Value(nameKey{}) != "a request" {
			t.Errorf("the event ended, asked before it %v: %v %v", early, context.Cause(last), last.Value(nameKey{}))
		}
	}
	outside, cancel := context.WithCancel(t.Context())
	cancel()
	if err := host.WithoutClient(outside).Err(); err != nil {
		t.Error("outside of an event:", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Who waits for its end is woken, whatever comes first.
func TestEventContextWakesWhoWaits(t *testing.T) {
	t.Parallel()
	for range 200 {
		c, cancel := host.EventContext(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { <-c.Done() })
			wg.Go(func() {
				below, stop := context.WithCancel(c)
				<-below.Done()
				stop()
			})
		}
		cancel(errors.New("over"))
		wg.Wait()
	}
}
