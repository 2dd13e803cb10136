package mesh

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/problem"
)

// EmbeddedStore is the store URL that asks for the in-process store.
const EmbeddedStore = "embedded"

// MinSecretBytes is the least length of the mesh's secret.
const MinSecretBytes = 16

// Mesh is a mesh file with its defaults filled in. It is immutable: a reload
// makes another.
type Mesh struct {
	File    string
	Store   Store
	Listen  Listen
	Leases  Leases
	Auth    Auth
	Control string // where gateways get their config: host:port, several separated by commas
	Callers Callers
	Classes []routing.Class // by name
}

// Store says where sessions, pins and tokens are kept.
type Store struct {
	URL      string        // redis://, rediss://, redis+sentinel://, or EmbeddedStore
	Replicas int           // n of WAIT n
	Failover time.Duration // longest failover that leases must outlive
}

// Embedded says that serve runs the store in its own process.
func (s Store) Embedded() bool { return s.URL == EmbeddedStore }

// Listen has the listeners of the roles; an address without host is all interfaces.
type Listen struct {
	Gateway, Picker, XDS, Admin string
	Store                       string // of the embedded store, where hosts on this machine reach it
}

// Leases are the lengths of session leases.
type Leases struct {
	Host time.Duration // what a host asks for unless it says otherwise
	Max  time.Duration // the longest that is granted
}

// Auth says how gateways and gates know each other.
type Auth struct {
	MeshSecretFile string
	Secret         []byte // its content without surrounding white space; Load reads it, Parse does not
	AdminTokenFile string
	AdminToken     []byte // as Secret; empty asks for none
	TLS            *TLS   // mutual TLS with hosts; nil is none
}

// TLS is mutual TLS between gateways and hosts' gates.
type TLS struct {
	CertFile, KeyFile, CAFile string
	Hosts                     []string // names that hosts' certificates carry
}

// Files gives them as the TLS package takes them.
func (t TLS) Files() mtls.Files {
	return mtls.Files{CertFile: t.CertFile, KeyFile: t.KeyFile, CAFile: t.CAFile, Peers: t.Hosts}
}

// Identity says where a caller's app@version comes from.
type Identity string

// Identities of callers.
const (
	IdentityHeader Identity = "header" // Skewgate-Caller, from trusted peers
	IdentityMTLS   Identity = "mtls"   // SPIFFE URI of the peer, or XFCC of a trusted edge
)

// Callers says whom to believe about who calls.
type Callers struct {
	Identity Identity
	Trust    []netip.Prefix
	SPIFFE   *routing.SPIFFE // with mtls: where a certificate's URI says who calls
	TLS      *TLS            // with mtls: the gateway's listener serves TLS; Hosts is not used. nil: without
}

// Listener gives the files of a gateway's listener for workers, where TLS is set.
func (c Callers) Listener() mtls.Files {
	f := c.TLS.Files()
	f.Peers = []string{"*"} // the connection does not decide who may call
	return f
}

// Class finds a class by name.
func (m *Mesh) Class(name string) (routing.Class, bool) {
	for _, c := range m.Classes {
		if c.Name == name {
			return c, true
		}
	}
	return routing.Class{}, false
}

// Apps lists the apps that some class names, sorted.
func (m *Mesh) Apps() []string {
	seen := map[string]bool{}
	for _, c := range m.Classes {
		if c.App != "" {
			seen[c.App] = true
		}
	}
	return sortedKeys(seen)
}

// Load reads and checks a mesh file and the secret files that it names.
func Load(path string) (*Mesh, error) {
	m, _, err := load(path)
	return m, err
}

// load also gives a fingerprint of every byte that m was made of.
func load(path string) (*Mesh, fingerprint, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fingerprint{}, problem.List{{File: path, Message: fmt.Sprintf("cannot be read: %v", unwrapPath(err)),
			Hint: "give the mesh file with --config FILE; docs/mesh.md shows one"}}
	}
	m, places, err := parse(path, data)
	if err != nil {
		return nil, fingerprintOf(data), err
	}
	problems := problem.List(nil)
	if !m.Store.Embedded() {
		// Here and not in Parse: the URL may name files with certificates.
		if _, err := owners.ParseURL(m.Store.URL); err != nil {
			problems = append(problems, places.At(fmt.Sprintf("store.url: %v", err), storeHint, "store", "url"))
		}
	}
	m.Auth.Secret, problems = readSecret(problems, places, m.Auth.MeshSecretFile, "meshSecretFile")
	m.Auth.AdminToken, problems = readSecret(problems, places, m.Auth.AdminTokenFile, "adminTokenFile")
	problems = m.checkTLS(problems, places)
	print := fingerprintOf(data, m.Auth.Secret, m.Auth.AdminToken)
	if err := problems.Err(); err != nil {
		return nil, print, err
	}
	return m, print, nil
}

// Parse checks the text of a mesh file; file is its name in problems. It reads
// no other file: secrets stay empty.
func Parse(file string, data []byte) (*Mesh, error) {
	m, _, err := parse(file, data)
	return m, err
}

func parse(file string, data []byte) (*Mesh, problem.Places, error) {
	y := defaults()
	places, err := problem.DecodeYAMLPlaces(file, data, &y)
	if err != nil {
		return nil, places, err
	}
	m := y.mesh(file)
	v := &validator{mesh: m, yaml: &y, places: places}
	v.check()
	if err := v.problems.Err(); err != nil {
		return nil, places, err
	}
	return m, places, nil
}

func readSecret(problems problem.List, places problem.Places, path, key string) ([]byte, problem.List) {
	if path == "" {
		return nil, problems
	}
	const hint = "make one with: head -c 32 /dev/urandom | base64 > FILE; every gateway and host of the mesh needs the same"
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, append(problems, places.At(fmt.Sprintf("auth.%s %s cannot be read: %v", key, path, unwrapPath(err)), hint, "auth", key))
	}
	secret := bytes.TrimSpace(data)
	if len(secret) < MinSecretBytes {
		return nil, append(problems, places.At(fmt.Sprintf("auth.%s %s has %d bytes; at least %d are needed", key, path, len(secret), MinSecretBytes), hint, "auth", key))
	}
	return secret, problems
}

// Controls lists the addresses of Control.
func (m *Mesh) Controls() []string {
	var out []string
	for a := range strings.SplitSeq(m.Control, ",") {
		out = append(out, strings.TrimSpace(a))
	}
	return out
}
