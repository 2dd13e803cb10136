package chaos

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/internal/testenv"
)

// plan says what a cluster is made of. Zero values are those in the comments.
type plan struct {
	addr     string        // of a Redis that stands alone, or the master; every process reaches it over a link of its own
	url      string        // of the store instead, when there are no links
	replicas int           // store.replicas
	failover time.Duration // store.failover
	values   string        // where values are kept; beside the pins
	postgres string        // address of a PostgreSQL that keeps values instead; every host reaches it over a link of its own
	lease    time.Duration // 2s
	broken   string        // see breakHost
	stop     string        // the point at which a host by library stops itself after SIGUSR1
	tls      *testenv.CA   // of every certificate: store and hosts are spoken to by mutual TLS; nil: in plain text
	agents   int           // of the three hosts; the others are by library
}

// cluster is two gateways, control, and three hosts.
type cluster struct {
	*plan
	t        *testing.T
	dir      string
	secret   string
	xds      int
	admin    string // URL of control's admin API
	gateways []*gateway
	control  *testenv.Process
	hosts    []*objectHost

	storeCert, storeKey string // of everybody who speaks to the store; with tls
}

type gateway struct {
	*testenv.Process
	url   string
	store *testenv.Proxy // gateway → Redis; nil when there is none
}

// objectHost is a host by library, or an agent with its upstream.
type objectHost struct {
	*testenv.Process
	upstream *testenv.Process // nil by library
	link     *testenv.Proxy   // gateways → host
	store    *testenv.Proxy   // host → Redis; nil when there is none
	values   *testenv.Proxy   // host → PostgreSQL; nil when there is none
}

const meshFile = `apiVersion: skewgate/v1
kind: Mesh
store: {url: %q, replicas: %d, failover: %v}
listen: {gateway: "127.0.0.1:%d", picker: "127.0.0.1:%d", xds: "127.0.0.1:%d", admin: "127.0.0.1:%d"}
leases: {host: %v, max: %[8]v}
auth: {meshSecretFile: %q%s}
control: "127.0.0.1:%[6]d"
classes:
  List:
    app: chaos
    routes: ["/lists/{id}/**"]
    limits: {holdFor: 3s}
`

// hostNames are stable, as names of pods are.
var hostNames = []string{"one", "two", "three"}

// startCluster starts everything and waits until all hosts are there and both gateways serve.
func startCluster(t *testing.T, p plan) *cluster {
	t.Helper()
	if p.lease == 0 {
		p.lease = 2 * time.Second
	}
	c := &cluster{plan: &p, t: t, dir: t.TempDir(), xds: testenv.Port(t)}
	c.secret = filepath.Join(c.dir, "secret")
	if err := os.WriteFile(c.secret, []byte("a secret of the tests of faults\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.tls != nil {
		c.storeCert, c.storeKey = c.tls.Issue("client-of-the-store")
	}
	direct, _ := c.storeURL(false)
	init := testenv.StartProcess(t, "store init", nil, skewgate, "store", "init", "--store", direct)
	<-init.Ended()
	if !strings.Contains(init.Output(), "open") && !strings.Contains(init.Output(), "ready") {
		t.Fatalf("store init: %s", init.Output())
	}
	port := testenv.Port(t)
	c.admin = fmt.Sprintf("http://127.0.0.1:%d", port)
	c.control = c.serve("control", "control", testenv.Port(t), port, direct)
	for i := range 2 {
		url, link := c.storeURL(true)
		port := testenv.Port(t)
		name := fmt.Sprintf("gateway-%d", i+1)
		c.gateways = append(c.gateways, &gateway{c.serve(name, "gateway", port, testenv.Port(t), url), fmt.Sprintf("http://127.0.0.1:%d", port), link})
	}
	for i, name := range hostNames {
		c.hosts = append(c.hosts, c.startHost(name, i >= len(hostNames)-p.agents))
	}
	eventually(t, "every host is ready", recovery, func() bool {
		list, err := c.api().Hosts(t.Context(), admin.HostQuery{})
		ready := 0
		for _, h := range list.Items {
			if h.State == "ready" {
				ready++
			}
		}
		return err == nil && ready == len(hostNames)
	})
	for _, g := range c.gateways { // a test may say that from now on nothing fails
		eventually(t, g.Name+" serves", recovery, func() bool {
			client := http.Client{Timeout: clientTimeout}
			defer client.CloseIdleConnections()
			resp, err := client.Get(g.url + "/lists/first/")
			return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
		})
	}
	return c
}

// api is control's.
func (c *cluster) api() *admin.Client { return &admin.Client{URL: c.admin, By: "chaos"} }

// storeURL is the store's URL, over a link of its own where there are links.
func (c *cluster) storeURL(linked bool) (string, *testenv.Proxy) {
	c.t.Helper()
	scheme, params := "redis://", fmt.Sprintf("?replicas=%d&failover=%v", c.replicas, c.failover)
	if c.tls != nil {
		scheme, params = "rediss://", fmt.Sprintf("%s&ca=%s&cert=%s&key=%s", params, c.tls.File, c.storeCert, c.storeKey)
	}
	switch {
	case c.url != "":
		return c.url + params, nil
	case !linked:
		return scheme + c.addr + params, nil
	}
	p := testenv.NewProxy(c.t, c.addr)
	return scheme + p.Addr + params, p
}

// gatewayName and hostName are in certificates: both are of one authority, and neither passes for the other.
const gatewayName, hostName = "spiffe://chaos.example/gateway", "spiffe://chaos.example/hosts/"

// gatewayTLS is what the mesh file says of it.
func (c *cluster) gatewayTLS(name string) string {
	if c.tls == nil {
		return ""
	}
	cert, key := c.tls.Issue(name, gatewayName)
	return fmt.Sprintf(", tls: {certFile: %q, keyFile: %q, caFile: %q, hosts: [%q]}", cert, key, c.tls.File, hostName+"*")
}

// hostTLS is certificate, key and authority of a host.
func (c *cluster) hostTLS(name string) (cert, key, ca string) {
	if c.tls == nil {
		return "", "", ""
	}
	cert, key = c.tls.Issue(name, hostName+name)
	return cert, key, c.tls.File
}

func (c *cluster) serve(name, role string, port, admin int, store string) *testenv.Process {
	c.t.Helper()
	file := filepath.Join(c.dir, name+".yaml")
	xds := c.xds
	for _, own := range []string{"replicas", "failover"} { // the file has keys of its own for these
		store = regexp.MustCompile(own+"=[^&]*&?").ReplaceAllString(store, "")
	}
	text := fmt.Sprintf(meshFile, strings.TrimRight(store, "?&"), c.replicas, c.failover, port, testenv.Port(c.t), xds, admin, c.lease, c.secret, c.gatewayTLS(name))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return testenv.StartProcess(c.t, name, nil, skewgate, "serve", "--config", file, "--role", role, "--id", name)
}

func (c *cluster) startHost(name string, agent bool) *objectHost {
	c.t.Helper()
	store, storeLink := c.storeURL(true)
	listen := fmt.Sprintf("127.0.0.1:%d", testenv.Port(c.t))
	h := &objectHost{link: testenv.NewProxy(c.t, listen), store: storeLink}
	values := c.values
	if c.postgres != "" {
		h.values = testenv.NewProxy(c.t, c.postgres)
		values = testenv.PostgresURL(h.values.Addr)
	}
	cert, key, ca := c.hostTLS(name)
	if agent {
		up, api := fmt.Sprintf("127.0.0.1:%d", testenv.Port(c.t)), fmt.Sprintf("127.0.0.1:%d", testenv.Port(c.t))
		h.upstream = testenv.StartProcess(c.t, "upstream of "+name, []string{roleEnv + "=upstream", "NAME=" + name, "LISTEN=" + up, "STORAGE=" + api}, os.Args[0])
		args := []string{
			skewgate, "agent", "--app", "chaos", "--version", "v1", "--class", "List",
			"--upstream", "http://" + up, "--listen", listen, "--advertise", h.link.Addr, "--name", name, "--storage", api,
			"--store", store, "--values", values, "--lease", c.lease.String(), "--idle", "3s", "--secret-file", c.secret, "--health", "/healthz",
		}
		if c.tls != nil {
			args = append(args, "--tls-cert", cert, "--tls-key", key, "--tls-ca", ca, "--tls-gateway", gatewayName)
		}
		h.Process = testenv.StartProcess(c.t, name, nil, args...)
		return h
	}
	env := []string{
		roleEnv + "=host", "NAME=" + name, "STORE=" + store, "VALUES=" + values, "LISTEN=" + listen,
		"ADVERTISE=" + h.link.Addr, "SECRET=" + c.secret, "LEASE=" + c.lease.String(), brokenEnv + "=" + c.broken, stopEnv + "=" + c.stop,
		"CERT=" + cert, "KEY=" + key, "CA=" + ca,
	}
	h.Process = testenv.StartProcess(c.t, name, env, os.Args[0])
	return h
}

// eventually polls until ok.
func eventually(t *testing.T, what string, patience time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}
