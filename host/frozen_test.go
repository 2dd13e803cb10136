package host_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/internal/testmesh"
)

// childEnv makes the test binary a host process: its value is the host's name.
const childEnv = "SKEWGATE_TEST_HOST"

// child is a real host in a process of its own. A handler that is asked to hold
// says so on stdout, waits, and says what became of it.
func child() int {
	hold := func(r *http.Request) {
		fmt.Println("holding")
		time.Sleep(700 * time.Millisecond)
	}
	h, err := host.New(host.Options{
		App: "shop", Version: "v1", Name: os.Getenv(childEnv), Store: os.Getenv("STORE"), Listen: os.Getenv("LISTEN"),
		Secret: testmesh.Secret, Lease: 3 * time.Second, Drain: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err == nil {
		activate := counting(os.Getenv(childEnv), hold)
		h.Handle("Cart", func(ctx context.Context, o *host.Object) (http.Handler, error) {
			c, err := activate(ctx, o)
			return reporting{c}, err
		})
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = h.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// reporting prints what a handler answered, whether or not it leaves.
type reporting struct{ http.Handler }

func (h reporting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &statusWriter{ResponseWriter: w, status: 200}
	h.Handler.ServeHTTP(rec, r)
	fmt.Println("answered", rec.status)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(s int) { w.status = s; w.ResponseWriter.WriteHeader(s) }

// process is a child of the test.
type process struct {
	cmd   *exec.Cmd
	addr  string
	lines chan string
}

func startProcess(m *testmesh.Mesh, name string) *process {
	m.T.Helper()
	addr := "127.0.0.1:" + strconv.Itoa(testenv.Port(m.T))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+name, "STORE="+m.URL, "LISTEN="+addr)
	if testing.Verbose() {
		cmd.Stderr = testmesh.LogWriter(m.T)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.T.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.T.Fatal(err)
	}
	p := &process{cmd: cmd, addr: addr, lines: make(chan string, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	m.T.Cleanup(func() { _ = cmd.Process.Kill(); <-read; _ = cmd.Wait() })
	m.Until(name+" is registered", func() bool { _, ok := m.SessionAt(addr); return ok })
	return p
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// line waits for a line with this beginning and gives the rest.
func (p *process) line(t *testing.T, begin string) string {
	t.Helper()
	for {
		select {
		case l := <-p.lines:
			if rest, ok := strings.CutPrefix(l, begin); ok {
				return strings.TrimSpace(rest)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no line %q in 30 s", begin)
		}
	}
}

// A process that is stopped for longer than its lease wakes inside of a
// handler: its write is refused, its answer is withheld, and meanwhile another host has served.
func TestFrozenHost(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/add?hold=1", "/?hold=1"} {
		t.Run(path, func(t *testing.T) {
			testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) { frozenHost(t, m, path) })
		})
	}
}

func frozenHost(t *testing.T, m *testmesh.Mesh, path string) {
	frozen := startProcess(m, "frozen")
	k := key("1")
	m.Must(k, "POST", "/add", "", 200)
	late := m.Later(k, "POST", path)
	frozen.line(t, "holding")
	frozen.signal(syscall.SIGSTOP)
	m.Start("other", counting("other", nil))
	m.Until("a watcher has declared it dead", func() bool { _, ok := m.SessionAt(frozen.addr); return !ok })
	m.Forget(k) // as if another gateway asked
	if a := m.Must(k, "POST", "/add", "", 200); a.Body != "2" || a.Header.Get("Served-By") != "other" {
		t.Errorf("count %s by %s, want 2 by other", a.Body, a.Header.Get("Served-By"))
	}
	frozen.signal(syscall.SIGCONT)
	got := <-late
	if got.Err != nil || got.Status != http.StatusConflict || got.Code() != "stale_instance" {
		t.Errorf("late answer: %d %s %v, want 409 stale_instance", got.Status, got.Body, got.Err)
	}
	if status := frozen.line(t, "answered"); strings.HasPrefix(path, "/add") && status != "409" {
		t.Errorf("the handler's late write gave %s, want 409: refused as stale", status)
	}
	m.Until("the frozen host is back under a new session", func() bool { _, ok := m.SessionAt(frozen.addr); return ok })
	if a := m.Must(k, "GET", "/", "", 200); a.Body != "2" {
		t.Errorf("count %s, want 2", a.Body)
	}
}
