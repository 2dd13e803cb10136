package mesh

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/skewgate/skewgate/problem"
)

// validator judges a decoded file; problems collect in the file's order of
// sections.
type validator struct {
	mesh     *Mesh
	yaml     *meshYAML
	places   problem.Places
	problems problem.List
}

func (v *validator) fail(path []string, hint, format string, args ...any) {
	v.problems = append(v.problems, v.places.At(fmt.Sprintf(format, args...), hint, path...))
}

func at(path ...string) []string { return path }

func (v *validator) check() {
	v.header()
	v.store()
	v.listen()
	v.leases()
	v.auth()
	v.callers()
	v.classes()
}

func (v *validator) header() {
	if v.yaml.APIVersion != "skewgate/v1" {
		v.fail(at("apiVersion"), "write apiVersion: skewgate/v1", "apiVersion is %q", v.yaml.APIVersion)
	}
	if v.yaml.Kind != "Mesh" {
		v.fail(at("kind"), "write kind: Mesh", "kind is %q", v.yaml.Kind)
	}
}

const storeHint = `write a URL such as redis://127.0.0.1:6379, redis+sentinel://s1:26379,s2:26379/NAME, or "embedded"`

func (v *validator) store() {
	s := v.yaml.Store
	if s.Replicas < 0 {
		v.fail(at("store", "replicas"), "it is the number of replicas attached to the master", "store.replicas is negative")
	}
	if v.mesh.Store.Failover < 0 {
		v.fail(at("store", "failover"), "", "store.failover is negative")
	}
	if s.URL == "" {
		v.fail(at("store", "url"), storeHint, "store.url is missing")
		return
	}
	if v.mesh.Store.Embedded() {
		if s.Replicas > 0 {
			v.fail(at("store", "replicas"), "leave it out, or use a Redis", "the embedded store has no replicas")
		}
		return
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		// url.Error repeats the URL, which may hold a password.
		v.fail(at("store", "url"), storeHint, "store.url is not a URL")
		return
	}
	switch u.Scheme {
	case "redis", "rediss", "redis+sentinel", "rediss+sentinel":
		if u.Host == "" {
			v.fail(at("store", "url"), storeHint, "store.url names no host")
		}
	case "redis+cluster", "rediss+cluster":
		v.fail(at("store", "url"), "use one Redis, with Sentinel where it must fail over", "Redis Cluster is not supported yet")
	default:
		v.fail(at("store", "url"), storeHint, "store.url has the unknown scheme %q", u.Scheme)
	}
}

func (v *validator) listen() {
	l := v.yaml.Listen
	seen := map[string]string{}
	listeners := []struct{ key, addr string }{{"gateway", l.Gateway}, {"picker", l.Picker}, {"xds", l.XDS}, {"admin", l.Admin}}
	if v.mesh.Store.Embedded() {
		listeners = append(listeners, struct{ key, addr string }{"store", l.Store})
	}
	for _, e := range listeners {
		v.address(at("listen", e.key), e.addr, true)
		if _, port, _ := net.SplitHostPort(e.addr); port != "" && port != "0" {
			if other, ok := seen[e.addr]; ok {
				v.fail(at("listen", e.key), "give each listener a port of its own", "listen.%s and listen.%s are both %s", other, e.key, e.addr)
			}
			seen[e.addr] = e.key
		}
	}
	if v.yaml.Control != "" {
		for _, a := range v.mesh.Controls() {
			v.address(at("control"), a, false)
		}
	}
}

// address wants host:port with a numeric port; a listener may leave the host out.
func (v *validator) address(path []string, addr string, listener bool) {
	name := strings.Join(path, ".")
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		v.fail(path, "write HOST:PORT, or [ADDRESS]:PORT for IPv6", "%s %q is not host:port", name, addr)
		return
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		v.fail(path, "use a port from 1 to 65535", "%s has the bad port %q", name, port)
	case host == "" && !listener:
		v.fail(path, "write HOST:PORT", "%s %q names no host", name, addr)
	case n == 0 && !listener:
		v.fail(path, "use a port from 1 to 65535", "%s has port 0", name)
	}
}

// oneOf reports a word that is not one of known.
func (v *validator) oneOf(path []string, got string, known ...string) {
	if !slices.Contains(known, got) {
		v.fail(path, problem.Suggest(got, known), "unknown %s %q", path[len(path)-1], got)
	}
}

func (v *validator) classes() {
	if len(v.yaml.Classes) == 0 {
		v.fail(at("classes"), "name at least one kind of object, with its app", "classes is empty")
		return
	}
	services := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(v.yaml.Classes)) {
		v.class(name, v.yaml.Classes[name])
		v.claims(services, name, v.yaml.Classes[name].Services)
	}
	v.overlaps()
}

// claims holds that a service belongs to one class.
func (v *validator) claims(owner map[string]string, class string, services []string) {
	for i, s := range services {
		path := at("classes", class, "services", strconv.Itoa(i))
		switch other, taken := owner[s]; {
		case taken && other == class:
			v.fail(path, "", "service %s is listed twice", s)
		case taken:
			v.fail(path, "a service belongs to one class", "service %s is claimed by %s and %s", s, other, class)
		default:
			owner[s] = class
		}
	}
}
