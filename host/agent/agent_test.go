package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// childEnv makes the test binary an agent: its value is the JSON of childOptions.
const childEnv = "SKEWGATE_TEST_AGENT"

type childOptions struct{ Name, Store, Listen, Upstream, Storage string }

func (c childOptions) options() agent.Options {
	return agent.Options{
		Host: host.Options{
			App: "shop", Version: "v1", Name: c.Name, Store: c.Store, Listen: c.Listen, Secret: testmesh.Secret,
			Lease: 3 * time.Second, Idle: time.Minute, Drain: 5 * time.Second,
		},
		Classes: []string{"Cart"}, Upstream: c.Upstream, Storage: c.Storage, Health: "/healthz",
	}
}

func child() int {
	var c childOptions
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := json.Unmarshal([]byte(os.Getenv(childEnv)), &c)
	if err == nil {
		err = agent.Run(ctx, c.options())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func addr(t testing.TB) string { return "127.0.0.1:" + strconv.Itoa(testenv.Port(t)) }

// upstream is a host process in another language.
type upstream struct {
	addr, storage string
	lines         chan string
}

var languages = map[string][]string{"python": {"python3", "testdata/cart.py"}, "node": {"node", "testdata/cart.mjs"}}

func startUpstream(t testing.TB, language string) *upstream {
	t.Helper()
	u := &upstream{addr: addr(t), storage: addr(t), lines: make(chan string, 1000)}
	argv := languages[language]
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Fatalf("%s is not installed", argv[0])
	}
	host, port, _ := strings.Cut(u.addr, ":")
	startProcess(t, u.lines, []string{"HOST=" + host, "PORT=" + port, "STORAGE=" + u.storage}, argv...)
	return u
}

// startProcess runs a program until the test ends; its stdout comes in lines.
func startProcess(t testing.TB, lines chan<- string, env []string, argv ...string) *os.Process {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	if testing.Verbose() {
		cmd.Stderr = testmesh.LogWriter(t)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-read; _ = cmd.Wait() })
	return cmd.Process
}

// get asks the upstream itself, past its agent.
func (u *upstream) get(t testing.TB, path string) string {
	t.Helper()
	res, err := http.Get("http://" + u.addr + path) //nolint:noctx // a test's own process
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (u *upstream) line(t testing.TB, want string) {
	t.Helper()
	for {
		select {
		case l := <-u.lines:
			if l == want {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no line %q in 30 s", want)
		}
	}
}

// startAgent runs an agent in this process.
func startAgent(m *testmesh.Mesh, name string, u *upstream, edit ...func(*agent.Options)) *testmesh.Running {
	m.T.Helper()
	listen := addr(m.T)
	o := childOptions{name, m.URL, listen, "http://" + u.addr, u.storage}.options()
	o.Host.Lease = testmesh.Lease
	o.Host.Logger = testmesh.Log(m.T).With("agent", name)
	for _, e := range edit {
		e(&o)
	}
	return m.Run(listen, func(ctx context.Context) error { return agent.Run(ctx, o) })
}

func key(id string) owners.Key { return owners.Key{Class: "Cart", ID: id} }

func onEveryLanguage(t *testing.T, test func(t *testing.T, language string, m *testmesh.Mesh)) {
	for language := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			test(t, language, testmesh.New(t, "redis://"+testenv.Redis(t)))
		})
	}
}

func TestHostInAnyLanguage(t *testing.T) {
	onEveryLanguage(t, func(t *testing.T, language string, m *testmesh.Mesh) {
		one, two := startUpstream(t, language), startUpstream(t, language)
		startAgent(m, "one", one)
		startAgent(m, "two", two)
		k := key("8812/ä b")
		for want := 1; want <= 3; want++ {
			if a := m.Must(k, "POST", "/add", "x", 200); a.Body != strconv.Itoa(want) || a.Header.Get("Served-By") != language {
				t.Fatalf("count %s by %s, want %d by %s", a.Body, a.Header.Get("Served-By"), want, language)
			}
		}
		_, sess, _, err := m.Store.Pin(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		m.Avoid(sess.ID)
		if r := m.Release(k, wire.ReleaseNow, 5*time.Second); !r.Released {
			t.Fatalf("not released: %+v", r)
		}
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != "4" || a.Refusals > 1 {
			t.Errorf("count %s after %d refusals, want 4 after at most 1", a.Body, a.Refusals)
		}
		told := ""
		for _, u := range []*upstream{one, two} {
			told += u.get(t, "/deactivated")
		}
		if told != k.String() {
			t.Errorf("the upstreams were told of the end of %q, want %s once", told, k)
		}
	})
}

func TestFrozenAgent(t *testing.T) {
	onEveryLanguage(t, func(t *testing.T, language string, m *testmesh.Mesh) {
		u := startUpstream(t, language)
		c := childOptions{"frozen", m.URL, addr(t), "http://" + u.addr, u.storage}
		env, _ := json.Marshal(c)
		frozen := startProcess(t, make(chan string, 1000), []string{childEnv + "=" + string(env)}, os.Args[0])
		m.Until("the agent is registered", func() bool { _, ok := m.SessionAt(c.Listen); return ok })
		k := key("1")
		m.Must(k, "POST", "/add", "", 200)
		late := m.Later(k, "POST", "/add?hold=0.7")
		u.line(t, "holding")
		_ = frozen.Signal(syscall.SIGSTOP)
		startAgent(m, "other", startUpstream(t, language))
		m.Until("a watcher has declared it dead", func() bool { _, ok := m.SessionAt(c.Listen); return !ok })
		m.Forget(k)
		if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" {
			t.Errorf("count %s, want 2", a.Body)
		}
		_ = frozen.Signal(syscall.SIGCONT)
		if got := <-late; got.Err != nil || got.Status != http.StatusConflict || got.Code() != "stale_instance" {
			t.Errorf("late answer: %d %s %v, want 409 stale_instance", got.Status, got.Body, got.Err)
		}
		u.line(t, "stale")
		if a := m.Must(k, "GET", "/", "", 200); a.Body != "2" {
			t.Errorf("count %s, want 2", a.Body)
		}
	})
}

func TestWebSocketIsClosedWithRestartOnRelease(t *testing.T) {
	m := testmesh.New(t, testmesh.Embedded(t))
	startAgent(m, "one", startUpstream(t, "node"))
	k := key("1")
	c := m.Owner(k)
	h := http.Header{}
	m.Stamp(h, k, c)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+c.Addr+"/ws", &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for want := 1; want <= 3; want++ {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte("add")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(t.Context()); err != nil || string(got) != strconv.Itoa(want) {
			t.Fatalf("got %s, %v, want %d", got, err, want)
		}
	}
	if a := m.Must(k, "GET", "/", "", 200); a.Body != "3" {
		t.Errorf("count %s beside the socket, want 3", a.Body)
	}
	released := make(chan wire.ReleaseReply, 1)
	go func() { r, _ := m.ReleaseAt(k, c, wire.ReleaseNow, 5*time.Second); released <- r }()
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("socket ended with %v, want status 1012", err)
	}
	if r := <-released; !r.Released {
		t.Errorf("not released: %+v", r)
	}
	if a := m.Must(k, "GET", "/", "", 200); a.Body != "3" {
		t.Errorf("count %s after the release, want 3", a.Body)
	}
}
