package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/skewgate/skewgate/internal/testenv"
)

// TestMeshScripts runs what an operator would type against a mesh:
// testdata/mesh*.txtar. Each has a serve of its own with the embedded store,
// and hosts old-1 (shop@v41) and new-1 (shop@v42) behind agents.
func TestMeshScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/mesh*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			m := startMesh(t)
			testscript.Run(t, testscript.Params{
				Files: []string{file}, RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("SKEWGATE_ADMIN", m.admin)
					e.Setenv("SKEWGATE_STORE", "redis://"+m.store)
					e.Setenv("SKEWGATE_BY", "alice")
					e.Setenv("EXAMPLES", m.examples)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){"call": m.call, "until": m.until},
			})
		})
	}
}

// scriptMesh is one mesh for one script.
type scriptMesh struct {
	gateway, admin, store, examples string
}

const meshFile = `apiVersion: skewgate/v1
kind: Mesh
store: {url: embedded}
listen: {gateway: "%s", picker: "%s", xds: "%s", admin: "%s", store: "%s"}
control: "%[3]s"
auth: {meshSecretFile: %[6]s}
callers: {identity: header, trust: [127.0.0.0/8]}
classes:
  Cart:
    app: shop
    services: [shop.v1.CartService]
    routes: ["/carts/{id}/**"]
    id: {header: cart-id}
    move: {mode: drain, rate: 100/s, inFlight: 16, deadline: 5s, idle: 1m}
`

func startMesh(t *testing.T) *scriptMesh {
	t.Helper()
	dir := t.TempDir()
	addr := func() string { return fmt.Sprintf("127.0.0.1:%d", testenv.Port(t)) }
	examples, err := filepath.Abs("../../examples/shop")
	if err != nil {
		t.Fatal(err)
	}
	m := &scriptMesh{gateway: addr(), admin: addr(), store: addr(), examples: examples}
	secret, config := filepath.Join(dir, "secret"), filepath.Join(dir, "mesh.yaml")
	writeFile(t, secret, "the secret of the mesh in scripts")
	writeFile(t, config, fmt.Sprintf(meshFile, m.gateway, addr(), addr(), m.admin, m.store, secret))
	background(t, "serve", "--config", config, "--store-init", "--log-level", "error")
	waitFor(t, "the mesh is ready", func() bool { return status("http://"+m.admin+"/readyz") == http.StatusOK })
	for name, version := range map[string]string{"old-1": "v41", "new-1": "v42"} {
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/fail") {
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprintln(w, version)
		}))
		t.Cleanup(up.Close)
		listen := addr()
		background(t, "agent", "--app", "shop", "--version", version, "--class", "Cart", "--name", name, "--upstream", up.URL, "--health", "/",
			"--listen", listen, "--advertise", listen, "--storage", addr(), "--store", "redis://"+m.store, "--secret-file", secret, "--lease", "4s", "--log-level", "error")
	}
	waitFor(t, "both hosts are ready", func() bool {
		res, err := http.Get("http://" + m.admin + "/v1/hosts")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return err == nil && strings.Count(string(body), `"state":"ready"`) == 2
	})
	return m
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// background runs a command of ours until the test ends.
func background(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stderr strings.Builder
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, strings.NewReader(""), io.Discard, &stderr) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("skewgate %s: exit %d\n%s", args[0], code, stderr.String())
		}
	})
}

func status(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for range 600 {
		if cond() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// call CALLER ID [N [PATH]] makes N requests of an object through the gateway.
func (m *scriptMesh) call(ts *testscript.TestScript, neg bool, args []string) {
	n, path := 1, "items"
	if len(args) > 2 {
		var err error
		n, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	if len(args) > 3 {
		path = args[3]
	}
	for range n {
		req, err := http.NewRequest(http.MethodGet, "http://"+m.gateway+"/carts/"+args[1]+"/"+path, nil)
		ts.Check(err)
		req.Header.Set("Skewgate-Caller", args[0])
		res, err := http.DefaultClient.Do(req)
		ts.Check(err)
		res.Body.Close()
		if (res.StatusCode != http.StatusOK) != neg {
			ts.Fatalf("call %v: %s", args, res.Status)
		}
	}
}

// until REGEXP ARGS… repeats a skewgate command until its output matches. With
// "call ID" before ARGS an object is called each time.
func (m *scriptMesh) until(ts *testscript.TestScript, _ bool, args []string) {
	want, args := regexp.MustCompile("(?m)"+args[0]), args[1:]
	calling := ""
	if args[0] == "call" {
		calling, args = args[1], args[2:]
	}
	var out strings.Builder
	for range 300 {
		if calling != "" {
			m.call(ts, false, []string{"web@v1", calling})
		}
		out.Reset()
		run(context.Background(), append(args, "--admin", m.admin), strings.NewReader(""), &out, &out) // its exit status may be no
		if want.MatchString(out.String()) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("never: %s\n%s", want, out.String())
}
