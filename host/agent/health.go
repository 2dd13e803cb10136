package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const healthPeriod = time.Second

// watchHealth asks the upstream until ctx ends; first is closed when it has been healthy once.
func (a *agent) watchHealth(ctx context.Context, first chan<- struct{}) {
	seen, told := false, false
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, healthPeriod) {
		err := a.probe(ctx)
		if err != nil && !seen && pause == healthPeriod && !told {
			told = true
			a.log.Warn("waiting for the upstream; this host is not registered before it is ready", "upstream", a.addr, "error", err)
		}
		a.setReady(err)
		if err == nil && !seen {
			seen = true
			close(first)
		}
		if seen {
			pause = healthPeriod
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

func (a *agent) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if a.health == "" {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.addr)
		if err != nil {
			return fmt.Errorf("upstream: %w", err)
		}
		return conn.Close()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.addr+a.health, nil)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	res, err := a.client.Do(r)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // keeps the connection
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("upstream: %s says %s", a.health, res.Status)
	}
	return nil
}

func (a *agent) setReady(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ready := err == nil; ready != a.ready {
		a.ready = ready
		if ready {
			a.log.Info("upstream is ready", "upstream", a.addr)
		} else {
			a.log.Warn("upstream is not ready", "upstream", a.addr, "error", err)
		}
	}
}

func (a *agent) isReady() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ready
}
