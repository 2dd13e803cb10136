package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/skewgate/skewgate/xds"
)

// Status of a type at a proxy.
type Status string

// Statuses of a type.
const (
	Synced Status = "SYNCED" // what was sent last is acknowledged
	Stale  Status = "STALE"  // sent, not acknowledged yet
	Nacked Status = "NACKED" // refused; the proxy uses what it had before
	Idle   Status = "IDLE"   // subscribed, nothing sent
)

// ProxyState is one xDS client.
type ProxyState struct {
	Node      string
	Cluster   string // the role that it says: skewgate-gateway, skewgate-picker, …
	UserAgent string
	Delta     bool
	Connected bool
	Since     time.Time // of Connected being as it is
	Types     []TypeState
}

// TypeState is what a client has of one resource type.
type TypeState struct {
	Type    string // CDS, EDS, RDS, LDS
	Status  Status
	Version string    // acknowledged last
	At      time.Time // of the last change of Status
	Nack    string    // why it refused, while NACKED
	Nacks   int       // refusals on this stream
}

// forgetAfter is how long a client that went away is still listed.
const forgetAfter = 10 * time.Minute

type streamKey struct {
	delta bool
	id    int64
}

// acks keeps who acknowledged what. go-control-plane calls it from the
// streams' goroutines.
type acks struct {
	mu      sync.Mutex
	streams map[streamKey]*streamState
	gone    map[string]ProxyState // by node, of the last stream
	changed chan struct{}         // closed and replaced at each change
	now     func() time.Time
}

type streamState struct {
	node  *corev3.Node
	since time.Time
	types map[string]*typeState
}

// typeState is the state of one type on one stream.
type typeState struct {
	wildcard bool
	names    map[string]bool // subscribed to by name
	sent     sent            // last
	answered sent            // last acknowledged or refused
	acked    string          // version
	nack     string
	nacks    int
	at       time.Time
	got      map[string]bool // names that were answered for
}

// sent is one response.
type sent struct {
	nonce, version string
	names          []string
}

func newAcks() *acks {
	return &acks{streams: map[streamKey]*streamState{}, gone: map[string]ProxyState{}, changed: make(chan struct{}), now: time.Now}
}

func (a *acks) open(k streamKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams[k] = &streamState{node: &corev3.Node{}, since: a.now(), types: map[string]*typeState{}}
}

func (a *acks) close(k streamKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streams[k]
	if s == nil {
		return
	}
	delete(a.streams, k)
	now := a.now()
	if s.node.GetId() != "" {
		p := s.proxy(k)
		p.Connected, p.Since = false, now
		a.gone[p.Node] = p
	}
	for node, p := range a.gone {
		if now.Sub(p.Since) > forgetAfter {
			delete(a.gone, node)
		}
	}
	a.notify()
}

// notify wakes waiters; a.mu is held.
func (a *acks) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// request is what a client says of a type, in either protocol.
type request struct {
	node                   *corev3.Node
	typeURL, nonce, nack   string
	subscribe, unsubscribe []string
	known                  []string // names that it has already
	whole                  bool     // subscribe is the whole list (SotW)
}

func (a *acks) request(k streamKey, r request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streams[k]
	if s == nil {
		return
	}
	if r.node != nil {
		s.node = r.node
	}
	t := s.types[r.typeURL]
	first := t == nil
	if first {
		t = &typeState{names: map[string]bool{}, got: map[string]bool{}, at: a.now()}
		s.types[r.typeURL] = t
	}
	t.subscription(r, first)
	for _, n := range r.known {
		t.got[n] = true
	}
	if r.nonce != "" && r.nonce == t.sent.nonce && r.nonce != t.answered.nonce {
		t.answered, t.nack, t.at = t.sent, r.nack, a.now()
		if r.nack == "" {
			t.acked = t.sent.version
		} else {
			t.nacks++
		}
		for _, n := range t.sent.names {
			t.got[n] = true
		}
	}
	a.notify()
}

func (t *typeState) subscription(r request, first bool) {
	if r.whole {
		t.names = map[string]bool{}
	}
	for _, n := range r.subscribe {
		t.names[n] = true
	}
	for _, n := range r.unsubscribe {
		delete(t.names, n)
		delete(t.got, n)
	}
	if first {
		t.wildcard = len(r.subscribe) == 0 // the older way to say it
	}
	t.wildcard = t.wildcard || t.names["*"]
}

func (a *acks) response(k streamKey, typeURL string, r sent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.streams[k]
	if s == nil || s.types[typeURL] == nil {
		return
	}
	t := s.types[typeURL]
	if t.sent.nonce != t.answered.nonce {
		r.names = append(r.names, t.sent.names...) // an answer to the later one covers both
	}
	t.sent, t.at = r, a.now()
}

func (t *typeState) status() Status {
	switch {
	case t.sent.nonce == "":
		return Idle
	case t.sent.nonce != t.answered.nonce:
		return Stale
	case t.nack != "":
		return Nacked
	}
	return Synced
}

func (s *streamState) proxy(k streamKey) ProxyState {
	p := ProxyState{Node: s.node.GetId(), Cluster: s.node.GetCluster(), UserAgent: s.node.GetUserAgentName(), Delta: k.delta, Connected: true, Since: s.since}
	for typeURL, t := range s.types {
		p.Types = append(p.Types, TypeState{Type: xds.ShortType(typeURL), Status: t.status(), Version: t.acked, At: t.at, Nack: t.nack, Nacks: t.nacks})
	}
	slices.SortFunc(p.Types, func(a, b TypeState) int { return cmp.Compare(a.Type, b.Type) })
	return p
}

// proxies lists all clients by node, those that went away lately included.
func (a *acks) proxies() []ProxyState {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []ProxyState
	here := map[string]bool{}
	for k, s := range a.streams {
		if s.node.GetId() != "" {
			out = append(out, s.proxy(k))
			here[s.node.GetId()] = true
		}
	}
	for node, p := range a.gone {
		if !here[node] && a.now().Sub(p.Since) <= forgetAfter {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b ProxyState) int { return cmp.Or(cmp.Compare(a.Node, b.Node), a.Since.Compare(b.Since)) })
	return out
}

// goal is what every client of a role shall have answered for.
type goal struct {
	picker  bool
	typeURL string
	version uint64   // of the cache, for types that all take whole
	names   []string // resources that clients are expected to ask for and get
}

// wait returns when all clients that take part in the goal have answered (an
// acknowledgement or a refusal: a refusal must not stop the others), or with
// false when ctx ends first.
func (a *acks) wait(ctx context.Context, g goal) bool {
	for {
		a.mu.Lock()
		reached, changed := a.reached(g), a.changed
		a.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (a *acks) reached(g goal) bool {
	for _, s := range a.streams {
		if isPicker(s.node) == g.picker && !s.reached(g) {
			return false
		}
	}
	return true
}

func (s *streamState) reached(g goal) bool {
	t := s.types[g.typeURL]
	if t == nil || t.status() == Idle {
		// A client that never asked for the type takes no part; one that just
		// came starts from what is published now.
		return true
	}
	if g.version > 0 && (t.wildcard || g.typeURL == xds.TypeRoute) && number(t.answered.version) < g.version {
		return false
	}
	if clusters := s.types[xds.TypeCluster]; clusters == nil || !clusters.wildcard {
		return true // asks for single clusters: which ones is its own affair
	}
	for _, n := range g.names {
		if !t.got[n] {
			return false
		}
	}
	return true
}

// number is N of a cache's version "prefixN".
func number(version string) uint64 {
	n, err := strconv.ParseUint(version[strings.LastIndexByte(version, '.')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func isPicker(n *corev3.Node) bool { return n.GetCluster() == xds.RolePicker }

func deltaNames(resp *discoveryv3.DeltaDiscoveryResponse) []string {
	names := slices.Clone(resp.GetRemovedResources())
	for _, r := range resp.GetResources() {
		names = append(names, r.GetName())
	}
	return names
}

// sotwNames unpacks names: the older protocol does not say them outside.
func sotwNames(resp *discoveryv3.DiscoveryResponse) []string {
	var names []string
	for _, a := range resp.GetResources() {
		if m, err := a.UnmarshalNew(); err == nil {
			names = append(names, cachev3.GetResourceName(m))
		}
	}
	return names
}

// node names the client of a stream.
func (a *acks) node(k streamKey) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.streams[k]; s != nil {
		return s.node.GetId()
	}
	return ""
}
