package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
)

// Sessions lists the sessions of hosts; final ones may be among them.
type Sessions interface {
	Sessions(ctx context.Context) ([]owners.Session, error)
}

// Deployments gives the versions of each app that has a deployment.
type Deployments interface {
	Deployments(ctx context.Context) (map[string][]routing.Weighted, error)
}

// Matrix gives the pairs of versions that must not meet.
type Matrix interface {
	Matrix(ctx context.Context) (routing.Matrix, error)
}

// Intent is what the mesh shall look like, from all sources.
type Intent struct {
	Classes     []routing.Class
	Sessions    []owners.Session
	Deployments map[string][]routing.Weighted
	Matrix      routing.Matrix
}

// Spec turns an intent into the state that gateways route by. Sessions that
// cannot be used are left out, each with its reason: one host that registers
// nonsense must not stop the others' updates.
func (i Intent) Spec() (routing.Spec, []error) {
	var left []error
	s := routing.Spec{Classes: i.Classes, Apps: i.apps(), Matrix: slices.Clone(i.Matrix.Calls), State: slices.Clone(i.Matrix.State)}
	slices.SortFunc(s.Matrix, func(a, b routing.Incompatible) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	slices.SortFunc(s.State, func(a, b routing.Unreadable) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Writer, b.Writer), cmp.Compare(a.Reader, b.Reader))
	})
	for _, sess := range i.Sessions {
		if sess.State.Final() {
			continue
		}
		if err := usable(sess); err != nil {
			left = append(left, err)
			continue
		}
		s.Hosts = append(s.Hosts, host(sess))
	}
	slices.SortFunc(s.Hosts, func(a, b routing.Host) int { return cmp.Compare(a.Session, b.Session) })
	s.Version = version(s)
	return s, left
}

// apps lists every app that a class or a deployment names.
func (i Intent) apps() []routing.App {
	names := map[string]bool{}
	for _, c := range i.Classes {
		if c.App != "" {
			names[c.App] = true
		}
	}
	for app := range i.Deployments {
		names[app] = true
	}
	var out []routing.App
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, routing.App{Name: name, Deployment: i.Deployments[name]})
	}
	return out
}

func host(s owners.Session) routing.Host {
	return routing.Host{
		Session:  s.ID,
		Name:     s.Name,
		Addr:     s.Addr,
		App:      s.App,
		Version:  s.Version,
		Preview:  s.Preview,
		Classes:  s.Classes,
		Draining: s.State == owners.Draining || s.Wanted == owners.WantedDrain,
		Ready:    s.Ready,
		Cordoned: s.Wanted == owners.WantedCordon,
	}
}

// usable says why a session cannot stand in a table.
func usable(s owners.Session) error {
	for _, f := range []struct{ name, value string }{{"address", s.Addr}, {"app", s.App}, {"version", s.Version}} {
		if f.value == "" {
			return fmt.Errorf("session %q has no %s", s.ID, f.name)
		}
	}
	for _, text := range append([]string{s.ID, s.Name, s.Addr, s.App, s.Version, s.Preview}, s.Classes...) {
		if !utf8.ValidString(text) {
			return fmt.Errorf("session %q says %q, which is not UTF-8", s.ID, text)
		}
	}
	return nil
}

// version names the configuration, without hosts: they come and go.
func version(s routing.Spec) string {
	data, err := json.Marshal([]any{s.Classes, s.Apps, s.Matrix, s.State})
	if err != nil {
		return "" // a weight that is no number: validate refuses it
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}
