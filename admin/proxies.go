package admin

import (
	"net/http"
	"time"
)

// Proxy is one xDS client: a gateway, a picker or an Envoy.
type Proxy struct {
	Node      string      `json:"node"`
	Cluster   string      `json:"cluster"` // the role that it says
	UserAgent string      `json:"userAgent"`
	Connected bool        `json:"connected"`
	Since     time.Time   `json:"since"`
	Types     []ProxyType `json:"types"`
}

// ProxyType is what a proxy has of one resource type.
type ProxyType struct {
	Type    string    `json:"type"`   // CDS, EDS, RDS, LDS
	Status  string    `json:"status"` // SYNCED, STALE, NACKED, IDLE
	Version string    `json:"version,omitempty"`
	At      time.Time `json:"at"`
	Nack    string    `json:"nack,omitempty"`
	Nacks   int       `json:"nacks,omitempty"`
}

func (a *api) proxies() []Proxy {
	if a.opt.Proxies == nil {
		return []Proxy{}
	}
	if p := a.opt.Proxies(); p != nil {
		return p
	}
	return []Proxy{}
}

func (a *api) listProxies(*http.Request) (any, error) {
	return List[Proxy]{Items: a.proxies()}, nil
}
