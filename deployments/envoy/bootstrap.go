// Package envoy writes the bootstrap of an Envoy that stands before a mesh.
//
// Proxy mode sends everything to the gateways. Picker mode asks a gateway for
// each request's host and goes there itself (gateway/picker). Both strip, by
// the list that gateways use too, what only gateways may say.
//
// A proxy-mode bootstrap is static: it needs no control plane, and when the
// mesh file's classes change it still works, only hashing less well until it is
// written anew. In picker mode clusters, hosts and routes come from control.
package envoy

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/wire"
)

//go:embed *.tmpl
var files embed.FS

// Mode is how Envoy and gateways share the work.
type Mode string

// Modes.
const (
	Proxy  Mode = "proxy"
	Picker Mode = "picker"
)

// Options of a bootstrap. Addresses are host:port.
type Options struct {
	Mode          Mode     // Proxy by default
	Listen        string   // of the edge, "0.0.0.0:10000"
	Admin         string   // of Envoy's admin page, "127.0.0.1:9901"; "off" for none
	NodeID        string   // "edge"
	Gateways      []string // of the data path; by default the mesh's listener on this machine
	Pickers       []string // of the picker; the same
	Controls      []string // the mesh's control
	AccessLog     string   // a file; "" for none
	PublicClients bool     // what clients say of who calls, of versions and previews is removed
}

// address is a socket address in a template.
type address struct {
	Host string
	Port int
}

// bufferBytes bounds what Envoy keeps of a request that a gate may refuse.
const bufferBytes = 32768

// data is what the templates see.
type data struct {
	Mesh, NodeID, AccessLog, ReadyPath string
	Listen                             address
	Admin                              *address
	Gateways, Pickers, Controls        []address
	Strip                              []string
	Routes                             []hashRoute
	HashValue, Forward, LogHeaders     string
	BufferBytes                        int
}

// Bootstrap writes the configuration, as YAML.
func Bootstrap(m *mesh.Mesh, o Options) ([]byte, error) {
	d, err := o.data(m)
	if err != nil {
		return nil, err
	}
	var name string
	switch o.Mode {
	case "", Proxy:
		name = "proxy.yaml.tmpl"
	case Picker:
		name = "picker.yaml.tmpl"
	default:
		return nil, fmt.Errorf("mode %q: use %s or %s", o.Mode, Proxy, Picker)
	}
	t, err := template.New("").Funcs(template.FuncMap{"json": quoted}).ParseFS(files, "*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, name, d); err != nil {
		return nil, fmt.Errorf("write bootstrap: %w", err)
	}
	return out.Bytes(), nil
}

func (o Options) data(m *mesh.Mesh) (data, error) {
	d := data{Mesh: oneLine(m.File), NodeID: or(o.NodeID, "edge"), AccessLog: o.AccessLog, ReadyPath: wire.PathReady,
		BufferBytes: bufferBytes, Strip: strip(o.PublicClients), Routes: hashRoutes(m.Classes),
		HashValue: hashValue(m.Classes), Forward: forwarded(m.Classes), LogHeaders: logged(m.Classes)}
	var errs []error
	parse := func(what, s string) address {
		a, err := parseAddress(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		return a
	}
	d.Listen = parse("listen", or(o.Listen, "0.0.0.0:10000"))
	if admin := or(o.Admin, "127.0.0.1:9901"); admin != "off" {
		a := parse("admin", admin)
		d.Admin = &a
	}
	if len(o.Controls) == 0 {
		o.Controls = m.Controls()
	}
	for _, c := range o.Controls {
		d.Controls = append(d.Controls, parse("control", c))
	}
	for _, g := range orLocal(o.Gateways, m.Listen.Gateway) {
		d.Gateways = append(d.Gateways, parse("gateway", g))
	}
	for _, p := range orLocal(o.Pickers, m.Listen.Picker) {
		d.Pickers = append(d.Pickers, parse("picker", p))
	}
	return d, errors.Join(errs...)
}

// strip lists the names that clients may not send, as expressions over
// lower-case names.
func strip(public bool) []string {
	out := []string{
		wire.StripPattern(),
		"^x-skewgate-.*$",            // only the plain spellings of what clients may say
		"^x-gateway-destination-.*$", // a picker's answer
		"^x-envoy-.*$",               // Envoy's own, retries among them
	}
	if public {
		out = append(out, "^(skewgate|cloudflare-workers)-.*$")
	}
	return out
}

func parseAddress(s string) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return address{}, fmt.Errorf("%q is not HOST:PORT", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("%q has a bad port", s)
	}
	return address{host, int(n)}, nil
}

// orLocal gives the addresses, or where a listener is reached on this machine.
func orLocal(addrs []string, listener string) []string {
	if len(addrs) > 0 {
		return addrs
	}
	host, port, err := net.SplitHostPort(listener)
	if err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		return []string{net.JoinHostPort("127.0.0.1", port)}
	}
	return []string{listener}
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// quoted writes any value so that it is itself in YAML, too.
func quoted(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// oneLine keeps a file's name inside its comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

func uniqueSorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
