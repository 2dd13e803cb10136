package control

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
)

// large is a mesh of 20 apps, 5 versions each, 10 hosts each: 1,000 hosts.
func large() Intent {
	i := Intent{Deployments: map[string][]routing.Weighted{}}
	for a := range 20 {
		app := fmt.Sprint("app-", a)
		i.Classes = append(i.Classes, routing.Class{Name: fmt.Sprint("Class", a), App: app, Mode: routing.ModeOwn, Routes: []string{"/" + app + "/{id}/**"}})
		for v := range 5 {
			version := fmt.Sprint("v", v)
			i.Deployments[app] = append(i.Deployments[app], routing.Weighted{Version: version, Weight: 20, Salt: version})
			for h := range 10 {
				id := fmt.Sprintf("%s-%s-%d", app, version, h)
				i.Sessions = append(i.Sessions, owners.Session{ID: id, Name: id, Addr: fmt.Sprintf("10.%d.%d.%d:9001", a, v, h), App: app, Version: version,
					Classes: []string{fmt.Sprint("Class", a)}, State: owners.Live, Ready: true})
			}
		}
	}
	return i
}

// One host of 1,000 changes: what control does until caches have it.
func BenchmarkOneHostChanges(b *testing.B) {
	intent := large()
	p := newPublisher("bench.", slog.New(slog.DiscardHandler), newAcks())
	var last state
	for n := 0; b.Loop(); n++ {
		intent.Sessions[n%len(intent.Sessions)].Ready = n%2 == 0
		next, err := last.next(intent)
		if err != nil {
			b.Fatal(err)
		}
		last = next
		if err := p.add(last.built); err != nil {
			b.Fatal(err)
		}
	}
}
