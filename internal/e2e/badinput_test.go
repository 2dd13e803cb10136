package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/internal/testenv"
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
	refused(t, m.write("mesh.yaml", m.gwA, m.controlAdmin), "connection refused", "store.url")
}

func TestServeRefusesAStoreThatEvicts(t *testing.T) {
	m := newMesh(t, "redis://"+testenv.Redis(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"))
	refused(t, m.write("mesh.yaml", m.gwA, m.controlAdmin), "eviction", "noeviction")
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
