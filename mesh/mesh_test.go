package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/problem"
)

func TestWrongFilesSayWhatAndWhere(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(file, data)
			var got problem.List
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, not a problem.List", err)
			}
			wants := wantLines(data)
			for _, w := range wants {
				if !w.in(got) {
					t.Errorf("want a problem %s", w)
				}
			}
			if len(got) != len(wants) || t.Failed() {
				t.Errorf("got %d problems, want %d:\n%v", len(got), len(wants), got)
			}
		})
	}
}

// want is a comment "# want LINE:COL part … part".
type want struct {
	place string
	parts []string
}

func wantLines(data []byte) []want {
	var out []want
	for _, line := range strings.Split(string(data), "\n") {
		text, ok := strings.CutPrefix(line, "# want ")
		if !ok {
			continue
		}
		var w want
		if place, rest, ok := strings.Cut(text, " "); ok && strings.Contains(place, ":") {
			w.place, text = place, rest
		}
		w.parts = strings.Split(text, " … ")
		out = append(out, w)
	}
	return out
}

func (w want) in(list problem.List) bool {
	for _, p := range list {
		if w.place != "" && w.place != fmt.Sprintf("%d:%d", p.Line, p.Column) {
			continue
		}
		all := true
		for _, part := range w.parts {
			all = all && strings.Contains(p.Message+" "+p.Hint, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestParseKeepsEveryKey(t *testing.T) {
	m := parseFile(t, "testdata/right/full.yaml")
	want := &Mesh{
		File:    "testdata/right/full.yaml",
		Store:   Store{URL: "redis+sentinel://s1:26379,s2:26379/main", Replicas: 1, Failover: 5 * time.Second},
		Listen:  Listen{Gateway: "0.0.0.0:9080", Picker: ":8082", XDS: ":8083", Admin: "127.0.0.1:9081", Store: "127.0.0.1:6379"},
		Leases:  Leases{Host: 16 * time.Second, Max: 32 * time.Second},
		Auth:    Auth{MeshSecretFile: "/etc/skewgate/secret", AdminTokenFile: "/etc/skewgate/token"},
		Control: "control.mesh.internal:8083",
		Callers: Callers{Identity: IdentityHeader, Trust: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.7/32"), netip.MustParsePrefix("fd00::/8")}},
		Classes: []routing.Class{
			{Name: "Cart", App: "shop", Mode: routing.ModeOwn, Services: []string{"shop.v1.CartService"}, Routes: []string{"/carts/{id}/**"},
				IDHeader: "cart-id", OnIncompatible: routing.Refuse, StrictVersion: true,
				Move:   routing.Move{Mode: routing.MoveDrain, Rate: 10, InFlight: 8, Deadline: time.Minute, Idle: 5 * time.Second},
				Limits: routing.Limits{HoldFor: 2 * time.Second, HeldPerObject: 16, HeldBytes: 1 << 20}},
			{Name: "CartAdmin", App: "shop", Mode: routing.ModeOwn, Routes: []string{"/carts/{id}/admin/**"}, OnIncompatible: routing.Pass, Move: defaultMove, Limits: defaultLimits},
			{Name: "Legacy", App: "legacy", Mode: routing.ModeObserve, Routes: []string{"/legacy/{id}"}, OnIncompatible: routing.Pass,
				Upstream: "legacy.default.svc:80", Move: defaultMove, Limits: defaultLimits},
		},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if got := m.Apps(); !reflect.DeepEqual(got, []string{"legacy", "shop"}) {
		t.Errorf("apps %v", got)
	}
}

var (
	defaultMove   = routing.Move{Mode: routing.MoveLazy, Rate: 10, InFlight: 64, Deadline: 30 * time.Second, Idle: 10 * time.Second}
	defaultLimits = routing.Limits{HoldFor: 5 * time.Second, HeldPerObject: 256, HeldBytes: 64 << 20}
)

func TestParseFillsInDefaults(t *testing.T) {
	m := parseFile(t, "testdata/right/least.yaml")
	want := &Mesh{
		File:    "testdata/right/least.yaml",
		Store:   Store{URL: "embedded"},
		Listen:  Listen{Gateway: ":8080", Picker: ":8082", XDS: ":8083", Admin: "127.0.0.1:8081", Store: "127.0.0.1:6379"},
		Leases:  Leases{Host: 15 * time.Second, Max: 30 * time.Second},
		Control: "127.0.0.1:8083",
		Callers: Callers{Identity: IdentityHeader, Trust: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		Classes: []routing.Class{{Name: "Cart", App: "shop", Mode: routing.ModeOwn, Routes: []string{"/carts/{id}/**"}, OnIncompatible: routing.Pass,
			Move: defaultMove, Limits: defaultLimits}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func parseFile(t *testing.T, file string) *Mesh {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLoadReadsSecretsAndRefusesShortOnes(t *testing.T) {
	dir := t.TempDir()
	path := writeMesh(t, dir, "redis://127.0.0.1:6379")
	const padded = " 0123456789abcdef0123456789 \n"
	for content, complaint := range map[string]string{
		"":      "has 0 bytes",
		"short": "has 5 bytes",
		padded:  "",
	} {
		writeFile(t, filepath.Join(dir, "secret"), content)
		m, err := Load(path)
		switch {
		case complaint != "":
			if err == nil || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), path+":4:") {
				t.Errorf("secret %q: error %v, want %q", content, err, complaint)
			}
		case err != nil:
			t.Error(err)
		case string(m.Auth.Secret) != "0123456789abcdef0123456789":
			t.Errorf("secret is %q", m.Auth.Secret)
		}
	}
	if err := os.Remove(filepath.Join(dir, "secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "cannot be read: no such file") {
		t.Errorf("missing secret: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("missing mesh file: %v", err)
	}
}

func writeMesh(t *testing.T, dir, store string) string {
	t.Helper()
	path := filepath.Join(dir, "mesh.yaml")
	writeFile(t, path, fmt.Sprintf("apiVersion: skewgate/v1\nkind: Mesh\nstore: {url: %q}\nauth: {meshSecretFile: %q}\nclasses: {Cart: {app: shop, routes: [\"/c/{id}\"]}}\n",
		store, filepath.Join(dir, "secret")))
	return path
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	// By rename, as editors and Kubernetes do.
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

func TestWatchReloadsAndKeepsTheLastGoodOne(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "secret"), "0123456789abcdef")
	path := writeMesh(t, dir, "redis://a:1")
	log := &bytes.Buffer{}
	w := watcher{path: path, log: slog.New(slog.NewTextHandler(log, nil))}

	if m := w.look(); m == nil || m.Store.URL != "redis://a:1" {
		t.Fatalf("first look gave %+v", m)
	}
	if m := w.look(); m != nil {
		t.Error("an unchanged file was handed on again")
	}
	writeFile(t, path, "kind: [")
	for range 3 {
		if m := w.look(); m != nil {
			t.Error("a wrong file was handed on")
		}
	}
	if n := strings.Count(log.String(), "last good"); n != 1 {
		t.Errorf("a wrong file was logged %d times, want once:\n%s", n, log)
	}
	writeMesh(t, dir, "redis://a:1")
	if m := w.look(); m != nil {
		t.Error("the last good content was handed on again")
	}
	writeMesh(t, dir, "redis://b:1")
	next := w.look()
	if next == nil || next.Store.URL != "redis://b:1" {
		t.Fatalf("change gave %+v", next)
	}
	writeFile(t, filepath.Join(dir, "secret"), "fedcba9876543210")
	if m := w.look(); m == nil || string(m.Auth.Secret) != "fedcba9876543210" {
		t.Errorf("new secret gave %+v", m)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "secret"), "0123456789abcdef")
	path := writeMesh(t, dir, "redis://a:1")
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan *Mesh, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, path, slog.New(slog.DiscardHandler), func(m *Mesh) { got <- m })
	}()
	if m := <-got; m.Store.URL != "redis://a:1" {
		t.Errorf("first mesh %+v", m)
	}
	writeMesh(t, dir, "redis://b:1")
	if m := <-got; m.Store.URL != "redis://b:1" {
		t.Errorf("second mesh %+v", m)
	}
	cancel()
	<-done
}

func TestNeedsRestartNamesTheKeys(t *testing.T) {
	a := parseFile(t, "testdata/right/full.yaml")
	b := parseFile(t, "testdata/right/full.yaml")
	b.Classes = nil
	if got := a.NeedsRestart(b); got != nil {
		t.Errorf("classes need no restart, got %v", got)
	}
	b.Listen.Gateway, b.Store.Replicas, b.Callers = ":1", 0, Callers{}
	if got := a.NeedsRestart(b); !reflect.DeepEqual(got, []string{"store", "listen", "callers"}) {
		t.Errorf("got %v", got)
	}
}

// Certificates are read when the file is loaded, and what is wrong with them has its place in it.
func TestLoadReadsCertificates(t *testing.T) {
	ca := testenv.NewCA(t)
	cert, key := ca.Issue("gateway", "spiffe://shop.example/gateway")
	load := func(cert, key string) (*Mesh, error) {
		file := filepath.Join(t.TempDir(), "mesh.yaml")
		text := fmt.Sprintf("apiVersion: skewgate/v1\nkind: Mesh\nstore: {url: embedded}\nauth: {tls: {certFile: %s, keyFile: %s, caFile: %s, hosts: [\"spiffe://shop.example/hosts/*\"]}}\n"+
			"callers: {identity: mtls, spiffe: \"spiffe://shop.example/app/{app}/version/{version}\", tls: {certFile: %[1]s, keyFile: %[2]s, caFile: %[3]s}}\n"+
			"classes: {Cart: {app: shop, routes: [\"/c/{id}\"]}}\n", cert, key, ca.File)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(file)
	}
	m, err := load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if m.Auth.TLS.Hosts[0] != "spiffe://shop.example/hosts/*" || m.Callers.TLS.CertFile != cert || m.Callers.Identity != IdentityMTLS {
		t.Errorf("loaded as %+v, %+v", m.Auth.TLS, m.Callers)
	}
	if app, version, ok := m.Callers.SPIFFE.Match("spiffe://shop.example/app/web/version/v41"); !ok || app != "web" || version != "v41" {
		t.Errorf("the caller is %s@%s, %v", app, version, ok)
	}
	if _, err := load(cert, "/nowhere/key.pem"); err == nil || !strings.Contains(err.Error(), "mesh.yaml:4:8: auth.tls: key /nowhere/key.pem cannot be read") {
		t.Errorf("a missing key: %v", err)
	}
	oldCert, oldKey := ca.IssueFor("old", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	if _, err := load(oldCert, oldKey); err == nil || !strings.Contains(err.Error(), "expired at") {
		t.Errorf("an expired certificate: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"right", "wrong"} {
		files, _ := filepath.Glob("testdata/" + dir + "/*.yaml")
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("mesh.yaml", data)
		var list problem.List
		switch {
		case err == nil && (m == nil || len(m.Classes) == 0 || m.Store.URL == ""):
			t.Fatal("accepted an incomplete mesh")
		case err != nil && !errors.As(err, &list):
			t.Fatalf("error %v is not a problem.List", err)
		}
	})
}
