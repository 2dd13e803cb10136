// Package e2e runs the built binaries against each other: serve processes on a
// real Redis, hosts by library and by agent, clients outside.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

var bin string // where TestMain built the binaries

func TestMain(m *testing.M) {
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "skewgate-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	for name, pkg := range map[string]string{
		"skewgate": "cmd/skewgate", "shop-v1": "examples/shop/v1/host", "shop-v2": "examples/shop/v2/host",
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "github.com/skewgate/skewgate/"+pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	return m.Run()
}

// start runs a binary until the test ends.
func start(t *testing.T, name string, args ...string) *testenv.Process {
	t.Helper()
	return testenv.StartProcess(t, name, nil, append([]string{filepath.Join(bin, name)}, args...)...)
}

// run runs a command to its end and gives what it printed and its exit code.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "skewgate"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// mesh is a mesh file's ports and where it lies.
type mesh struct {
	t                                *testing.T
	dir, secret, store               string
	xds, controlAdmin, gwA, gwB      int
	gwAAdmin, gwBAdmin, hosts, spare int
}

// lease is that of every host, as in meshFile: long enough for a machine that
// does other work, because some tests say that nothing fails.
const lease = "10s"

const meshFile = `apiVersion: skewgate/v1
kind: Mesh
store: {url: %q}
listen: {gateway: "127.0.0.1:%d", picker: "127.0.0.1:0", xds: "127.0.0.1:%d", admin: "127.0.0.1:%d", store: "127.0.0.1:%d"}
leases: {host: 10s, max: 10s}
auth: {meshSecretFile: %q}
control: "127.0.0.1:%d"
classes:
  Cart:
    app: shop
    services: [shop.v1.CartService]
    routes: ["/carts/{id}/**"]
    id: {header: cart-id}
    move: {mode: drain, rate: 1000/s, inFlight: 64, deadline: 5s, idle: 5s}
    limits: {holdFor: 10s}
  Counter:
    app: legacy
    routes: ["/counters/{id}/**"]
`

func newMesh(t *testing.T, store string) *mesh {
	t.Helper()
	m := &mesh{t: t, dir: t.TempDir(), store: store}
	for _, p := range []*int{&m.xds, &m.controlAdmin, &m.gwA, &m.gwB, &m.gwAAdmin, &m.gwBAdmin, &m.spare} {
		*p = testenv.Port(t)
	}
	m.secret = filepath.Join(m.dir, "secret")
	if err := os.WriteFile(m.secret, []byte("a secret of the end-to-end test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// write writes a mesh file with these ports.
func (m *mesh) write(name string, gateway, admin int) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	text := fmt.Sprintf(meshFile, m.store, gateway, m.xds, admin, m.spare, m.secret, m.xds)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func (m *mesh) startControl() *testenv.Process {
	return start(m.t, "skewgate", "serve", "--config", m.write("control.yaml", m.spare, m.controlAdmin), "--role", "control", "--id", "control")
}

func (m *mesh) startGateway(id string, port, admin int) *testenv.Process {
	return start(m.t, "skewgate", "serve", "--config", m.write(id+".yaml", port, admin), "--role", "gateway", "--id", id)
}

func (m *mesh) startHost(version, name string, port int) *testenv.Process {
	return start(m.t, "shop-"+version, "--store", m.store, "--listen", fmt.Sprintf("127.0.0.1:%d", port),
		"--name", name, "--secret-file", m.secret, "--lease", lease, "--idle", "5s")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never came about: %s", what)
}

func status(url string) int {
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}
