package host_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
)

// trace is the globally ordered record of what all hosts of a mesh did, and
// checks the invariants of starts (ownership.md §8) while it is written.
type trace struct {
	m  *testmesh.Mesh
	mu sync.Mutex

	highest map[string]int64          // token of the last start, by object
	running map[string]map[string]int // events under way, by object, then by "token/session"
	user    map[string]string         // session that used a token, by "object/token"
	starts  []faults.Record
	broken  map[string][]string // violations by invariant
	moved   bool                // there are only planned moves: I1b holds
}

func newTrace(m *testmesh.Mesh) *trace {
	return &trace{
		m: m, highest: map[string]int64{}, running: map[string]map[string]int{}, user: map[string]string{}, broken: map[string][]string{},
	}
}

func (tr *trace) record(r faults.Record) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	who := fmt.Sprintf("%d/%s", r.Token, r.Session)
	switch r.Kind {
	case faults.Start:
		tr.starts = append(tr.starts, r)
		tr.start(r)
		if tr.running[r.Object] == nil {
			tr.running[r.Object] = map[string]int{}
		}
		tr.running[r.Object][who]++
	case faults.End:
		tr.running[r.Object][who]--
		if tr.running[r.Object][who] == 0 {
			delete(tr.running[r.Object], who)
		}
	}
}

func (tr *trace) start(r faults.Record) {
	break_ := func(invariant, msg string, args ...any) {
		tr.broken[invariant] = append(tr.broken[invariant], fmt.Sprintf(msg, args...))
	}
	if r.Token < tr.highest[r.Object] {
		break_("I1a", "start of %s under %d after one under %d", r.Object, r.Token, tr.highest[r.Object])
	}
	tr.highest[r.Object] = max(tr.highest[r.Object], r.Token)
	for who := range tr.running[r.Object] {
		var token int64
		_, _ = fmt.Sscanf(who, "%d/", &token)
		if tr.moved && token < r.Token {
			break_("I1b", "start of %s under %d while %s runs", r.Object, r.Token, who)
		}
	}
	if sess, ok, err := tr.m.Store.Session(context.Background(), r.Session); err == nil && ok && sess.State.Final() {
		break_("I1c", "start of %s under session %s, which is %s", r.Object, r.Session, sess.State)
	}
	used := fmt.Sprintf("%s/%d", r.Object, r.Token)
	if by, ok := tr.user[used]; ok && by != r.Session {
		break_("I3", "token %s used by %s and %s", used, by, r.Session)
	}
	tr.user[used] = r.Session
}

// violations gives those of one invariant, or of all.
func (tr *trace) violations(invariant string) []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if invariant != "" {
		return tr.broken[invariant]
	}
	var all []string
	for name, v := range tr.broken {
		for _, x := range v {
			all = append(all, name+": "+x)
		}
	}
	return all
}

func (tr *trace) startsOf(object string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	n := 0
	for _, r := range tr.starts {
		if r.Object == object {
			n++
		}
	}
	return n
}

// clean fails the test when an invariant broke.
func (tr *trace) clean(t *testing.T) {
	t.Helper()
	for _, v := range tr.violations("") {
		t.Error(v)
	}
}

// stops are places where the test holds a host, and its clock.
type stops struct {
	ahead atomic.Int64

	mu   sync.Mutex
	held map[faults.Point]chan struct{}
	hit  chan faults.Point
}

func newStops() *stops {
	return &stops{held: map[faults.Point]chan struct{}{}, hit: make(chan faults.Point, 1000)}
}

// now is the host's clock.
func (s *stops) now() time.Duration { return owners.Now() + time.Duration(s.ahead.Load()) }

// jump makes the host's lease pass on its own clock.
func (s *stops) jump() { s.ahead.Add(int64(testmesh.Lease)) }

// hold stops the host at p until the function that it gives is called.
func (s *stops) hold(p faults.Point) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan struct{})
	s.held[p] = ch
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, p)
		close(ch)
	})
}

func (s *stops) at(p faults.Point, _ string) {
	s.mu.Lock()
	ch := s.held[p]
	s.mu.Unlock()
	if ch != nil {
		s.hit <- p
		<-ch
	}
}

// reached waits until the host stands at p.
func (s *stops) reached(p faults.Point) {
	for got := range s.hit {
		if got == p {
			return
		}
	}
}

// faulty makes a host with a trace, stops, and protections switched off.
func faulty(tr *trace, st *stops, off ...faults.Protection) func(*host.Options) {
	return func(o *host.Options) {
		f := &faults.Host{Off: map[faults.Protection]bool{}, StorageTime: testmesh.Lease} // a slow machine loses no write
		for _, p := range off {
			f.Off[p] = true
		}
		if tr != nil {
			f.Trace = tr.record
		}
		if st != nil {
			f.At, f.Clock = st.at, st.now
		}
		o.Faults = f
	}
}

// unfenced is a driver for negative controls: every activation has the same fence, so none is ever refused.
type unfenced struct{ storage.Driver }

var anybody = storage.Fence{Token: 1, Session: "anybody", N: 1}

func (u unfenced) Claim(ctx context.Context, o string, _ storage.Fence) (storage.Snapshot, error) {
	return u.Driver.Claim(ctx, o, anybody)
}

func (u unfenced) Read(ctx context.Context, o string, _ storage.Fence, keys []string) (storage.Values, error) {
	return u.Driver.Read(ctx, o, anybody, keys)
}

func (u unfenced) List(ctx context.Context, o string, _ storage.Fence, l storage.ListOptions) ([]storage.Entry, int64, error) {
	return u.Driver.List(ctx, o, anybody, l)
}

func (u unfenced) Write(ctx context.Context, o string, _ storage.Fence, b storage.Batch) error {
	return u.Driver.Write(ctx, o, anybody, b)
}

// withoutFence removes the storage's fence.
func withoutFence(o *host.Options) {
	o.Faults.Storage = func(d storage.Driver) storage.Driver { return unfenced{d} }
}
