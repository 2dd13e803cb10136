package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	return &out, nil
}
