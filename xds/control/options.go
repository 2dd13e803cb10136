package control

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skewgate/skewgate/mesh"
)

// Options of a Server. Sources and Logger are needed.
type Options struct {
	Mesh        *mesh.Mesh
	Sessions    Sessions
	Deployments Deployments
	Matrix      Matrix
	Instance    string // names this control among its replicas; part of versions
	Logger      *slog.Logger
	TLS         *tls.Config           // of the listener; nil: plain text
	Registry    prometheus.Registerer // nil: metrics are shown to nobody

	// How often sources are read; zero means the default.
	SessionsEvery    time.Duration // 250ms
	DeploymentsEvery time.Duration // 500ms
	MatrixEvery      time.Duration // 5s

	Linger time.Duration // how long an unused cluster stays, 30s
}

// Debounce of configuration: quiet for so long, but never later than.
const (
	quietFor   = 100 * time.Millisecond
	notLater   = time.Second
	readWithin = 5 * time.Second // a source's answer
)

func (o Options) filled() (Options, error) {
	switch {
	case o.Mesh == nil:
		return o, errors.New("control: no mesh")
	case o.Sessions == nil || o.Deployments == nil || o.Matrix == nil:
		return o, errors.New("control: sessions, deployments and matrix are needed")
	case o.Logger == nil:
		return o, errors.New("control: no logger")
	}
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	or(&o.SessionsEvery, 250*time.Millisecond)
	or(&o.DeploymentsEvery, 500*time.Millisecond)
	or(&o.MatrixEvery, 5*time.Second)
	or(&o.Linger, 30*time.Second)
	if o.Instance == "" {
		o.Instance = "control"
	}
	return o, nil
}
