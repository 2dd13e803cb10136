package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Host runs objects of one app version. It is an http.Handler: the gate with
// the objects behind it.
type Host struct {
	opt     Options
	signer  *wire.Signer // nil without a secret
	classes map[string]*class
	grpc    *grpc.Server
	methods map[string]bool // gRPC methods of the server above: true means streaming

	// Set by Run before the first request.
	store   *owners.Store
	storage storage.Driver // nil: none
	addr    string

	farewell  *farewell
	leaving   atomic.Bool   // drained and closed: it only refuses
	lastAsked atomic.Int64  // Unix nanoseconds, while leaving
	draining  chan struct{} // closed when the host shall drain
	drainOnce sync.Once
	wg        sync.WaitGroup // calls of all sessions
	cur       atomic.Pointer[session]

	mu    sync.Mutex // below sessions' own
	wound bool       // no call begins
}

// class is one kind of object that this host runs.
type class struct {
	activate func(ctx context.Context, o *Object) (any, error)
}

// make calls the user's Activate.
func (c *class) make(a *activation) (v any, err error) {
	defer caught(&err)
	return c.activate(a.ctx, a.object)
}

// Activate makes an object's handler, once per activation, after the claim. A
// value that also has Close() error is told when the activation ends. ctx ends
// with the activation. When Activate fails, or panics, the requests that wait
// are answered upstream_failed, and the next one tries again.
type Activate func(ctx context.Context, o *Object) (http.Handler, error)

// New checks the options; it does not connect yet.
func New(o Options) (*Host, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{opt: o, classes: map[string]*class{}, draining: make(chan struct{}), farewell: newFarewell()}
	if len(o.Secret) > 0 {
		h.signer = wire.NewSigner(o.Secret)
	}
	return h, nil
}

// Handle serves objects of a class over HTTP, WebSocket and, with GRPCServer,
// gRPC. It must be called before Run.
func (h *Host) Handle(name string, a Activate) {
	h.classes[wire.PreviewClass(name, h.opt.Preview)] = &class{activate: func(ctx context.Context, o *Object) (any, error) { return a(ctx, o) }}
}

// HandleGRPC says that a class is served by gRPC methods only; they take
// FromContext(ctx). activate may be nil; what it returns is Object.Value.
func (h *Host) HandleGRPC(name string, activate func(ctx context.Context, o *Object) (any, error)) {
	if activate == nil {
		activate = func(context.Context, *Object) (any, error) { return nil, nil }
	}
	h.classes[wire.PreviewClass(name, h.opt.Preview)] = &class{activate: activate}
}

func (h *Host) classNames() []string {
	names := make([]string, 0, len(h.classes))
	for n := range h.classes {
		base, _ := wire.SplitClass(n) // a preview's objects are other objects, of the same class
		names = append(names, base)
	}
	slices.Sort(names)
	return names
}

func (h *Host) now() time.Duration {
	if f := h.opt.Faults; f != nil && f.Clock != nil {
		return f.Clock()
	}
	return owners.Now()
}

// session is the one that admits; nil before the first.
func (h *Host) session() *session { return h.cur.Load() }

// reach is where a test may stop the host. The object's name is made only for a test.
func (h *Host) reach(p faults.Point, k owners.Key) {
	if h.opt.Faults != nil {
		h.opt.Faults.Reach(p, k.String())
	}
}

// storageKey names an object in storage. A preview keeps its objects apart; a
// class has no colon, so that no released object can have such a name.
func (h *Host) storageKey(k owners.Key) string {
	if h.opt.Preview != "" {
		return "preview:" + h.opt.Preview + "/" + k.String()
	}
	return k.String()
}

// Run registers, renews, serves, and drains on SIGTERM, on SIGINT, when an
// operator asks for it, or when ctx ends. It returns nil after an orderly
// drain; a second signal ends it at once. A ctx that ends by the same signal
// (signal.NotifyContext) is not a second one.
func (h *Host) Run(ctx context.Context) error {
	if len(h.classes) == 0 {
		return errors.New("run host: no class; call Handle or HandleGRPC first")
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	l, err := h.listen()
	if err != nil {
		return err
	}
	if err := h.openUnless(ctx, signals); err != nil {
		l.Close()
		return err
	}
	defer h.close()
	h.indexMethods()
	srv := h.server()
	served := make(chan error, 1)
	go func() { served <- h.serve(srv, l) }()
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	lived := make(chan error, 1)
	go func() { lived <- h.live(life) }()
	err = h.wait(ctx, signals, served, lived)
	end()
	h.stopServer(srv)
	if h.grpc != nil {
		h.grpc.Stop()
	}
	h.wind()
	return err
}

// wait stays until the host has drained or something failed.
func (h *Host) wait(ctx context.Context, signals <-chan os.Signal, served, lived <-chan error) error {
	done, signalled := ctx.Done(), false
	for {
		select {
		case <-done:
			h.askDrain()
			done = nil
		case sig := <-signals:
			// Signals are counted by themselves: the first may come after ctx
			// has ended by it, or during a drain that an operator asked for.
			if signalled {
				return fmt.Errorf("run host: %v for the second time, during the drain", sig)
			}
			signalled = true
			h.opt.Logger.Info("signal", "signal", sig.String())
			h.askDrain()
		case err := <-served:
			return fmt.Errorf("run host: %w", err)
		case err := <-lived:
			return err
		}
	}
}

// askDrain begins the drain; Run carries it out.
func (h *Host) askDrain() { h.drainOnce.Do(func() { close(h.draining) }) }

func (h *Host) isDraining() bool {
	select {
	case <-h.draining:
		return true
	default:
		return false
	}
}

// live keeps one session after the other, each with nothing of the one before,
// until the host drains.
func (h *Host) live(ctx context.Context) error {
	for !h.isDraining() {
		s := newSession(ctx, h)
		h.cur.Store(s)
		kept := make(chan error, 1)
		go func() { kept <- s.keep(ctx) }()
		select {
		case err := <-kept:
			if err != nil {
				return err
			}
			h.wg.Go(s.closeRecord)
			continue
		case <-h.draining:
		}
		err := s.drain()
		s.mu.Lock()
		over := s.over
		s.mu.Unlock()
		s.cancel(errDrained)
		<-kept
		if over {
			s.closeRecord()
			h.linger()
		}
		return err
	}
	return nil
}

// A drained host goes on refusing: gateways whose cache names it learn better
// from an answer than from a closed connection. It leaves once nobody has
// asked for lingerTime, or after lingerMost.
const (
	lingerTime = 500 * time.Millisecond
	lingerMost = 5 * time.Second
)

func (h *Host) linger() {
	h.asked()
	h.leaving.Store(true)
	for end := time.Now().Add(lingerMost); time.Now().Before(end); {
		left := lingerTime - time.Since(time.Unix(0, h.lastAsked.Load()))
		if left <= 0 {
			return
		}
		time.Sleep(left)
	}
}

// asked notes that somebody still comes.
func (h *Host) asked() { h.lastAsked.Store(time.Now().UnixNano()) }

// wind ends the last session and waits for the calls of all.
func (h *Host) wind() {
	if s := h.session(); s != nil {
		s.mu.Lock()
		s.lapse("the host stops")
		s.mu.Unlock()
	}
	h.mu.Lock()
	h.wound = true
	h.mu.Unlock()
	h.wg.Wait()
}

func (h *Host) listen() (net.Listener, error) {
	l := h.opt.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", h.opt.Listen); err != nil {
			return nil, fmt.Errorf("run host: %w", err)
		}
	}
	var err error
	if h.addr, err = h.opt.advertise(l.Addr()); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
