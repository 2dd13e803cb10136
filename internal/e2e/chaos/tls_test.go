package chaos

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// secured starts a Redis that speaks TLS with who has a certificate.
func secured(t *testing.T, ca *testenv.CA) (server *testenv.RedisServer, addr string) {
	t.Helper()
	cert, key := ca.Issue("redis")
	port := testenv.Port(t)
	server = testenv.StartRedis(t, append(durable, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", ca.File, "--tls-auth-clients", "yes")...)
	return server, fmt.Sprintf("127.0.0.1:%d", port)
}

// TestTLS has the faults of processes and links where everybody speaks mutual
// TLS with the store and with hosts: connections break in the middle of a
// record and of a handshake, and bytes come late to who has given up.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := testenv.NewCA(t)
	server, addr := secured(t, ca)
	c := startCluster(t, plan{addr: addr, tls: ca, agents: 1})
	const agent = 2
	scenarios := []scenario{
		{"a gateway is killed", func(c *cluster, l *load) { killed(l, c.gateways[0].Process) }},
		{"a host is killed", func(c *cluster, l *load) { killed(l, l.busiest().Process) }},
		{"a host stands still", func(c *cluster, l *load) { stopped(c, l, l.busiest().Process) }},
		{"an agent is killed", func(c *cluster, l *load) { killed(l, l.involve(c.hosts[agent]).Process) }},
		{"the store is away beyond a lease", func(c *cluster, _ *load) {
			server.Kill()
			c.beyond()
			server.Start()
		}},
	}
	for _, s := range spoils {
		scenarios = append(scenarios, scenario{"the link to an agent and a host's to the store: each " + s.name, func(c *cluster, l *load) {
			to, from := l.involve(c.hosts[agent]).link, l.involve(c.hosts[0]).store
			together(func() { s.begin(to) }, func() { s.begin(from) })
			c.beyond()
			together(func() { s.end(to) }, func() { s.end(from) })
		}})
	}
	faultsOf(t, c, scenarios)
	for _, h := range c.hosts {
		refusesStrangers(t, h.link.Addr, ca)
	}
	refusesStrangers(t, addr, ca)
}

// TestNemesisWithTLS hurts whatever it likes in such a mesh.
func TestNemesisWithTLS(t *testing.T) {
	t.Parallel()
	ca := testenv.NewCA(t)
	server, addr := secured(t, ca)
	tormented(t, plan{addr: addr, tls: ca, agents: 1}, onStore("the store", server))
}

// refusesStrangers wants an address to speak TLS, of the authority's, and with nobody who has no certificate.
func refusesStrangers(t *testing.T, addr string, ca *testenv.CA) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, recovery)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(recovery)); err != nil {
		t.Fatal(err)
	}
	stranger := tls.Client(conn, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"})
	if err = stranger.Handshake(); err == nil { // TLS 1.3: the server's no comes with the first answer
		_, err = stranger.Read(make([]byte, 1))
	}
	if err == nil {
		t.Errorf("%s speaks with who has no certificate", addr)
	}
	if n := len(stranger.ConnectionState().PeerCertificates); n == 0 {
		t.Errorf("%s showed no certificate: %v", addr, err)
	}
}
