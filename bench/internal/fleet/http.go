package fleet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Client keeps as many connections as a measurement needs.
func Client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}
}

// Get sends one request and wants 200.
func Get(ctx context.Context, c *http.Client, url string, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if header != nil {
		req.Header = header
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, res.Status, body)
	}
	return err
}

// Stamp makes a session the owner of k and gives what a gateway would send with each request.
func (m *Mesh) Stamp(ctx context.Context, k owners.Key, sid string) (http.Header, error) {
	pin, won, err := m.Store.Acquire(ctx, owners.Acquire{Key: k, SID: sid})
	if err == nil && !won {
		err = fmt.Errorf("%s has an owner: %+v", k, pin)
	}
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set(wire.HeaderObject, k.String())
	h.Set(wire.HeaderSession, sid)
	h.Set(wire.HeaderToken, strconv.FormatInt(pin.Token, 10))
	h.Set(wire.HeaderAuth, m.Signer.Sign(k.String(), sid, pin.Token, time.Now()))
	h.Set(wire.HeaderRefuse, "421")
	return h, nil
}
