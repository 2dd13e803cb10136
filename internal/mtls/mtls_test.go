package mtls_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/internal/testenv"
)

const gatewayID, hostID = "spiffe://shop.example/gateway", "spiffe://shop.example/hosts/a"

func files(cert, key string, ca *testenv.CA, peers ...string) mtls.Files {
	return mtls.Files{CertFile: cert, KeyFile: key, CAFile: ca.File, Peers: peers}
}

func open(t *testing.T, f mtls.Files) *mtls.Source {
	t.Helper()
	s, err := mtls.Open(f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shake makes one connection and sends a byte over it and back; it gives both sides' errors.
func shake(t *testing.T, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer raw.Close()
		c := tls.Server(raw, server)
		if err = c.Handshake(); err == nil {
			_, err = io.CopyN(c, c, 1)
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		defer c.Close()
		if _, err = c.Write([]byte("x")); err == nil {
			_, err = io.ReadFull(c, make([]byte, 1))
		}
	} else {
		l.Close()
	}
	return <-done, err
}

// Who is let in, and by whom.
func TestOnlyNamedPeersOfTheAuthority(t *testing.T) {
	ca, other := testenv.NewCA(t), testenv.NewCA(t)
	hostCert, hostKey := ca.Issue("host", hostID)
	gwCert, gwKey := ca.Issue("gateway", gatewayID)
	strangeCert, strangeKey := other.Issue("gateway", gatewayID)
	host := open(t, files(hostCert, hostKey, ca, gatewayID)).Server()
	gateway := files(gwCert, gwKey, ca, "spiffe://shop.example/hosts/*")
	for name, c := range map[string]struct {
		client   *tls.Config
		atServer string // part of the server's error; "" is none
		atClient string
	}{
		"the gateway":                    {client: open(t, gateway).Client()},
		"no certificate":                 {client: &tls.Config{InsecureSkipVerify: true}, atServer: "didn't provide a certificate"},
		"another authority's gateway":    {client: open(t, files(strangeCert, strangeKey, ca, "*")).Client(), atServer: "unknown authority"},
		"a host":                         {client: open(t, files(hostCert, hostKey, ca, "*")).Client(), atServer: "it is for " + hostID},
		"a gateway that wants another":   {client: open(t, files(gwCert, gwKey, ca, "spiffe://shop.example/other")).Client(), atClient: "wanted is spiffe://shop.example/other"},
		"a gateway of another authority": {client: open(t, files(gwCert, gwKey, other, "*")).Client(), atClient: "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			atServer, atClient := shake(t, host, c.client)
			check := func(side string, err error, want string) {
				if want == "" && c.atServer+c.atClient == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: %v, want %q", side, err, want)
				}
			}
			check("server", atServer, c.atServer)
			check("client", atClient, c.atClient)
			if c.atServer+c.atClient != "" && (atServer == nil || atClient == nil) {
				t.Errorf("one side was content: server %v, client %v", atServer, atClient)
			}
		})
	}
}

// New files are taken over by both sides, wrong ones are not, and the old authority's peers are let in no more.
func TestFilesAreTakenOver(t *testing.T) {
	ca, next := testenv.NewCA(t), testenv.NewCA(t)
	hostCert, hostKey := ca.Issue("host", hostID)
	gwCert, gwKey := ca.Issue("gateway", gatewayID)
	old := open(t, files(gwCert, gwKey, ca, "*"))
	hostFiles := files(copyOf(t, hostCert), copyOf(t, hostKey), ca, "*")
	hostFiles.CAFile = copyOf(t, ca.File)
	host := open(t, hostFiles).Server()
	if a, b := shake(t, host, old.Client()); a != nil || b != nil {
		t.Fatalf("before: %v, %v", a, b)
	}
	newCert, newKey := next.Issue("gateway", gatewayID)
	fresh := open(t, files(newCert, newKey, ca, "*")).Client()
	overwrite(t, hostFiles.CAFile, []byte("not a certificate"))
	time.Sleep(1100 * time.Millisecond) // files are looked at once a second
	if a, b := shake(t, host, old.Client()); a != nil || b != nil {
		t.Errorf("with a wrong file the last good one must stay: %v, %v", a, b)
	}
	b, err := os.ReadFile(next.File)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, hostFiles.CAFile, b)
	time.Sleep(1100 * time.Millisecond)
	if a, b := shake(t, host, fresh); a != nil || b != nil {
		t.Errorf("the new authority's gateway: %v, %v", a, b)
	}
	if a, _ := shake(t, host, old.Client()); a == nil {
		t.Error("the old authority's gateway was let in")
	}
}

func copyOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(t.TempDir(), "*.pem")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// overwrite replaces a file as certificate tools do, by a rename.
func overwrite(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestWrongFilesAreNamed(t *testing.T) {
	ca := testenv.NewCA(t)
	cert, key := ca.Issue("host", hostID)
	_, otherKey := ca.Issue("other")
	oldCert, oldKey := ca.IssueFor("old", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	for name, c := range map[string]struct {
		f    mtls.Files
		want []string
	}{
		"a missing file":     {files("/nowhere/cert.pem", key, ca, "*"), []string{"certificate /nowhere/cert.pem cannot be read: no such file"}},
		"no names of files":  {mtls.Files{Peers: []string{"*"}}, []string{"no file with the certificate", "with the key", "with the authority"}},
		"another key":        {files(cert, otherKey, ca, "*"), []string{"does not match"}},
		"an expired one":     {files(oldCert, oldKey, ca, "*"), []string{oldCert + " expired at "}},
		"a key for a CA":     {mtls.Files{CertFile: cert, KeyFile: key, CAFile: key, Peers: []string{"*"}}, []string{"authority " + key + " has no certificate"}},
		"nobody":             {files(cert, key, ca), []string{"no name of a peer is given"}},
		"a star in the name": {files(cert, key, ca, "gateway*"), []string{`name "gateway*" has a *`}},
		"a URI without host": {files(cert, key, ca, "spiffe:///x"), []string{"is not a URI with a host"}},
		"an empty CN":        {files(cert, key, ca, "CN="), []string{"names nobody"}},
		"white space":        {files(cert, key, ca, "a b"), []string{"white space"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mtls.Open(c.f, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestNames(t *testing.T) {
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "gw"}, DNSNames: []string{"gw.shop.example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 7)},
		URIs: []*url.URL{uri("spiffe://shop.example/gateways/1")},
	}
	for name, want := range map[string]bool{
		"*": true, "CN=gw": true, "CN=g": false, "gw": false, "gw.shop.example": true, "GW.Shop.Example": true, "shop.example": false,
		"10.0.0.7": true, "10.0.0.8": false, "spiffe://shop.example/gateways/1": true, "spiffe://shop.example/gateways": false,
		"spiffe://shop.example/gateways/*": true, "spiffe://shop.example/gateways/1/*": false, "spiffe://shop.example/gate/*": false, "spiffe://shop.example/*": true,
		"spiffe://other.example/*": false,
	} {
		ns, err := mtls.ParseNames([]string{name})
		if err != nil || ns.Match(c) != want {
			t.Errorf("%s: %v %v, want %v", name, ns.Match(c), err, want)
		}
	}
	if got := mtls.Describe(c); !bytes.Contains([]byte(got), []byte("CN=gw")) {
		t.Errorf("described as %s", got)
	}
}
