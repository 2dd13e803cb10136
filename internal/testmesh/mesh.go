// Package testmesh is a mesh of the least kind, for tests of hosts: a store
// with a watcher, and a gateway that knows pins, stamps, and asks again after a refusal.
package testmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Mesh is a store, its watcher, and a gateway.
type Mesh struct {
	T      testing.TB
	URL    string // of the store
	Store  *owners.Store
	Signer *wire.Signer
	Client *http.Client

	ahead atomic.Int64 // of the watcher's clock
	mu    sync.Mutex
	floor map[owners.Key]int64
	cache map[owners.Key]Target
	avoid string // session that gets no new object
}

// Target is a pin with its address.
type Target struct {
	Addr, SID string
	Token     int64
}

// Secret is the secret of every test mesh.
var Secret = []byte("a secret of the mesh, for tests")

// OnEveryStore runs a test on the embedded store and on a real Redis.
func OnEveryStore(t *testing.T, test func(t *testing.T, m *Mesh)) {
	t.Helper()
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); test(t, New(t, Embedded(t))) })
	t.Run("redis", func(t *testing.T) { t.Parallel(); test(t, New(t, "redis://"+testenv.Redis(t))) })
}

// Embedded starts an embedded store and gives its URL.
func Embedded(t testing.TB) string {
	t.Helper()
	e, err := owners.StartEmbedded("127.0.0.1:"+strconv.Itoa(testenv.Port(t)), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e.URL()
}

// New opens the store at url, which is fresh, and watches it.
func New(t testing.TB, url string) *Mesh {
	t.Helper()
	m := &Mesh{T: t, URL: url, Signer: wire.NewSigner(Secret), floor: map[owners.Key]int64{}, cache: map[owners.Key]Target{}}
	store, err := owners.Open(t.Context(), owners.Options{
		URL: url, Timeout: 5 * time.Second, Clock: func() time.Duration { return owners.Now() + time.Duration(m.ahead.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w := owners.NewWatcher(store, "test", Log(t))
	wg.Go(func() { _ = w.Run(ctx) })
	m.Store = store
	m.Client = &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() { m.Client.CloseIdleConnections(); cancel(); wg.Wait(); _ = store.Close() })
	return m
}

// Lease is the lease of hosts in tests. It is long, so that a slow machine
// loses none; a test that wants one to pass moves clocks.
const Lease = 30 * time.Second

// Dead moves the watcher's clock until it has declared a session dead. No
// other session may be live: it would be declared dead as well.
func (m *Mesh) Dead(sid string) {
	m.T.Helper()
	m.Until("a watcher has declared the session dead", func() bool {
		m.ahead.Add(int64(Lease / 4))
		s, ok, err := m.Store.Session(m.T.Context(), sid)
		return err == nil && ok && s.State.Final()
	})
}

// Log gives a logger into the test's log, with -v.
func Log(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(LogWriter(t), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// LogWriter keeps what goroutines write after the test's end from failing it.
func LogWriter(t testing.TB) io.Writer { return &logWriter{t: t} }

type logWriter struct {
	t  testing.TB
	mu sync.Mutex
}

func (w *logWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t.Context().Err() == nil {
		w.t.Logf("%s %s", time.Now().Format("05.000"), bytes.TrimSpace(b))
	}
	return len(b), nil
}

// Until waits for something that surely comes; only a broken host makes it fail.
func (m *Mesh) Until(what string, ok func() bool) {
	m.T.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.T.Fatalf("waited a minute until %s", what)
		}
	}
}

// SessionAt gives the live session of the host at addr.
func (m *Mesh) SessionAt(addr string) (owners.Session, bool) {
	all, err := m.Store.Sessions(m.T.Context())
	if err != nil {
		return owners.Session{}, false
	}
	for _, s := range all {
		if s.Addr == addr && s.State == owners.Live {
			return s, true
		}
	}
	return owners.Session{}, false
}

// Avoid places no new object at a session.
func (m *Mesh) Avoid(sid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.avoid = sid
}

// Forget empties the gateway's cache, as if another gateway asked next.
func (m *Mesh) Forget(k owners.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.cache, k)
}

var errNobody = errors.New("no host is ready")

// Resolve gives the owner of k, and makes one if there is none.
func (m *Mesh) Resolve(ctx context.Context, k owners.Key) (Target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.cache[k]; ok {
		return c, nil
	}
	pin, sess, found, err := m.Store.Pin(ctx, k)
	if err != nil {
		return Target{}, err
	}
	if pin.State != owners.Owned || found && sess.State.Final() {
		if sess, err = m.place(ctx); err != nil {
			return Target{}, err
		}
		pin, _, err = m.Store.Acquire(ctx, owners.Acquire{Key: k, Expect: pin, SID: sess.ID, Floor: m.floor[k]})
		if err != nil || pin.SID != sess.ID {
			return Target{}, fmt.Errorf("acquire: %w", errors.Join(err, errNobody))
		}
	} else if !found {
		return Target{}, errNobody
	}
	c := Target{sess.Addr, pin.SID, pin.Token}
	m.cache[k] = c
	return c, nil
}

// Owner is Resolve that waits while no host is ready: one that comes back
// under a new session is registered before it is.
func (m *Mesh) Owner(k owners.Key) (c Target) {
	m.T.Helper()
	m.Until("somebody owns "+k.String(), func() bool {
		var err error
		if c, err = m.Resolve(m.T.Context(), k); err != nil && !errors.Is(err, errNobody) {
			m.T.Fatal(err)
		}
		return err == nil
	})
	return c
}

func (m *Mesh) place(ctx context.Context) (owners.Session, error) {
	all, err := m.Store.Sessions(ctx)
	if err != nil {
		return owners.Session{}, err
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, s := range all {
		if s.State == owners.Live && s.Ready && s.Wanted == owners.WantedNone && s.ID != m.avoid {
			return s, nil
		}
	}
	return owners.Session{}, errNobody
}

// Request stamps a request for a target.
func (m *Mesh) Request(ctx context.Context, k owners.Key, c Target, method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.Addr+path, body)
	if err != nil {
		m.T.Fatal(err)
	}
	m.Stamp(r.Header, k, c)
	return r
}

// Stamp sets what a gateway sets.
func (m *Mesh) Stamp(h http.Header, k owners.Key, c Target) {
	h.Set(wire.HeaderObject, k.String())
	h.Set(wire.HeaderSession, c.SID)
	h.Set(wire.HeaderToken, strconv.FormatInt(c.Token, 10))
	h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), c.SID, c.Token, time.Now()))
	h.Set(wire.HeaderRefuse, "421")
}

// Answer is what a client of the gateway gets.
type Answer struct {
	Status   int
	Body     string
	Header   http.Header
	Refusals int
}

// Code gives the code of a problem document, "" for anything else.
func (a Answer) Code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(a.Body), &p) // not a document: no code
	return p.Code
}

// Do sends through the gateway: refusals and connections that could not be made are tried again.
func (m *Mesh) Do(ctx context.Context, k owners.Key, method, path, body string) (Answer, error) {
	for refusals := 0; ; refusals++ {
		c, err := m.Resolve(ctx, k)
		if err == nil {
			a, refusal, err := m.Send(m.Request(ctx, k, c, method, path, bytes.NewReader([]byte(body))))
			var dial *net.OpError
			switch {
			case err == nil && refusal == "":
				a.Refusals = refusals
				return a, nil
			case err == nil:
				m.Refused(k, c, refusal)
			case errors.As(err, &dial) && dial.Op == "dial":
				m.Refused(k, c, "reason=lease; token=0")
			default:
				return a, err // sent: unknown
			}
		}
		select {
		case <-time.After(5*time.Millisecond + rand.N(20*time.Millisecond)):
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}

// Send makes one attempt.
func (m *Mesh) Send(r *http.Request) (a Answer, refusal string, err error) {
	res, err := m.Client.Do(r)
	if err != nil {
		return Answer{}, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return Answer{Status: res.StatusCode, Body: string(b), Header: res.Header}, res.Header.Get(wire.HeaderRefusal), err
}

// Refused is what a gateway learns from a refusal.
func (m *Mesh) Refused(k owners.Key, c Target, header string) {
	r, err := wire.ParseRefusal(header)
	if err != nil {
		m.T.Errorf("refusal %q: %v", header, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.floor[k] = max(m.floor[k], r.Token)
	if m.cache[k] == c {
		delete(m.cache, k)
	}
}

// Must sends through the gateway and wants a status.
func (m *Mesh) Must(k owners.Key, method, path, body string, status int) Answer {
	m.T.Helper()
	ctx, cancel := context.WithTimeout(m.T.Context(), time.Minute)
	defer cancel()
	a, err := m.Do(ctx, k, method, path, body)
	if err != nil {
		m.T.Fatalf("%s %s for %s: %v", method, path, k, err)
	}
	if a.Status != status {
		m.T.Fatalf("%s %s for %s: status %d, want %d: %s", method, path, k, a.Status, status, a.Body)
	}
	return a
}

// Late is the answer of an attempt that takes its time.
type Late struct {
	Answer
	Refusal string
	Err     error
}

// Later makes one attempt and gives its answer when it comes.
func (m *Mesh) Later(k owners.Key, method, path string) <-chan Late {
	m.T.Helper()
	return m.LaterAt(k, m.Owner(k), method, path)
}

// LaterAt is Later for a target of the test's choice.
func (m *Mesh) LaterAt(k owners.Key, c Target, method, path string) <-chan Late {
	out := make(chan Late, 1)
	r := m.Request(context.Background(), k, c, method, path, http.NoBody)
	go func() {
		a, refusal, err := m.Send(r)
		out <- Late{a, refusal, err}
	}()
	return out
}

// Release asks the owner of k to let go.
func (m *Mesh) Release(k owners.Key, mode string, deadline time.Duration) wire.ReleaseReply {
	m.T.Helper()
	pin, sess, _, err := m.Store.Pin(m.T.Context(), k)
	if err != nil {
		m.T.Fatal(err)
	}
	reply, err := m.ReleaseAt(k, Target{sess.Addr, pin.SID, pin.Token}, mode, deadline)
	if err != nil {
		m.T.Fatal(err)
	}
	return reply
}

// ReleaseAt sends one RELEASE.
func (m *Mesh) ReleaseAt(k owners.Key, c Target, mode string, deadline time.Duration) (wire.ReleaseReply, error) {
	rc := wire.ReleaseClient{Signer: m.Signer, HTTP: m.Client}
	return rc.Release(m.T.Context(), c.Addr, wire.ReleaseRequest{
		Object: k.String(), Session: c.SID, Token: c.Token, Mode: mode, Deadline: wire.Seconds(deadline),
	})
}
