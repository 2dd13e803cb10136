package host

import (
	"context"
	"sync"
	"time"
)

// eventContext is the context of a handler: the request's, which knows whose
// event it is, and which ends with the event, or before it with a reason.
//
// It is context.WithCancelCause but for the time at which that is made: when
// somebody asks for its channel, or for its end after it has ended. Most
// handlers do neither, and entering a context in its parent, and taking it out
// again, would be a fifth of what the gate costs.
type eventContext struct {
	context.Context // the request's
	e               *event

	mu   sync.Mutex      // below the session's
	over bool            // it ended, in good order and before its request, and nobody had asked
	full context.Context // made on demand
	end  context.CancelCauseFunc

	why     error           // the first reason that cancel was given
	outlast context.Context // made on demand: ends when cancel is called, not with the request
	endLast context.CancelCauseFunc
}

// WithoutClient gives a context that ends when the running event does, or its activation is lost, with the reason as its
// cause, and not when the client goes away. It has the values of the event's own. It is for work that cannot be called
// back and has to be over before the object's next event begins. Outside of an event it is context.WithoutCancel.
func WithoutClient(ctx context.Context) context.Context {
	e := eventOf(ctx)
	if e == nil {
		return context.WithoutCancel(ctx)
	}
	return e.ctx.lasting()
}

// lasting gives the context that ends with the event and not with its request.
func (c *eventContext) lasting() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outlast == nil {
		c.outlast, c.endLast = context.WithCancelCause(context.WithoutCancel(c))
		if c.why != nil {
			c.endLast(c.why)
		}
	}
	return c.outlast
}

// made gives the context that context.WithCancelCause makes.
func (c *eventContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fill()
	return c.full
}

// fill makes it. Needs mu.
func (c *eventContext) fill() {
	if c.full != nil {
		return
	}
	under := c.Context
	if c.over {
		under = context.WithoutCancel(under) // what came later is not why
	}
	c.full, c.end = context.WithCancelCause(under)
	if c.over {
		c.end(context.Canceled) // it has no children yet
	}
}

// cancel ends it; the first reason stays.
func (c *eventContext) cancel(why error) {
	c.mu.Lock()
	if c.why == nil {
		c.why = why
	}
	if last := c.endLast; last != nil {
		defer last(why) // those below it look at c
	}
	if c.full == nil && why == context.Canceled && c.Context.Err() == nil { //nolint:errorlint // the very one
		c.over = true
		c.mu.Unlock()
		return
	}
	c.fill()
	end := c.end
	c.mu.Unlock()
	end(why) // those below it look at c
}

// asked says that the full context answers.
func (c *eventContext) asked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.full != nil || c.over
}

// Done gives the channel that closes with the event.
func (c *eventContext) Done() <-chan struct{} { return c.made().Done() }

// Err says whether the event, or its request, has ended.
func (c *eventContext) Err() error {
	if c.asked() {
		return c.made().Err()
	}
	return c.Context.Err()
}

// Value gives the event, or what the request's context has. The full context
// answers for package context, which looks there for the cause and for the
// parent of what is derived.
func (c *eventContext) Value(key any) any {
	if _, ok := key.(eventKey); ok {
		return c.e
	}
	if c.asked() {
		return c.made().Value(key)
	}
	return c.Context.Value(key)
}

// Deadline is the request's.
func (c *eventContext) Deadline() (time.Time, bool) { return c.Context.Deadline() }
