package control

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/skewgate/skewgate/xds"
)

// shelf is a LinearCache, and what is on it: a resource is put there only when
// its content changed, since the cache takes every update for a change.
type shelf struct {
	typeURL string
	cache   *cachev3.LinearCache
	on      map[string]item
	version uint64 // of the cache: it counts updates
}

// item is a resource on a shelf.
type item struct {
	sum     [sha256.Size]byte
	version uint64 // of the shelf, when the resource last changed
}

func newShelf(typeURL, prefix string, log *slog.Logger) *shelf {
	return &shelf{
		typeURL: typeURL,
		cache:   cachev3.NewLinearCache(typeURL, cachev3.WithVersionPrefix(prefix), cachev3.WithLogger(cacheLog{log})),
		on:      map[string]item{},
	}
}

// put puts what changed and takes remove away.
func (s *shelf) put(want resources, remove []string) error {
	update := map[string]types.Resource{}
	for name, r := range want {
		if old, had := s.on[name]; had && old.sum == r.sum {
			continue
		}
		update[name], s.on[name] = r.message, item{r.sum, s.version + 1}
	}
	for _, name := range remove {
		delete(s.on, name)
	}
	if len(update)+len(remove) == 0 {
		return nil
	}
	s.version++
	if err := s.cache.UpdateResources(update, remove); err != nil {
		return fmt.Errorf("publish %s: %w", xds.ShortType(s.typeURL), err)
	}
	return nil
}

// extra names what is on the shelf and not wanted.
func (s *shelf) extra(want resources) []string {
	var out []string
	for name := range s.on {
		if _, ok := want[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// roleShelves are the shelves of one role.
type roleShelves struct{ clusters, routes, listeners *shelf }

// publisher puts states on shelves in an order that never points a client at
// what it does not have.
type publisher struct {
	log      *slog.Logger
	acks     *acks
	patience time.Duration // with clients that do not answer
	linger   time.Duration // how long an unused cluster stays

	mu        sync.Mutex // guards what follows
	current   *built     // added last
	endpoints *shelf
	standard  roleShelves
	picker    roleShelves
	unused    map[string]time.Time // clusters without a use, since when
}

func newPublisher(prefix string, log *slog.Logger, a *acks) *publisher {
	set := func() roleShelves {
		return roleShelves{
			clusters:  newShelf(xds.TypeCluster, prefix, log),
			routes:    newShelf(xds.TypeRoute, prefix, log),
			listeners: newShelf(xds.TypeListener, prefix, log),
		}
	}
	return &publisher{
		log: log, acks: a, patience: 2 * time.Second, linger: 30 * time.Second,
		endpoints: newShelf(xds.TypeEndpoint, prefix, log), standard: set(), picker: set(), unused: map[string]time.Time{},
	}
}

// add publishes endpoints, and clusters that are new or changed; it removes
// nothing and waits for nobody. A cluster that is no longer wanted loses its
// hosts at once and is itself removed later.
func (p *publisher) add(b *built) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = b
	want := maps.Clone(b.endpoints)
	for _, name := range p.endpoints.extra(b.endpoints) {
		none, err := seal(xds.Endpoints(name, nil))
		if err != nil {
			return err
		}
		want[name] = none
	}
	if err := p.endpoints.put(want, nil); err != nil {
		return err
	}
	if err := p.standard.clusters.put(b.standard.clusters, nil); err != nil {
		return err
	}
	return p.picker.clusters.put(b.picker.clusters, nil)
}

// switchOver publishes routes once clients have the clusters that these name.
func (p *publisher) switchOver(ctx context.Context, b *built) error {
	p.await(ctx, "clusters and endpoints", func() []goal {
		return []goal{
			{typeURL: xds.TypeCluster, version: p.standard.clusters.version},
			{typeURL: xds.TypeEndpoint, names: edsNames(b.standard.clusters, b.endpoints)},
			{typeURL: xds.TypeCluster, version: p.picker.clusters.version, picker: true},
			{typeURL: xds.TypeEndpoint, names: edsNames(b.picker.clusters, b.endpoints), picker: true},
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range []struct {
		shelf *shelf
		want  resources
	}{{p.standard.routes, b.standard.routes}, {p.picker.routes, b.picker.routes}, {p.standard.listeners, b.standard.listeners}} {
		if err := e.shelf.put(e.want, nil); err != nil {
			return err
		}
	}
	return nil
}

// edsNames names the clusters that have endpoints to wait for.
func edsNames(clusters, endpoints resources) []string {
	var out []string
	for name := range clusters {
		if _, ok := endpoints[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

// await waits for clients, at most as long as patience allows.
func (p *publisher) await(ctx context.Context, what string, goals func() []goal) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	p.mu.Lock()
	all := goals()
	p.mu.Unlock()
	for _, g := range all {
		if !p.acks.wait(ctx, g) {
			p.log.Warn("some clients have not answered; going on", "waitedFor", what, "type", xds.ShortType(g.typeURL))
			return
		}
	}
}

// clean removes clusters, endpoints and listeners that had no use for longer
// than linger, after clients have the routes without them.
func (p *publisher) clean(ctx context.Context, now time.Time) error {
	p.mu.Lock()
	due := p.due(now)
	p.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	p.await(ctx, "routes", func() []goal {
		return []goal{
			{typeURL: xds.TypeRoute, version: p.standard.routes.on[xds.RouteName].version},
			{typeURL: xds.TypeRoute, version: p.picker.routes.on[xds.RouteName].version, picker: true},
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	due = p.due(now) // again: endpoints are published meanwhile
	for _, s := range []*shelf{p.standard.clusters, p.picker.clusters, p.standard.listeners, p.endpoints} {
		if err := s.put(nil, s.among(due)); err != nil {
			return err
		}
	}
	for _, name := range due {
		delete(p.unused, name)
	}
	return nil
}

// due names what has been without use for long enough, and notes what newly
// is; p.mu is held.
func (p *publisher) due(now time.Time) []string {
	b := p.current
	if b == nil {
		return nil
	}
	extra := map[string]bool{}
	for s, want := range map[*shelf]resources{
		p.standard.clusters: b.standard.clusters, p.picker.clusters: b.picker.clusters,
		p.standard.listeners: b.standard.listeners, p.endpoints: b.endpoints,
	} {
		for _, name := range s.extra(want) {
			extra[name] = true
		}
	}
	maps.DeleteFunc(p.unused, func(name string, _ time.Time) bool { return !extra[name] })
	var due []string
	for name := range extra {
		since, noted := p.unused[name]
		if !noted {
			p.unused[name] = now
		} else if now.Sub(since) >= p.linger {
			due = append(due, name)
		}
	}
	slices.Sort(due)
	return due
}

// among keeps the names that are on the shelf.
func (s *shelf) among(names []string) []string {
	var out []string
	for _, n := range names {
		if _, ok := s.on[n]; ok {
			out = append(out, n)
		}
	}
	return out
}
