package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/wire"
)

// A machine runs one host process after the other, each as a fresh instance
// with a node of its own, so that what is left of a crashed one reaches nobody.
type machine struct {
	w    *world
	name string

	mu    sync.Mutex
	node  *node // of the instance that runs now
	inst  *instance
	boots uint64
	off   bool // between two processes
	ready bool
}

// An instance is one host process.
type instance struct {
	m    *machine
	node *node
	addr string
	h    *host.Host
	most int                // objects that may be active; 0 for any number
	end  context.CancelFunc // asks for the drain
	done chan struct{}

	mu   sync.Mutex
	sid  string        // as it said in its last record
	eras map[claim]int // of the store, before a claim was sent
}

// claim is one claim of one object.
type claim struct {
	object string
	fence  storage.Fence
}

// boot starts a process. Where hosts crash, it gets any address that is free,
// also one that a session of a dead process still names.
func (m *machine) boot() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.w.over.Load() {
		return // stop, which may have come meanwhile, ends only what it finds
	}
	m.boots++
	m.ready, m.off = true, false
	n := newNode(m.w, m.name+strconv.FormatUint(m.boots, 10), uint64(m.name[0])*1000+m.boots)
	i := &instance{m: m, node: n, addr: m.w.freeAddr(n), most: m.w.c.maxActive(n), done: make(chan struct{})}
	f := &faults.Host{Off: map[faults.Protection]bool{}, Clock: n.clock, Dial: n.dial, Trace: i.trace, ReleasedCap: 2}
	if m.w.c.Weak.Roomy {
		f.ReleasedCap = 1000
	}
	f.At = func(faults.Point, string) { n.stand() }
	for _, p := range m.w.c.Weak.Host {
		f.Off[p] = true
	}
	f.Storage = func(d storage.Driver) storage.Driver {
		if m.w.c.Weak.NoFence {
			d = unfenced{d}
		}
		if m.w.c.Weak.Repeat {
			d = repeating{d}
		}
		if m.w.c.Weak.Patient {
			d = patient{d}
		}
		return watched{d, i}
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SKEWGATE_SIM_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("host", m.name, "boot", m.boots)
	}
	most := i.most
	if m.w.c.Weak.Uncapped {
		most = 0
	}
	h, err := host.New(host.Options{
		MaxActive: most,
		App:       "shop", Version: "v1", Name: m.name, Store: storeURL, Listener: newListener(i.addr), Secret: secret,
		Lease: leaseMin + time.Duration(n.num(3))*(leaseMax-leaseMin)/2, Idle: 600 * time.Millisecond, Drain: 3 * time.Second,
		Ready: func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.ready }, Logger: log, Faults: f,
	})
	if err != nil {
		panic(err) // the options are constants
	}
	h.Handle("Cart", i.activate)
	i.h = h
	m.node, m.inst = n, i
	ctx, cancel := context.WithCancel(context.Background())
	i.end = cancel
	m.w.wg.Go(func() {
		defer close(i.done)
		_ = h.Run(ctx) // what goes wrong shows in the invariants
		m.exited(i)
	})
}

// exited starts the next process when this one drained by itself.
func (m *machine) exited(i *instance) {
	m.mu.Lock()
	mine := m.inst == i && !m.w.over.Load()
	if mine { // nothing is there to crash meanwhile, which would start a process of its own
		m.inst, m.off = nil, true
	}
	m.mu.Unlock()
	if mine {
		time.Sleep(100 * time.Millisecond)
		m.boot()
	}
}

// crash ends the process now; the next one comes after d.
func (m *machine) crash(d time.Duration) {
	m.mu.Lock()
	i := m.inst
	if i == nil || m.off {
		m.mu.Unlock()
		return
	}
	m.inst, m.off = nil, true
	m.mu.Unlock()
	i.node.set(func(n *node) { n.dead = true })
	m.w.check.crashed(i)
	i.end()
	m.w.wg.Go(func() {
		time.Sleep(d)
		if !m.w.over.Load() {
			m.boot()
		}
	})
}

// settle ends what chaos did to the machine.
func (m *machine) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready = true
}

func (m *machine) stop() {
	m.mu.Lock()
	i := m.inst
	m.inst = nil
	m.mu.Unlock()
	if i != nil {
		i.node.set(func(n *node) { n.dead = true })
		i.end()
	}
}

func (m *machine) running() *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inst
}

// at finds the process that listens at an address.
func (w *world) at(addr string) *instance {
	for _, m := range w.machines {
		if i := m.running(); i != nil && i.addr == addr {
			return i
		}
	}
	return nil
}

func (w *world) freeAddr(n *node) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		addr := fmt.Sprintf("10.0.0.%d:9001", 1+n.num(hosts+2))
		if w.at2(addr) == nil {
			return addr
		}
	}
}

// at2 is at without the locks of machines; an instance's address never changes.
func (w *world) at2(addr string) *instance {
	for _, m := range w.machines {
		if m.inst != nil && m.inst.addr == addr {
			return m.inst
		}
	}
	return nil
}

// trace takes the records of the host; those of a crashed process never happened.
func (i *instance) trace(r faults.Record) {
	if !i.node.isDead() {
		i.w().check.record(i, r)
	}
}

func (i *instance) w() *world { return i.m.w }

// serve is one request at the process's gate.
func (i *instance) serve(r *http.Request) *httptest.ResponseRecorder {
	k, sid := r.Header.Get(wire.HeaderObject), r.Header.Get(wire.HeaderSession) // the gate removes what is its own
	rec := httptest.NewRecorder()
	i.h.ServeHTTP(rec, r)
	if rec.Code == http.StatusOK && r.URL.Path == "/" && !i.node.isDead() {
		i.w().check.left(k, sid)
	}
	return rec
}

// activate makes an object: a register that counts its versions. Its memory is
// what storage said; reads answer from memory. It ignores that its context may have ended: the worst case.
func (i *instance) activate(ctx context.Context, o *host.Object) (http.Handler, error) {
	era := i.eraOf(claim{o.Key().String(), o.Fence()}) // what Get gives has come with the claim
	v, err := o.Storage().Get(ctx, "v")
	if err != nil {
		return nil, err
	}
	c := &cell{i: i, o: o, era: era}
	if v != nil {
		ver, id, _ := strings.Cut(string(v), " ")
		c.id = id
		if c.ver, err = strconv.ParseInt(ver, 10, 64); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// claims notes the life of the store before a claim is sent: what the claim loads
// is of that life, or of a later one, in which no answer of this one counts.
func (i *instance) claims(c claim) {
	era := i.w().check.eraNow()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.eras == nil {
		i.eras = map[claim]int{}
	}
	i.eras[c] = era
}

func (i *instance) eraOf(c claim) int {
	now := i.w().check.eraNow()
	i.mu.Lock()
	defer i.mu.Unlock()
	era, ok := i.eras[c]
	delete(i.eras, c)
	if !ok { // without faults.Fresh a session may change while a claim of its is under way
		return now
	}
	return era
}

type cell struct {
	i   *instance
	o   *host.Object
	era int

	mu  sync.Mutex
	ver int64
	id  string
}

func (c *cell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := c.i.node.span(500*time.Microsecond, 6*time.Millisecond)
	if c.i.node.num(400) == 0 && !c.i.w().calm.Load() {
		d += c.i.node.span(0, 600*time.Millisecond)
	}
	time.Sleep(d)
	c.i.node.stand()
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodPost {
		ver, id := c.ver+1, r.URL.Query().Get("id")
		c.i.w().check.attempt(c.o.Key(), id, c.id)
		err := c.o.Storage().Put(context.WithoutCancel(r.Context()), "v", []byte(strconv.FormatInt(ver, 10)+" "+id))
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		c.ver, c.id = ver, id
	}
	fmt.Fprintf(w, "%d %s %d", c.ver, c.id, c.era)
}

// watched tells the check which accesses were accepted.
type watched struct {
	storage.Driver
	i *instance
}

func (d watched) Claim(ctx context.Context, o string, f storage.Fence) (storage.Snapshot, error) {
	before := d.i.w().check.fence(o)
	d.i.claims(claim{o, f})
	s, err := d.Driver.Claim(ctx, o, f)
	d.accepted(o, before, f, err)
	return s, err
}

func (d watched) Read(ctx context.Context, o string, f storage.Fence, keys []string) (storage.Values, error) {
	before := d.i.w().check.fence(o)
	v, err := d.Driver.Read(ctx, o, f, keys)
	d.accepted(o, before, f, err)
	return v, err
}

func (d watched) Write(ctx context.Context, o string, f storage.Fence, b storage.Batch) error {
	before := d.i.w().check.fence(o)
	err := d.Driver.Write(ctx, o, f, b)
	d.accepted(o, before, f, err)
	return err
}

func (d watched) accepted(o string, before, f storage.Fence, err error) {
	if err == nil && !d.i.node.isDead() {
		d.i.w().check.accessed(o, before, f)
	}
}

// listener is an address at which nobody calls: requests come by serve.
type listener struct {
	addr   net.TCPAddr
	closed chan struct{}
	once   sync.Once
}

func newListener(addr string) *listener {
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return &listener{addr: net.TCPAddr{IP: net.ParseIP(host), Port: n}, closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}
func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return &l.addr }
