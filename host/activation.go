package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// object is what a session knows of one object. It exists while something
// happens with it; afterwards only session.released remembers. Guarded by the session's mu.
type object struct {
	key     owners.Key
	act     *activation       // the one that serves
	next    *activation       // a newer token whose CONFIRM is under way
	rel     *release          // RELEASE under way
	scripts map[int64]*script // release scripts under way, by token
	running []*event          // also those of activations that are over
	loading []*activation     // claims, Activate and Close calls under way, also of activations that are over
	waiting int               // events in queues and behind releases
}

// activation is one token of one object on this host: from its first request,
// through CONFIRM and CLAIM → LOAD, to its release or revocation.
type activation struct {
	o       *object
	s       *session
	token   int64
	sid     string
	n       int64         // of the claim
	sure    bool          // CONFIRM was answered OK
	ready   bool          // claimed, loaded, confirmed: events may start
	live    bool          // value is made and not ended yet
	revoked bool          // lost: nothing of it may leave or be stored
	over    bool          // revoked, released or succeeded
	settled chan struct{} // closed when ready or over; made on demand
	queue   []*event
	events  int // exclusive ones that run
	all     int // events and streams that run
	last    time.Duration
	idle    *time.Timer

	attached map[*event]bool
	object   *Object // what user code sees; its storage and value are set before ready
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

func (s *session) object(k owners.Key) *object {
	o := s.objects[k]
	if o == nil {
		o = &object{key: k, scripts: map[int64]*script{}}
		s.objects[k] = o
	}
	return o
}

// tidy forgets an object with which nothing happens. Needs mu.
func (s *session) tidy(o *object) {
	if s.objects[o.key] == o && o.act == nil && o.next == nil && o.rel == nil && len(o.scripts) == 0 && len(o.running) == 0 && len(o.loading) == 0 && o.waiting == 0 {
		delete(s.objects, o.key)
	}
}

func (s *session) newActivation(o *object, token int64) *activation {
	a := &activation{o: o, s: s, token: token, sid: s.sid, attached: map[*event]bool{}}
	a.ctx, a.cancel = context.WithCancelCause(s.ctx)
	a.object = &Object{act: a, store: storage.Closed(storage.ErrStale)}
	return a
}

// arrive is the gate's first look at a request: it is refused, parked behind a
// release, or queued behind a confirmation, an activation or other events. When it returns the event has
// started, has an error, or has a channel to wait on. Needs mu.
func (s *session) arrive(e *event) {
	o := e.o
	if r := o.rel; r != nil && r.marked() && e.st.sid == s.sid && s.valid() {
		s.wait(e)
		r.parked = append(r.parked, e)
		return
	}
	if s.draining && !s.closing && o.act == nil && e.st.sid == s.sid && s.valid() && !s.gone(o, e.st.token) {
		// Nothing new here: the pin is given back at once, the request is answered after that.
		r := s.askRelease(o, e.st.token, wire.ReleaseNow, s.h.opt.Drain)
		if r != nil && r.marked() {
			s.wait(e)
			r.parked = append(r.parked, e)
			return
		}
	}
	if reason := s.gate(o, e.st.token, e.st.sid); reason != "" {
		s.settle(e, s.refusal(o, e.st, reason))
		return
	}
	if o.waiting >= s.h.opt.Queue {
		s.settle(e, &failedError{wire.Overloaded, fmt.Errorf("%d requests wait for %s on this host", o.waiting, o.key)})
		return
	}
	s.place(e)
}

// place puts an admitted event in the queue of its token's activation, which
// is made if need be. Needs mu.
func (s *session) place(e *event) {
	o, token := e.o, e.st.token
	a := o.act
	if a != nil && a.sid != s.sid { // only without faults.Fresh
		a.token, a.sid = token, s.sid
	}
	switch {
	case a == nil:
		a = s.newActivation(o, token)
		o.act = a
		s.active++
		s.confirm(a)
	case token > a.token: // it changes nothing until it is confirmed
		b := o.next
		if b != nil && token < b.token {
			s.settle(e, s.refusal(o, e.st, wire.ReasonStale))
			return
		}
		if b == nil || token > b.token {
			b = s.verify(o, token)
		}
		a = b
	case token < a.token: // only while a is not confirmed: afterwards the gate has refused
		s.settle(e, s.refusal(o, e.st, wire.ReasonStale))
		return
	}
	if a.ready && (e.kind == stream || len(a.queue) == 0 && a.events < s.h.opt.Concurrency) {
		s.start(a, e)
		return
	}
	s.wait(e)
	a.queue = append(a.queue, e)
}

// verify confirms a newer token beside the activation that serves. Needs mu.
func (s *session) verify(o *object, token int64) *activation {
	if o.next != nil {
		s.revoke(o.next, errRevoked, wire.ReasonStale)
	}
	a := s.newActivation(o, token)
	o.next = a
	s.confirm(a)
	return a
}

// wait makes an event wait. Needs mu.
func (s *session) wait(e *event) {
	if e.ready == nil {
		e.ready = make(chan struct{})
	}
	e.state = waiting
	e.o.waiting++
}

// settle ends the wait of an event with an error, or with its start. Needs mu.
func (s *session) settle(e *event, err error) {
	if e.state == done {
		return // gave up
	}
	e.err, e.state = err, started
	if err != nil {
		e.state = done
	}
	if e.ready != nil {
		e.o.waiting--
		close(e.ready)
		e.ready = nil
	}
}

// confirm asks the store, durably, whether the pin is still a's. OK makes the
// token believed; NO and unknown end the activation. Needs mu.
func (s *session) confirm(a *activation) {
	o := a.o
	if !s.on(faults.Confirm) {
		s.confirmed(a)
		return
	}
	sid, token := a.sid, a.token
	s.goCall(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.lease/2)
		ok, err := s.h.store.Confirm(ctx, o.key, sid, token)
		cancel()
		s.h.opt.Faults.Reach(faults.ConfirmToClaim, o.key.String())
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over || a.over {
			return
		}
		if err != nil || !ok {
			if err != nil {
				s.log.Debug("confirm failed", "object", o.key, "token", a.token, "error", err)
			}
			s.revoke(a, errRevoked, wire.ReasonStale)
			return
		}
		s.confirmed(a)
	})
}

// confirmed believes a's token: it takes over from an older one, or goes on
// after another store answered. Needs mu.
func (s *session) confirmed(a *activation) {
	o := a.o
	a.sure = true
	if o.next == a {
		s.succeed(o, a)
	}
	if a.live {
		a.ready = true
		a.signal()
		s.pump(a)
		return
	}
	s.claim(a)
}

// succeed puts a newer, confirmed token in place of the one that serves. The
// old one's events end by themselves. Needs mu.
func (s *session) succeed(o *object, a *activation) {
	o.next = nil
	if old := o.act; old != nil {
		s.released.add(o.key, old.token)
		s.retire(old, errReleased, wire.ReasonReleased)
	}
	o.act = a
	s.active++
	if r := o.rel; r != nil && !r.final && r.token < a.token {
		s.endRelease(o, releaseDone) // its token is over
	}
}

// claim takes the storage and makes the value, once nothing of an earlier activation runs here. Needs mu.
func (s *session) claim(a *activation) {
	o := a.o
	if a.over || o.act != a || a.live || a.isLoading() || s.over {
		return
	}
	if len(o.running) > 0 || len(o.loading) > 0 {
		return // advance comes back when they have ended
	}
	if s.on(faults.N) || s.n == 0 {
		s.n++
	}
	a.n = s.n
	o.loading = append(o.loading, a)
	f := storage.Fence{Token: a.token, Session: a.sid, N: a.n}
	s.goCall(func() {
		err := s.load(a, f)
		s.mu.Lock()
		defer s.mu.Unlock()
		o.loaded(a)
		s.loadedOrLost(a, err)
		s.advance(o)
	})
}

func (s *session) loadedOrLost(a *activation, err error) {
	switch {
	case a.over:
		s.endValue(a)
	case errors.Is(err, storage.ErrStale) || errors.Is(err, storage.ErrUnknown):
		s.lost(a, err)
	case err != nil:
		s.log.Error("activation failed", "object", a.o.key, "token", a.token, "error", err)
		s.fail(a, &failedError{wire.UpstreamFailed, fmt.Errorf("activate %s: %w", a.o.key, err)})
	default:
		a.ready = true
		a.last = s.h.now()
		a.signal()
		s.pump(a)
	}
}

// load runs without the lock: CLAIM → LOAD, then the user's Activate.
func (s *session) load(a *activation, f storage.Fence) error {
	key, d := a.o.key, s.h.storage
	st := storage.Closed(storage.ErrNone)
	if d != nil {
		var err error
		if st, err = storage.Open(a.ctx, d, s.h.storageKey(key), f, s.h.opt.Limits, func(err error) { s.told(a, err) }); err != nil {
			return err
		}
	}
	s.mu.Lock()
	a.object.store = st
	if a.over {
		st.Close()
	}
	s.mu.Unlock()
	v, err := s.h.classes[key.Class].activate(a.ctx, a.object)
	if err != nil {
		st.Close()
		return err
	}
	st.Loaded()
	s.mu.Lock()
	a.object.value, a.live = v, true
	s.mu.Unlock()
	return nil
}

// told is how storage says that it refused the activation or does not know an outcome.
func (s *session) told(a *activation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost(a, err)
}

// lost ends an activation that storage refused (its token can never be used
// again) or that does not know what it stored (its memory is worthless). Needs mu.
func (s *session) lost(a *activation, err error) {
	var stale *storage.StaleError
	known := errors.As(err, &stale)
	if known {
		s.released.saw(a.o.key, stale.Current)
	}
	s.log.Warn("activation lost", "object", a.o.key, "token", a.token, "error", err)
	over := a.over
	s.revoke(a, errRevoked, wire.ReasonStale)
	// A refusal at the same token is a delayed claim of this session's own; the next n passes.
	if known && !over && !s.over && (stale.Current > a.token || !a.live) {
		s.released.add(a.o.key, a.token)
		s.repair(a.o, a.token)
	}
}

// fail ends an activation whose user code failed: waiting events get err, the next request tries again. Needs mu.
func (s *session) fail(a *activation, err error) {
	for _, e := range a.queue {
		s.settle(e, err)
	}
	a.queue = nil
	s.revoke(a, errRevoked, wire.ReasonStale)
}

// revoke ends an activation at once: its contexts end, its storage is closed,
// its queue is refused, what its events made is withheld. Needs mu.
func (s *session) revoke(a *activation, why error, reason string) {
	a.revoked = true
	a.object.store.Close() // before the contexts end: a late access shall learn why
	for _, e := range a.o.running {
		if e.act == a && e.cancel != nil {
			e.cancel(why)
		}
	}
	s.retire(a, why, reason)
	s.advance(a.o)
}

// retire takes an activation out of service. Its running events may end. Needs mu.
func (s *session) retire(a *activation, why error, reason string) {
	if a.over {
		return
	}
	a.over, a.ready = true, false
	if a.o.act == a {
		a.o.act = nil
		s.active--
	}
	if a.o.next == a {
		a.o.next = nil
	}
	if a.idle != nil {
		a.idle.Stop()
	}
	for _, e := range a.queue {
		if e.state == waiting {
			s.settle(e, s.refusal(a.o, e.st, reason))
		}
	}
	a.queue = nil
	for e := range a.attached {
		e.closing(why)
	}
	a.signal()
	s.endValue(a)
}

// endValue tells the user's value that its activation is over, after its last event. Needs mu.
func (s *session) endValue(a *activation) {
	if !a.live || a.all > 0 {
		return
	}
	a.live = false
	c, ok := a.object.value.(io.Closer)
	if !ok {
		a.object.store.Close()
		a.cancel(errReleased)
		return
	}
	a.o.loading = append(a.o.loading, a) // a successor on this host waits for it
	s.goCall(func() {
		if err := c.Close(); err != nil {
			s.log.Warn("close of an object failed", "object", a.o.key, "error", err)
		}
		a.object.store.Close()
		a.cancel(errReleased)
		s.mu.Lock()
		defer s.mu.Unlock()
		a.o.loaded(a)
		s.advance(a.o)
	})
}

// pump starts what may start. Needs mu.
func (s *session) pump(a *activation) {
	for a.ready && len(a.queue) > 0 {
		e := a.queue[0]
		if e.state == waiting && e.kind == exclusive && a.events >= s.h.opt.Concurrency {
			return
		}
		a.queue[0] = nil
		a.queue = a.queue[1:]
		if e.state != waiting {
			continue
		}
		sid := e.st.sid
		if !s.on(faults.Fresh) {
			sid = s.sid
		}
		if reason := s.gate(a.o, a.token, sid); reason != "" {
			s.settle(e, s.refusal(a.o, e.st, reason))
			continue
		}
		s.start(a, e)
	}
}

// start makes e the activation's running event. Needs mu.
func (s *session) start(a *activation, e *event) {
	e.act = a
	a.last = s.h.now()
	a.all++
	if e.kind == exclusive {
		a.events++
	}
	s.running++
	a.o.running = append(a.o.running, e)
	s.settle(e, nil)
}

// stopRunning takes an event off the object. Needs mu.
func (o *object) stopRunning(e *event) {
	for i, x := range o.running {
		if x == e {
			last := len(o.running) - 1
			o.running[i] = o.running[last]
			o.running[last] = nil
			o.running = o.running[:last]
			break
		}
	}
	a := e.act
	a.all--
	if e.kind == exclusive {
		a.events--
	}
	a.last = a.s.h.now()
	a.s.running--
}

// loaded takes an activation off the list of those that load. Needs mu.
func (o *object) loaded(a *activation) {
	for i, x := range o.loading {
		if x == a {
			o.loading = append(o.loading[:i], o.loading[i+1:]...)
			return
		}
	}
}

func (a *activation) isLoading() bool {
	for _, x := range a.o.loading {
		if x == a {
			return true
		}
	}
	return false
}

// advance is called whenever something has ended on the object: it lets the next thing happen. Needs mu.
func (s *session) advance(o *object) {
	if a := o.act; a != nil && !s.over {
		if a.sure && !a.live {
			s.claim(a)
		}
		s.pump(a)
		if a.ready && len(a.queue) == 0 && a.events == 0 {
			s.armIdle(a)
		}
	}
	s.maybeRelease(o)
	s.tidy(o)
	s.wake()
}

// armIdle lets go of an object without events and sockets for Options.Idle. The timer
// is armed once and looks at a.last, so that an event costs no timer. Needs mu.
func (s *session) armIdle(a *activation) {
	if a.idle != nil || s.h.opt.Idle < 0 {
		return
	}
	a.idle = time.AfterFunc(s.h.opt.Idle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.over || s.over {
			return
		}
		left := s.h.opt.Idle - (s.h.now() - a.last)
		if a.all > 0 || len(a.attached) > 0 || len(a.queue) > 0 {
			left = s.h.opt.Idle
		}
		if left > 0 {
			a.idle.Reset(left)
			return
		}
		s.askRelease(a.o, a.token, wire.ReleaseWhenIdle, time.Second)
	})
}

// reconfirm is called when another server answers for the store: each active
// pin is confirmed before its object's next event. Needs mu.
func (s *session) reconfirm() {
	for _, o := range s.objects {
		if o.next != nil {
			s.revoke(o.next, errRevoked, wire.ReasonStale) // its CONFIRM may have been answered by the old one
		}
		a := o.act
		if a == nil {
			continue
		}
		if !a.ready {
			s.revoke(a, errRevoked, wire.ReasonStale)
			continue
		}
		a.ready = false
		s.confirm(a)
	}
}

// endObject ends everything of an object with its session. Needs mu.
func (s *session) endObject(o *object, why error) {
	if o.act != nil {
		s.revoke(o.act, why, wire.ReasonLease)
	}
	if o.next != nil {
		s.revoke(o.next, why, wire.ReasonLease)
	}
	for _, e := range o.running { // of activations that were over already
		e.act.revoked = true
		if e.cancel != nil {
			e.cancel(why)
		}
	}
	if o.rel != nil {
		s.endRelease(o, releaseLapsed)
	}
}

// signal wakes who waits for the activation to be ready or over. Needs mu.
func (a *activation) signal() {
	if a.settled != nil {
		close(a.settled)
		a.settled = nil
	}
}

func (a *activation) settledCh() <-chan struct{} {
	if a.settled == nil {
		a.settled = make(chan struct{})
	}
	return a.settled
}

// storage gives what the activation's events use.
func (a *activation) storage() *storage.Storage { return a.object.store }
