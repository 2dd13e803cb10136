package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// refused runs serve and wants exit 2 with all of these words on stderr.
func refused(t *testing.T, config string, words ...string) {
	t.Helper()
	stdout, stderr, code := run(t, "serve", "--config", config, "--role", "control")
	if code != 2 {
		t.Errorf("exit %d, want 2\n%s%s", code, stdout, stderr)
	}
	for _, w := range append(words, "→") {
		if !strings.Contains(stderr, w) {
			t.Errorf("stderr lacks %q:\n%s", w, stderr)
		}
	}
}

func TestServeRefusesAPortInUse(t *testing.T) {
	m := newMesh(t, "redis://"+testenv.Redis(t))
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", m.xds))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refused(t, m.write("mesh.yaml", m.gwA, m.controlAdmin), "listen.xds", "in use", "listen.xds in")
}

func TestServeRefusesAStoreThatIsDown(t *testing.T) {
	m := newMesh(t, fmt.Sprintf("redis://127.0.0.1:%d", testenv.Port(t)))
	path := m.write("mesh.yaml", m.gwA, m.controlAdmin)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// With long leases, and so with patient calls: a busy machine may be slow to refuse.
	patient := strings.Replace(string(text), "{host: 10s, max: 10s}", "{host: 60s, max: 60s}", 1)
	if err := os.WriteFile(path, []byte(patient), 0o644); err != nil || patient == string(text) {
		t.Fatalf("leases are not as expected: %v", err)
	}
	refused(t, path, "connection refused", "store.url")
}

// A store that is there and slow is waited for: short calls are for leases, not for the start.
func TestServeWaitsForASlowStore(t *testing.T) {
	redis := testenv.StartRedis(t)
	m := newMesh(t, "redis://"+redis.Addr)
	redis.Pause()
	control := m.startControl()
	control.WaitForOutput("the store is slow to answer")
	redis.Resume()
	eventually(t, "control to be ready", func() bool { return status(fmt.Sprintf("http://127.0.0.1:%d/readyz", m.controlAdmin)) == 200 })
}

func TestServeRefusesAStoreThatEvicts(t *testing.T) {
	m := newMesh(t, "redis://"+testenv.Redis(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"))
	refused(t, m.write("mesh.yaml", m.gwA, m.controlAdmin), "eviction", "noeviction")
}

// A store that has sessions and no epoch has lost data, or is about to be held:
// somebody may hold a lease of before.
func TestStoreInitIsRefusedWhereSessionsExist(t *testing.T) {
	url := "redis://" + testenv.Redis(t)
	s, err := owners.Open(t.Context(), owners.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Register(t.Context(), owners.Registration{
		SID: owners.NewSID(), Addr: "127.0.0.1:1", Name: "h-1", Classes: []string{"Cart"}, App: "shop", Version: "v1", Lease: 15 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := run(t, "store", "init", "--store", url)
	if code != 2 || stdout != "" || !strings.Contains(stderr, "the store has sessions") || !strings.Contains(stderr, "→ hosts may hold leases of before") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if e, err := s.Epoch(t.Context()); err != nil || e.Open {
		t.Errorf("epoch %+v, %v", e, err)
	}
}

func TestServeRefusesAnUnknownKey(t *testing.T) {
	m := newMesh(t, "redis://"+testenv.Redis(t))
	path := m.write("mesh.yaml", m.gwA, m.controlAdmin)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(m.dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte(strings.Replace(string(text), "app: shop", "ap: shop", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, bad, "bad.yaml:10:5", "ap", "app")
}

func TestServeRefusesTwoProcessesOnAnEmbeddedStore(t *testing.T) {
	m := newMesh(t, "embedded")
	refused(t, m.write("mesh.yaml", m.gwA, m.controlAdmin), "one process")
}
