package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// mesh is a store with a watcher and a gateway of the least kind: it knows
// pins, stamps, and asks again after a refusal.
type mesh struct {
	t      testing.TB
	url    string
	store  *owners.Store
	signer *wire.Signer
	client *http.Client

	mu    sync.Mutex
	floor map[owners.Key]int64
	cache map[owners.Key]target
	avoid string // session that gets no new object
}

type target struct {
	addr, sid string
	token     int64
}

var secret = []byte("a secret of the mesh, for tests")

// onEveryStore runs a test on the embedded store and on a real Redis.
func onEveryStore(t *testing.T, test func(t *testing.T, m *mesh)) {
	t.Run("embedded", func(t *testing.T) { t.Parallel(); test(t, newMesh(t, embedded(t))) })
	t.Run("redis", func(t *testing.T) { t.Parallel(); test(t, newMesh(t, "redis://"+testenv.Redis(t))) })
}

func embedded(t testing.TB) string {
	t.Helper()
	e, err := owners.StartEmbedded("127.0.0.1:"+strconv.Itoa(testenv.Port(t)), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e.URL()
}

func newMesh(t testing.TB, url string) *mesh {
	t.Helper()
	store, err := owners.Open(t.Context(), owners.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w := owners.NewWatcher(store, "test", testLog(t))
	wg.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); _ = store.Close() })
	return &mesh{
		t: t, url: url, store: store, signer: wire.NewSigner(secret),
		client: &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		floor:  map[owners.Key]int64{}, cache: map[owners.Key]target{},
	}
}

func testLog(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(&logWriter{t: t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// logWriter keeps logs of goroutines that outlive the test from failing it.
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

// running is a host of the test.
type running struct {
	*host.Host
	addr string
	stop func() error // drains
}

// start runs a host with class Cart until the test ends.
func (m *mesh) start(name string, activate host.Activate, edit ...func(*host.Options)) *running {
	m.t.Helper()
	o := host.Options{
		App: "shop", Version: "v1", Name: name, Store: m.url, Secret: secret, Lease: 3 * time.Second, Idle: time.Minute,
		Drain: 5 * time.Second, Logger: testLog(m.t).With("host", name),
	}
	for _, e := range edit {
		e(&o)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(testenv.Port(m.t)))
	if err != nil {
		m.t.Fatal(err)
	}
	o.Listener = l
	h, err := host.New(o)
	if err != nil {
		m.t.Fatal(err)
	}
	if activate != nil {
		h.Handle("Cart", activate)
	}
	return m.run(h, l.Addr().String())
}

func (m *mesh) run(h *host.Host, addr string) *running {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	var once sync.Once
	var err error
	stop := func() error { once.Do(func() { cancel(); err = <-ended }); return err }
	m.t.Cleanup(func() { _ = stop() })
	m.until("the host is registered", func() bool { _, ok := m.sessionAt(addr); return ok })
	return &running{Host: h, addr: addr, stop: stop}
}

func (m *mesh) sessionAt(addr string) (owners.Session, bool) {
	all, err := m.store.Sessions(m.t.Context())
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

// until waits for something that surely comes; only a broken host makes it fail.
func (m *mesh) until(what string, ok func() bool) {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("waited 30 s until %s", what)
		}
	}
}

var errNobody = errors.New("no host is ready")

// resolve gives the owner of k, and makes one if there is none.
func (m *mesh) resolve(ctx context.Context, k owners.Key) (target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.cache[k]; ok {
		return c, nil
	}
	pin, sess, found, err := m.store.Pin(ctx, k)
	if err != nil {
		return target{}, err
	}
	if pin.State != owners.Owned || found && sess.State.Final() {
		if sess, err = m.place(ctx); err != nil {
			return target{}, err
		}
		pin, _, err = m.store.Acquire(ctx, owners.Acquire{Key: k, Expect: pin, SID: sess.ID, Floor: m.floor[k]})
		if err != nil || pin.SID != sess.ID {
			return target{}, fmt.Errorf("acquire: %w", errors.Join(err, errNobody))
		}
	} else if !found {
		return target{}, errNobody
	}
	c := target{sess.Addr, pin.SID, pin.Token}
	m.cache[k] = c
	return c, nil
}

func (m *mesh) place(ctx context.Context) (owners.Session, error) {
	all, err := m.store.Sessions(ctx)
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

// request stamps a request for a target.
func (m *mesh) request(ctx context.Context, k owners.Key, c target, method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, body)
	if err != nil {
		m.t.Fatal(err)
	}
	m.stamp(r.Header, k, c)
	return r
}

func (m *mesh) stamp(h http.Header, k owners.Key, c target) {
	h.Set(wire.HeaderObject, k.String())
	h.Set(wire.HeaderSession, c.sid)
	h.Set(wire.HeaderToken, strconv.FormatInt(c.token, 10))
	h.Set(wire.HeaderAuth, m.signer.Sign(k.String(), c.sid, c.token, time.Now()))
	h.Set(wire.HeaderRefuse, "421")
}

// answer is what a client of the gateway gets.
type answer struct {
	status   int
	body     string
	header   http.Header
	refusals int
}

// do sends through the gateway: refusals and connections that could not be made are tried again.
func (m *mesh) do(ctx context.Context, k owners.Key, method, path, body string) (answer, error) {
	for refusals := 0; ; refusals++ {
		c, err := m.resolve(ctx, k)
		if err == nil {
			res, err := m.client.Do(m.request(ctx, k, c, method, path, bytes.NewReader([]byte(body))))
			var dial *net.OpError
			if err != nil && !(errors.As(err, &dial) && dial.Op == "dial") {
				return answer{}, err // sent: unknown
			}
			if err == nil {
				b, rerr := io.ReadAll(res.Body)
				res.Body.Close()
				refusal := res.Header.Get(wire.HeaderRefusal)
				if refusal == "" {
					return answer{res.StatusCode, string(b), res.Header, refusals}, rerr
				}
				m.refused(k, c, refusal)
			} else {
				m.refused(k, c, "reason=lease; token=0")
			}
		}
		if err := sleep(ctx, 5*time.Millisecond+rand.N(20*time.Millisecond)); err != nil {
			return answer{}, err
		}
	}
}

func (m *mesh) refused(k owners.Key, c target, header string) {
	r, err := wire.ParseRefusal(header)
	if err != nil {
		m.t.Errorf("refusal %q: %v", header, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.floor[k] = max(m.floor[k], r.Token)
	if m.cache[k] == c {
		delete(m.cache, k)
	}
}

// forget empties the gateway's cache.
func (m *mesh) forget(k owners.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.cache, k)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// must sends through the gateway and wants a status.
func (m *mesh) must(k owners.Key, method, path, body string, status int) answer {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
	defer cancel()
	a, err := m.do(ctx, k, method, path, body)
	if err != nil {
		m.t.Fatalf("%s %s for %s: %v", method, path, k, err)
	}
	if a.status != status {
		m.t.Fatalf("%s %s for %s: status %d, want %d: %s", method, path, k, a.status, status, a.body)
	}
	return a
}

// release asks the owner of k to let go.
func (m *mesh) release(k owners.Key, mode string, deadline time.Duration) wire.ReleaseReply {
	m.t.Helper()
	pin, sess, _, err := m.store.Pin(m.t.Context(), k)
	if err != nil {
		m.t.Fatal(err)
	}
	c := wire.ReleaseClient{Signer: m.signer, HTTP: m.client}
	reply, err := c.Release(m.t.Context(), sess.Addr, wire.ReleaseRequest{
		Object: k.String(), Session: pin.SID, Token: pin.Token, Mode: mode, Deadline: wire.Seconds(deadline),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return reply
}
