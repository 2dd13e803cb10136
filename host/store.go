package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/owners"
)

// openUnless opens the store, unless a signal comes first: a store that is
// away would keep the process from ending.
func (h *Host) openUnless(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := make(chan error, 1)
	go func() { opened <- h.open(ctx) }()
	select {
	case err := <-opened:
		return err
	case sig := <-signals:
		cancel()
		if <-opened == nil {
			h.close()
		}
		return fmt.Errorf("run host: %v before the store had answered", sig)
	}
}

// open connects to the store, and waits for one that is down.
func (h *Host) open(ctx context.Context) error {
	defer h.sayWhileWaiting("the store has not answered; this host is not registered before it does")()
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		o := owners.Options{URL: h.opt.Store, Timeout: h.opt.Lease / 8, Logger: h.opt.Logger}
		if f := h.opt.Faults; f != nil {
			o.Dial = f.Dial
		}
		store, err := owners.Open(ctx, o)
		if err == nil {
			h.store = store
			return h.openStorage(ctx)
		}
		if !errors.Is(err, owners.ErrUnavailable) {
			return fmt.Errorf("run host: %w", err)
		}
		h.opt.Logger.Warn("store cannot be reached; trying again", "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("run host: %w", err)
		case <-h.draining:
			return fmt.Errorf("run host: %w", err)
		case <-time.After(pause):
		}
	}
}

func (h *Host) openStorage(ctx context.Context) error {
	if err := owners.CheckLeases(owners.Leases{Host: h.opt.Lease, Max: h.store.MaxLease(), Failover: h.store.Failover()}); err != nil {
		return errors.Join(fmt.Errorf("run host: %w", err), h.store.Close())
	}
	var err error
	switch {
	case h.opt.Storage == "none":
	case isPostgres(h.opt.Storage):
		h.storage, err = storage.OpenPostgres(ctx, h.opt.Storage, storage.PostgresOptions{Timeout: h.storageTimeout()})
	default:
		h.storage, err = storage.NewRedis(h.store.Redis(), storage.RedisOptions{
			Prefix: h.store.Prefix(), Replicas: h.store.Replicas(), Timeout: h.storageTimeout(),
		})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("run host: %w", err), h.store.Close())
	}
	if f := h.opt.Faults; f != nil && f.Storage != nil && h.storage != nil {
		h.storage = f.Storage(h.storage)
	}
	return nil
}

// storageTimeout is how long an event may wait for one answer of the storage.
// Its object serves nobody meanwhile: when the answer was lost, that must not
// take longer than the death of a host does.
func (h *Host) storageTimeout() time.Duration {
	if f := h.opt.Faults; f != nil && f.StorageTime > 0 {
		return f.StorageTime
	}
	return min(h.opt.Lease, 3*time.Second)
}

// sayWhileWaiting says, first after a second and then every ten, that something has not happened yet.
func (h *Host) sayWhileWaiting(what string) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	begin := time.Now()
	wg.Go(func() {
		for pause := time.Second; ; pause = waitTold {
			t := time.NewTimer(pause)
			select {
			case <-done:
				t.Stop()
				return
			case <-t.C:
				h.opt.Logger.Warn(what, "waited", time.Since(begin).Round(time.Second).String())
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// waitTold is how often somebody who waits is told what for.
const waitTold = 10 * time.Second

func (h *Host) close() {
	if h.storage != nil {
		if err := h.storage.Close(); err != nil {
			h.opt.Logger.Warn("close storage", "error", err)
		}
	}
	if err := h.store.Close(); err != nil {
		h.opt.Logger.Warn("close store", "error", err)
	}
}
