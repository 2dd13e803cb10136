package mesh

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
)

// meshYAML is the file's shape. Fields hold their defaults before decoding.
type meshYAML struct {
	APIVersion string               `yaml:"apiVersion"`
	Kind       string               `yaml:"kind"`
	Store      storeYAML            `yaml:"store"`
	Listen     listenYAML           `yaml:"listen"`
	Leases     leasesYAML           `yaml:"leases"`
	Auth       authYAML             `yaml:"auth"`
	Control    string               `yaml:"control"`
	Callers    callersYAML          `yaml:"callers"`
	Classes    map[string]classYAML `yaml:"classes"`
}

type storeYAML struct {
	URL      string         `yaml:"url"`
	Replicas int            `yaml:"replicas"`
	Failover *time.Duration `yaml:"failover"` // its default depends on the URL
}

type listenYAML struct {
	Gateway string `yaml:"gateway"`
	Picker  string `yaml:"picker"`
	XDS     string `yaml:"xds"`
	Admin   string `yaml:"admin"`
	Store   string `yaml:"store"`
}

type leasesYAML struct {
	Host time.Duration `yaml:"host"`
	Max  time.Duration `yaml:"max"`
}

type authYAML struct {
	MeshSecretFile string   `yaml:"meshSecretFile"`
	AdminTokenFile string   `yaml:"adminTokenFile"`
	TLS            *tlsYAML `yaml:"tls"`
}

type tlsYAML struct {
	CertFile string   `yaml:"certFile"`
	KeyFile  string   `yaml:"keyFile"`
	CAFile   string   `yaml:"caFile"`
	Hosts    []string `yaml:"hosts"`
}

func (y *tlsYAML) tls() *TLS {
	if y == nil {
		return nil
	}
	t := TLS(*y)
	return &t
}

type callersYAML struct {
	Identity string          `yaml:"identity"`
	Trust    []string        `yaml:"trust"`
	SPIFFE   string          `yaml:"spiffe"`
	TLS      *callersTLSYAML `yaml:"tls"`
}

type callersTLSYAML struct {
	CertFile string `yaml:"certFile"`
	KeyFile  string `yaml:"keyFile"`
	CAFile   string `yaml:"caFile"`
}

func (y *callersTLSYAML) tls() *TLS {
	if y == nil {
		return nil
	}
	return &TLS{CertFile: y.CertFile, KeyFile: y.KeyFile, CAFile: y.CAFile}
}

type classYAML struct {
	App            string     `yaml:"app"`
	Mode           string     `yaml:"mode"`
	Services       []string   `yaml:"services"`
	Routes         []string   `yaml:"routes"`
	ID             idYAML     `yaml:"id"`
	OnIncompatible string     `yaml:"onIncompatible"`
	StrictVersion  bool       `yaml:"strictVersion"`
	Upstream       string     `yaml:"upstream"`
	Move           moveYAML   `yaml:"move"`
	Limits         limitsYAML `yaml:"limits"`
}

type idYAML struct {
	Header string `yaml:"header"`
}

type moveYAML struct {
	Mode     string        `yaml:"mode"`
	Rate     rate          `yaml:"rate"`
	InFlight int           `yaml:"inFlight"`
	Deadline time.Duration `yaml:"deadline"`
	Idle     time.Duration `yaml:"idle"`
}

type limitsYAML struct {
	HoldFor       time.Duration `yaml:"holdFor"`
	HeldPerObject int           `yaml:"heldPerObject"`
	HeldBytes     byteCount     `yaml:"heldBytes"`
}

func defaults() meshYAML {
	return meshYAML{
		Listen:  listenYAML{Gateway: ":8080", Picker: ":8082", XDS: ":8083", Admin: "127.0.0.1:8081", Store: "127.0.0.1:6379"},
		Leases:  leasesYAML{Host: 15 * time.Second, Max: 30 * time.Second},
		Callers: callersYAML{Identity: string(IdentityHeader), Trust: []string{"127.0.0.0/8", "::1/128"}},
	}
}

func classDefaults() classYAML {
	return classYAML{
		Mode:           string(routing.ModeOwn),
		OnIncompatible: string(routing.Pass),
		Move:           moveYAML{Mode: string(routing.MoveLazy), Rate: 10, InFlight: 64, Deadline: 30 * time.Second, Idle: 10 * time.Second},
		Limits:         limitsYAML{HoldFor: 5 * time.Second, HeldPerObject: 256, HeldBytes: 64 << 20},
	}
}

// UnmarshalYAML decodes over the defaults: a map's values have none otherwise.
func (c *classYAML) UnmarshalYAML(decode func(any) error) error {
	type plain classYAML
	*c = classDefaults()
	return decode((*plain)(c))
}

// mesh converts; what cannot be converted is left out here and is a problem of
// the validator, which looks at the same YAML.
func (y *meshYAML) mesh(file string) *Mesh {
	m := &Mesh{
		File:    file,
		Store:   Store{URL: y.Store.URL, Replicas: y.Store.Replicas},
		Listen:  Listen(y.Listen),
		Leases:  Leases(y.Leases),
		Auth:    Auth{MeshSecretFile: y.Auth.MeshSecretFile, AdminTokenFile: y.Auth.AdminTokenFile, TLS: y.Auth.TLS.tls()},
		Control: y.Control,
		Callers: Callers{Identity: Identity(y.Callers.Identity), TLS: y.Callers.TLS.tls()},
	}
	if t, err := routing.ParseSPIFFE(y.Callers.SPIFFE); err == nil {
		m.Callers.SPIFFE = &t
	}
	m.Store.Failover = y.Store.failover()
	if m.Control == "" {
		if _, port, err := net.SplitHostPort(m.Listen.XDS); err == nil {
			m.Control = net.JoinHostPort("127.0.0.1", port)
		}
	}
	for _, t := range y.Callers.Trust {
		if p, err := parseTrust(t); err == nil {
			m.Callers.Trust = append(m.Callers.Trust, p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y.Classes)) {
		m.Classes = append(m.Classes, y.Classes[name].class(name))
	}
	return m
}

func (c classYAML) class(name string) routing.Class {
	return routing.Class{
		Name:           name,
		App:            c.App,
		Mode:           routing.Mode(c.Mode),
		Services:       c.Services,
		Routes:         c.Routes,
		IDHeader:       strings.ToLower(c.ID.Header),
		OnIncompatible: routing.OnIncompatible(c.OnIncompatible),
		StrictVersion:  c.StrictVersion,
		Upstream:       c.Upstream,
		Move: routing.Move{
			Mode:     routing.MoveMode(c.Move.Mode),
			Rate:     float64(c.Move.Rate),
			InFlight: c.Move.InFlight,
			Deadline: c.Move.Deadline,
			Idle:     c.Move.Idle,
		},
		Limits: routing.Limits{
			HoldFor:       c.Limits.HoldFor,
			HeldPerObject: c.Limits.HeldPerObject,
			HeldBytes:     int64(c.Limits.HeldBytes),
		},
	}
}

// failover is the key's value, else the URL's, else what Sentinel needs.
func (s storeYAML) failover() time.Duration {
	if s.Failover != nil {
		return *s.Failover
	}
	if _, query, ok := strings.Cut(s.URL, "?"); ok {
		if q, err := url.ParseQuery(query); err == nil && q.Has("failover") {
			d, _ := time.ParseDuration(q.Get("failover")) // a wrong one is a problem of store.url
			return d
		}
	}
	if strings.Contains(s.URL, "+sentinel://") {
		return 5 * time.Second
	}
	return 0
}

// parseTrust takes a prefix or a single address.
func parseTrust(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// unwrapPath drops the path that an I/O error repeats.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
