package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/skewgate/skewgate/owners"
)

// storeTimeout bounds the look at the store at start.
const storeTimeout = 10 * time.Second

// openStore starts the embedded store if asked for, connects, and refuses a
// store that is not safe.
func (s *server) openStore(ctx context.Context) error {
	url := s.mesh.Store.URL
	if s.mesh.Store.Embedded() {
		if err := s.startEmbedded(); err != nil {
			return err
		}
		url = s.embedded.URL()
	} else if s.o.fresh {
		return errors.New("--store-init is for the embedded store\n    → for this one, say once that there are no hosts yet: skewgate store init --store " + url)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for {
		err := s.lookAtStore(ctx, url)
		if err == nil || !slow(err) || ctx.Err() != nil {
			return err
		}
		s.log.Warn("the store is slow to answer; trying on", "error", err)
		time.Sleep(100 * time.Millisecond)
	}
}

// slow says that the store did not answer in time. A call has an eighth of a
// lease; at the start there is more time than that.
func slow(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

func (s *server) lookAtStore(ctx context.Context, url string) error {
	store, err := owners.Open(ctx, owners.Options{
		URL: url, Replicas: s.mesh.Store.Replicas, Failover: s.mesh.Store.Failover,
		MaxLease: s.mesh.Leases.Max, Timeout: s.mesh.Leases.Host / 8, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("%w\n    → store.url in %s, or --store embedded, which needs no server", withFix(err), s.o.config)
	}
	s.store = store
	if err := s.probe(ctx); err != nil {
		s.store = nil
		return errors.Join(err, store.Close())
	}
	return nil
}

func (s *server) startEmbedded() error {
	if !s.has(roleGateway) || !s.has(roleControl) {
		return errors.New("the embedded store serves one process only, with all roles\n    → leave --role out, or use a Redis: store.url in " + s.o.config)
	}
	e, err := owners.StartEmbedded(s.mesh.Listen.Store, s.o.fresh)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = unwrapListen(op)
		}
		return fmt.Errorf("listen.store: %w\n    → choose another port under listen.store in %s, or stop what holds this one", err, s.o.config)
	}
	s.embedded = e
	s.log.Warn("the store is embedded: nothing in it outlives this process, and it serves one gateway only", "store", e.URL())
	if !s.o.fresh {
		s.log.Info("hosts of an earlier run may still be alive: objects are acquired after leases.max; --store-init serves at once", "leases.max", s.mesh.Leases.Max)
	}
	return nil
}

// probe logs what is doubtful and refuses what is unsafe, with the fix.
func (s *server) probe(ctx context.Context) error {
	checks, err := s.store.Probe(ctx)
	if err != nil {
		return err
	}
	var fatal []string
	for _, c := range checks {
		switch {
		case c.OK:
		case c.Fatal:
			fatal = append(fatal, fmt.Sprintf("%s: %s\n    → %s", c.Name, c.Detail, c.Fix))
		case s.embedded != nil && (c.Name == "persistence" || c.Name == "epoch"):
			// Said above, in words that fit.
		default:
			s.log.Warn("the store is doubtful", "check", c.Name, "found", c.Detail, "fix", c.Fix)
		}
	}
	if len(fatal) > 0 {
		return errors.New("the store is not safe to use\n" + strings.Join(fatal, "\n"))
	}
	return nil
}
