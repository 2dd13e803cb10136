package mesh

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/problem"
)

const filesHint = "docs/mesh.md shows how to make certificates with openssl"

func (v *validator) auth() {
	a := v.yaml.Auth
	if t := a.TLS; t != nil {
		v.files(at("auth", "tls"), map[string]string{"certFile": t.CertFile, "keyFile": t.KeyFile, "caFile": t.CAFile})
		if len(t.Hosts) == 0 {
			v.fail(at("auth", "tls"), `write hosts: ["spiffe://shop.example/hosts/*"], DNS names, CN=NAME, or "*" for every certificate of the authority`,
				"auth.tls names no hosts: any certificate of the authority could stand in for a host")
		} else if _, err := mtls.ParseNames(t.Hosts); err != nil {
			v.fail(at("auth", "tls", "hosts"), "", "auth.tls.hosts: %s", reasons(err))
		}
		return
	}
	if a.MeshSecretFile == "" && v.yaml.Store.URL != "" && !v.mesh.Store.Embedded() {
		v.fail(at("auth"), "make a secret with: head -c 32 /dev/urandom | base64 > FILE; then write auth: {meshSecretFile: FILE}; or give certificates under auth.tls",
			"auth names neither meshSecretFile nor tls: anybody who reaches a host could speak as a gateway")
	}
}

// files wants all three names.
func (v *validator) files(path []string, names map[string]string) {
	for _, key := range []string{"certFile", "keyFile", "caFile"} {
		if names[key] == "" {
			v.fail(path, filesHint, "%s.%s is missing", strings.Join(path, "."), key)
		}
	}
}

func (v *validator) callers() {
	c := v.yaml.Callers
	v.oneOf(at("callers", "identity"), c.Identity, string(IdentityHeader), string(IdentityMTLS))
	for i, t := range c.Trust {
		if _, err := parseTrust(t); err != nil {
			v.fail(at("callers", "trust", strconv.Itoa(i)), "write an address or a prefix such as 10.0.0.0/8", "callers.trust has %q, which is no IP prefix", t)
		}
	}
	if c.Identity != string(IdentityMTLS) {
		if c.SPIFFE != "" || c.TLS != nil {
			v.fail(at("callers"), "write identity: mtls, or leave spiffe and tls out", "callers has spiffe or tls, and identity %s does not look at certificates", c.Identity)
		}
		return
	}
	if _, err := routing.ParseSPIFFE(c.SPIFFE); err != nil {
		v.fail(at("callers"), "write spiffe: spiffe://shop.example/app/{app}/version/{version}, the form of workers' certificates",
			"callers.identity mtls needs callers.spiffe: %v", err)
	}
	if c.TLS != nil {
		v.files(at("callers", "tls"), map[string]string{"certFile": c.TLS.CertFile, "keyFile": c.TLS.KeyFile, "caFile": c.TLS.CAFile})
	}
}

// checkTLS reads the certificates that the file names. They are read again by who uses them.
func (m *Mesh) checkTLS(problems problem.List, places problem.Places) problem.List {
	check := func(f mtls.Files, path ...string) {
		if _, err := mtls.Open(f, slog.New(slog.DiscardHandler)); err != nil {
			problems = append(problems, places.At(fmt.Sprintf("%s: %s", strings.Join(path, "."), reasons(err)), filesHint, path...))
		}
	}
	if m.Auth.TLS != nil {
		check(m.Auth.TLS.Files(), "auth", "tls")
	}
	if m.Callers.TLS != nil {
		check(m.Callers.Listener(), "callers", "tls")
	}
	return problems
}

// reasons puts joined errors on one line, without what they all begin with.
func reasons(err error) string {
	var all []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		all = append(all, strings.TrimPrefix(line, mtls.ErrFiles.Error()+": "))
	}
	return strings.Join(all, "; ")
}
