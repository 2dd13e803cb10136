package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// build compiles the binaries and gets the edge.
func (s *stage) build(ctx context.Context) error {
	s.term.heading("set-up")
	if err := os.MkdirAll(filepath.Join(s.o.dir, "bin"), 0o755); err != nil {
		return err
	}
	s.processes.dir = s.o.dir
	for name, pkg := range map[string]string{
		"skewgate": "./cmd/skewgate",
		"shop-v1":  "./examples/shop/v1/host", "shop-v2": "./examples/shop/v2/host",
		"web-v1": "./examples/shop/v1/web", "web-v2": "./examples/shop/v2/web",
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", s.bin(name), pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("go build %s (run this from the top of the repository): %w\n%s", pkg, err, out))
		}
	}
	s.say("built skewgate, shop v1 and v2, web v1 and v2 into %s/bin (%.1fs)", s.o.dir, time.Since(s.started).Seconds())
	if s.o.noEdge {
		s.say("no edge: clients talk to the gateway (--no-edge)")
		return nil
	}
	cmd := exec.CommandContext(ctx, "tools/envoy.sh")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("the edge is missing:\n%s", out))
	}
	return nil
}

// open starts the mesh and the first version's hosts and workers.
func (s *stage) open(ctx context.Context) error {
	s.term.heading("the mesh: store, control, gateway, edge; shop v1 on two hosts")
	opened := time.Now()
	if err := s.configure(); err != nil {
		return err
	}
	if _, err := s.processes.start("serve", nil, s.bin("skewgate"), "serve", "--config", s.file("mesh.yaml"), "--store-init"); err != nil {
		return err
	}
	if err := s.processes.until(ctx, "the control plane", 20*time.Second, func() bool { return s.answers(s.admin() + "/livez") }); err != nil {
		return err
	}
	if err := s.startHosts("v1"); err != nil {
		return err
	}
	if err := s.openEdge(ctx); err != nil {
		return err
	}
	first := "http://" + s.edge + "/carts/first"
	if err := s.processes.until(ctx, "the first answer of a cart", 30*time.Second, func() bool { return s.answers(first) }); err != nil {
		return err
	}
	s.say("first cart served through %s after %.1fs", s.edgeName(), time.Since(opened).Seconds())
	if err := s.deploy(ctx); err != nil {
		return err
	}
	return s.startWorker("v1")
}

// configure finds ports and writes the mesh file and the secret.
func (s *stage) configure() error {
	free, err := freePorts(10)
	if err != nil {
		return err
	}
	s.ports = ports{store: free[0], xds: free[1], admin: free[2], gateway: free[3], edge: free[4], edgeAdmin: free[5], hosts: free[6:]}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("secret"), []byte(hex.EncodeToString(secret)+"\n"), 0o600); err != nil {
		return err
	}
	secretFile, err := filepath.Abs(s.file("secret"))
	if err != nil {
		return err
	}
	return os.WriteFile(s.file("mesh.yaml"), []byte(s.mesh(secretFile)), 0o644)
}

func (s *stage) mesh(secretFile string) string {
	return fmt.Sprintf(`# Written by the demonstration.
apiVersion: skewgate/v1
kind: Mesh
store: {url: embedded}
listen: {store: "127.0.0.1:%d", picker: "127.0.0.1:0", gateway: "127.0.0.1:%d", xds: "127.0.0.1:%d", admin: "127.0.0.1:%d"}
leases: {host: %v, max: %v}
auth: {meshSecretFile: %s}
control: "127.0.0.1:%d"
callers: {identity: header, trust: [127.0.0.0/8]}
classes:
  Cart:
    app: shop
    mode: own
    services: [shop.v1.CartService]
    routes: ["/carts/{id}/**"]
    id: {header: cart-id}
    onIncompatible: refuse
    move: {mode: drain, rate: 100/s, inFlight: 16, deadline: 5s, idle: 5s}
    limits: {holdFor: 10s}
`, s.ports.store, s.ports.gateway, s.ports.xds, s.ports.admin, lease, lease, secretFile, s.ports.xds)
}

// startHosts starts two hosts of a version.
func (s *stage) startHosts(version string) error {
	if s.hosts == nil {
		s.hosts = map[string]*process{}
	}
	for _, letter := range []string{"a", "b"} {
		name := "shop-" + version + "-" + letter
		port := s.ports.hosts[len(s.hosts)]
		p, err := s.processes.start(name, nil, s.bin("shop-"+version),
			"--store", s.store(), "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--name", name,
			"--secret-file", s.file("secret"), "--lease", lease.String(), "--idle", "5s")
		if err != nil {
			return err
		}
		s.hosts[name] = p
	}
	return nil
}

// openEdge starts Envoy with the bootstrap that skewgate writes for this mesh.
func (s *stage) openEdge(ctx context.Context) error {
	if s.o.noEdge {
		s.edge = fmt.Sprintf("127.0.0.1:%d", s.ports.gateway)
		return nil
	}
	s.edge = fmt.Sprintf("127.0.0.1:%d", s.ports.edge)
	args := []string{"envoy", "config", "--config", s.file("mesh.yaml"),
		"--listen", s.edge, "--envoy-admin", fmt.Sprintf("127.0.0.1:%d", s.ports.edgeAdmin)}
	bootstrap, _, err := s.skewgate(ctx, args...)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.file("envoy.yaml"), []byte(bootstrap), 0o644); err != nil {
		return err
	}
	if _, err := s.processes.start("envoy", nil, ".tools/envoy/envoy", "-c", s.file("envoy.yaml"),
		"--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"); err != nil {
		return err
	}
	ready := fmt.Sprintf("http://127.0.0.1:%d/ready", s.ports.edgeAdmin)
	return s.processes.until(ctx, "Envoy", 20*time.Second, func() bool { return s.answers(ready) })
}

func (s *stage) edgeName() string {
	if s.o.noEdge {
		return "the gateway at http://" + s.edge
	}
	return "a real Envoy at http://" + s.edge
}

func (s *stage) answers(url string) bool {
	client := http.Client{Timeout: 2 * time.Second}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Skewgate-Caller", "web@v1")
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// deploy registers the schemas, and records that all carts run v1, so that
// hosts of the next version get none before a rollout says so.
func (s *stage) deploy(ctx context.Context) error {
	for _, v := range []string{"v1", "v2"} {
		for _, manifest := range []string{"skewgate.yaml", "web.yaml"} {
			dir := "examples/shop/" + v
			if _, err := s.show(ctx, "schema", "push", dir, "--manifest", dir+"/"+manifest, "--version", v); err != nil {
				return err
			}
		}
	}
	code, err := s.show(ctx, "rollout", "start", "shop", "--to", "v1")
	if err == nil && code != 0 {
		err = errors.New("the first deployment was refused")
	}
	if err != nil {
		return err
	}
	_, _, err = s.skewgate(ctx, "rollout", "status", "shop", "--wait")
	return err
}

func (s *stage) plan(ctx context.Context) error {
	s.term.heading("CI: may shop v2 meet v1? computed from the .proto files, no server asked")
	_, err := s.show(ctx, "compat", "check", "--old", "examples/shop/v1", "--new", "examples/shop/v2")
	if err != nil {
		return err
	}
	_, err = s.show(ctx, "compat", "plan", "--old", "examples/shop/v1", "--new", "examples/shop/v2")
	return err
}
