package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/skewgate/skewgate/internal/mtls"
	"github.com/skewgate/skewgate/mesh"
)

// hostLink is how this process speaks to hosts' gates: with certificates where
// the mesh file has auth.tls, else plainly.
type hostLink struct {
	tls    *tls.Config  // nil is plain
	client *http.Client // for releases and questions
	scheme string
}

func newHostLink(m *mesh.Mesh, log *slog.Logger) (hostLink, error) {
	l := hostLink{scheme: "http"}
	t := &http.Transport{Proxy: nil, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 16}
	if m.Auth.TLS != nil {
		src, err := mtls.Open(m.Auth.TLS.Files(), log)
		if err != nil {
			return l, fmt.Errorf("auth.tls: %w", err)
		}
		l.tls, l.scheme = src.Client(), "https"
		t.TLSClientConfig = l.tls
	}
	l.client = &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return l, nil
}

// callersTLS is what the gateway's listener serves TLS with; nil is without.
func callersTLS(m *mesh.Mesh, log *slog.Logger) (*tls.Config, error) {
	if m.Callers.TLS == nil {
		return nil, nil
	}
	src, err := mtls.Open(m.Callers.Listener(), log)
	if err != nil {
		return nil, fmt.Errorf("callers.tls: %w", err)
	}
	return src.Workers(), nil
}
