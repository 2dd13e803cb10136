package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Active is what a host says of itself when asked.
type Active struct {
	Session  string         `json:"session"`
	Fence    string         `json:"fence"` // redis, postgres or none
	Draining bool           `json:"draining"`
	LeaseMS  int64          `json:"leaseLeftMillis"`
	Objects  []ActiveObject `json:"objects"`
	Refusals []Refusal      `json:"refusals"` // what its gate refused last, latest first; it remembers 64
}

// Refusal is a request that a host's gate did not let in: nothing of it was executed.
type Refusal struct {
	Object string    `json:"object"`
	Token  int64     `json:"token"`  // that the request came with
	Reason string    `json:"reason"` // released, releasing, lease, session, stale or auth
	At     time.Time `json:"at"`     // by the host's clock
	Host   string    `json:"host"`   // that refused it
}

// ActiveObject is one object in a host's memory.
type ActiveObject struct {
	Object    string `json:"object"`
	Token     int64  `json:"token"`
	State     string `json:"state"` // activating, ready, confirming or releasing
	InFlight  int    `json:"inFlight"`
	Waiting   int    `json:"waiting"`
	Sockets   int    `json:"sockets"`
	IdleMS    int64  `json:"idleMillis"`
	Confirmed bool   `json:"confirmed"`
}

// How a host is asked.
const (
	pathActive    = "/_skewgate/active"
	activeWithin  = 2 * time.Second
	maxActiveBody = 16 << 20
	movesLooked   = 3  // of an object's history, for who may have refused it
	refusalsShown = 16 // of one object
)

// active asks a host what is active there; nil when it does not say, because
// it is gone, speaks another version, or nobody gave us the mesh's secret. Advice, never a fact to build on.
func (a *api) active(ctx context.Context, s owners.Session, object string) *Active {
	if a.opt.Signer == nil || s.State.Final() {
		return nil
	}
	out, err := a.askActive(ctx, s, object)
	if err != nil {
		a.opt.Logger.Debug("host does not say what is active", "host", s.Name, "err", err)
		return nil
	}
	return out
}

func (a *api) askActive(ctx context.Context, s owners.Session, object string) (*Active, error) {
	ctx, cancel := context.WithTimeout(ctx, activeWithin)
	defer cancel()
	u := url.URL{Scheme: a.opt.Scheme, Host: s.Addr, Path: pathActive}
	if object != "" {
		u.RawQuery = url.Values{"object": {object}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.Name, err)
	}
	req.Header.Set(wire.HeaderSession, s.ID)
	req.Header.Set(wire.HeaderAuth, a.opt.Signer.Sign("", s.ID, 0, time.Now()))
	res, err := a.opt.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.Name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: %s", s.Name, res.Status)
	}
	var out Active
	if err := json.NewDecoder(io.LimitReader(res.Body, maxActiveBody)).Decode(&out); err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.Name, err)
	}
	for i := range out.Refusals {
		out.Refusals[i].Host = s.Name
	}
	return &out, nil
}

// refusedBy asks the hosts that an object left lately, and gives with those of
// its owner what was refused of it: after a move it is the old host that refuses.
func (a *api) refusedBy(ctx context.Context, k owners.Key, owner *Active, v *view) []Refusal {
	moves, err := a.opt.Rollouts.Moves.Of(ctx, k, movesLooked)
	if err != nil {
		a.opt.Logger.Debug("history not read", "object", k, "err", err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var all []Refusal
	if owner != nil {
		all = append(all, owner.Refusals...)
	}
	asked := map[string]bool{}
	for _, m := range moves {
		i := slices.IndexFunc(v.all, func(s owners.Session) bool {
			return s.Name == m.FromHost && !s.State.Final() && !asked[s.ID] && (owner == nil || s.ID != owner.Session)
		})
		if i < 0 {
			continue
		}
		asked[v.all[i].ID] = true
		wg.Go(func() {
			if said := a.active(ctx, v.all[i], k.String()); said != nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, said.Refusals...)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(x, y Refusal) int { return y.At.Compare(x.At) })
	return all[:min(len(all), refusalsShown)]
}
