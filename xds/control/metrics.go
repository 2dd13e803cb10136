package control

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are read at each scrape from what acks keeps.
type metrics struct {
	acks    *acks
	nacks   *prometheus.CounterVec
	proxies *prometheus.Desc
}

// newMetrics registers with reg; nil keeps them to ourselves.
func newMetrics(reg prometheus.Registerer, a *acks) *metrics {
	m := &metrics{
		acks: a,
		nacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skewgate_xds_nacks_total", Help: "Configuration that a client refused, by resource type. A restart of that client would fail.",
		}, []string{"type"}),
		proxies: prometheus.NewDesc("skewgate_xds_proxies", "xDS clients that are connected, by resource type and whether they have what was sent last.", []string{"type", "status"}, nil),
	}
	for _, t := range []string{"CDS", "EDS", "LDS", "RDS"} {
		m.nacks.WithLabelValues(t) // so that a first refusal is a rise, not a birth
	}
	if reg != nil {
		reg.MustRegister(m.nacks, m)
	}
	return m
}

// Describe is prometheus.Collector's.
func (m *metrics) Describe(out chan<- *prometheus.Desc) { out <- m.proxies }

// Collect counts clients.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	type label struct{ typ, status string }
	count := map[label]int{}
	for _, p := range m.acks.proxies() {
		if !p.Connected {
			continue
		}
		for _, t := range p.Types {
			count[label{t.Type, string(t.Status)}]++
		}
	}
	for l, n := range count {
		out <- prometheus.MustNewConstMetric(m.proxies, prometheus.GaugeValue, float64(n), l.typ, l.status)
	}
}
