package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/skewgate/skewgate/bench/internal/rig"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Mesh is a Redis, a skewgate serve, and hosts of app shop, class Cart: processes all of them.
type Mesh struct {
	Redis     *rig.Redis
	Serve     *rig.Process
	Store     *owners.Store
	Signer    *wire.Signer
	Gateway   string // address
	Admin     string
	Lease     time.Duration
	Dir, self string
	binary    string
}

const meshFile = `apiVersion: skewgate/v1
kind: Mesh
store: {url: "redis://%s"}
listen: {gateway: "%s", picker: "%s", xds: "%s", admin: "%s"}
control: "%[4]s"
leases: {host: %[6]v, max: %[7]v}
auth: {meshSecretFile: %[8]s}
callers: {identity: header, trust: [127.0.0.0/8]}
classes:
  Cart:
    app: shop
    routes: ["/carts/{id}/**"]
    id: {header: cart-id}
    move: {mode: lazy, rate: 1000/s, inFlight: 256, deadline: 30s, idle: 10m}
    limits: {holdFor: 5s, heldPerObject: 256, heldBytes: 64MiB}
`

// secret of every mesh of a measurement.
const secret = "the secret of the mesh in benchmarks"

// StartMesh builds skewgate and starts it on a fresh Redis. The program that
// calls it must call Child first thing in main: hosts are itself, run again.
func StartMesh(ctx context.Context, lease time.Duration) (*Mesh, error) {
	m := &Mesh{Lease: lease, Signer: wire.NewSigner([]byte(secret))}
	var err error
	if m.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if m.Dir, err = os.MkdirTemp("", "skewgate-bench-"); err != nil {
		return nil, err
	}
	if m.binary, err = build(ctx); err != nil {
		return nil, err
	}
	if m.Redis, err = rig.StartRedis(ctx); err != nil {
		return nil, err
	}
	if m.Store, err = owners.Open(ctx, owners.Options{URL: m.Redis.URL()}); err != nil {
		return nil, err
	}
	if err := m.Store.Init(ctx); err != nil {
		return nil, err
	}
	var addrs [4]string
	for i := range addrs {
		if addrs[i], err = rig.FreeAddr(); err != nil {
			return nil, err
		}
	}
	m.Gateway, m.Admin = addrs[0], addrs[3]
	file := filepath.Join(m.Dir, "mesh.yaml")
	text := fmt.Sprintf(meshFile, m.Redis.Addr, addrs[0], addrs[1], addrs[2], addrs[3], lease, 2*lease, m.SecretFile())
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(m.SecretFile(), []byte(secret), 0o600)); err != nil {
		return nil, err
	}
	if m.Serve, err = rig.Start(ctx, m.Gateway, m.binary, "serve", "--config", file, "--log-level", "error"); err != nil {
		return nil, err
	}
	return m, m.ready(ctx)
}

// ready waits until serve says that it can do its work: it listens earlier.
func (m *Mesh) ready(ctx context.Context) error {
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := Get(ctx, http.DefaultClient, "http://"+m.Admin+"/readyz", nil)
		if err == nil || ctx.Err() != nil || time.Since(start) > 30*time.Second {
			return err
		}
	}
}

// Close removes what StartMesh left on the disk; processes end with its context.
func (m *Mesh) Close() error { return errors.Join(m.Store.Close(), os.RemoveAll(m.Dir)) }

// SecretFile holds the mesh's secret.
func (m *Mesh) SecretFile() string { return filepath.Join(m.Dir, "secret") }

// build makes the binary, at the top of the repository.
func build(ctx context.Context) (string, error) {
	top, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/skewgate/skewgate").Output()
	if err != nil {
		return "", fmt.Errorf("where is the repository? run it within: %w", err)
	}
	dir := strings.TrimSpace(string(top))
	bin := filepath.Join(dir, ".tools", "bench", "skewgate")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/skewgate")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build skewgate: %w\n%s", err, out)
	}
	return bin, nil
}

// Host starts one more host.
func (m *Mesh) Host(ctx context.Context, name string) (*rig.Process, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := rig.Start(ctx, addr, m.self, "-as-host", "-name", name, "-listen", addr, "-store", m.Redis.URL(), "-secret", m.SecretFile(), "-lease", m.Lease.String())
	if err != nil {
		return nil, err
	}
	_, err = m.Await(ctx, name)
	return p, err
}

// Agent starts an agent before the upstream at addr.
func (m *Mesh) Agent(ctx context.Context, name, upstream string) (*rig.Process, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	storage, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := rig.Start(ctx, addr, m.binary, "agent", "--app", "shop", "--version", "v1", "--class", "Cart", "--name", name,
		"--upstream", "http://"+upstream, "--health", "/healthz", "--listen", addr, "--advertise", addr, "--storage", storage,
		"--store", m.Redis.URL(), "--secret-file", m.SecretFile(), "--lease", m.Lease.String(), "--log-level", "error")
	if err != nil {
		return nil, err
	}
	_, err = m.Await(ctx, name)
	return p, err
}

// Await waits until the host is registered and ready.
func (m *Mesh) Await(ctx context.Context, name string) (owners.Session, error) {
	for start := time.Now(); time.Since(start) < 30*time.Second && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if s, err := m.Session(ctx, name); err == nil {
			return s, nil
		}
	}
	return owners.Session{}, fmt.Errorf("host %s did not register", name)
}

// Session is the live session of a host.
func (m *Mesh) Session(ctx context.Context, name string) (owners.Session, error) {
	all, err := m.Store.Sessions(ctx)
	for _, s := range all {
		if s.Name == name && s.State == owners.Live && s.Ready {
			return s, nil
		}
	}
	return owners.Session{}, errors.Join(err, fmt.Errorf("host %s has no live session", name))
}
