package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxLabels bounds how many callers and versions become labels of their own;
// the rest is "other". Object ids never are labels.
const maxLabels = 64

// metrics are this gateway's, for Prometheus.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	moves     *prometheus.CounterVec
	guard     *prometheus.CounterVec
	store     *prometheus.HistogramVec
	storeErrs *prometheus.CounterVec
	held      prometheus.Gauge

	callers, versions labels
}

func newMetrics(reg prometheus.Registerer, p *pins, b *heldBytes) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skewgate_requests_total", Help: "Requests by class, caller version, object version and code; code is empty for success.",
		}, []string{"class", "caller", "version", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skewgate_request_seconds", Help: "Time from a request's head to its end, sockets not counted.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"class", "version"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skewgate_gate_refusals_total", Help: "Requests that a host's gate refused, or that could not reach it, by reason. None of them had started.",
		}, []string{"reason"}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skewgate_moves_total", Help: "Changes of an object's owner that this gateway made, by reason.",
		}, []string{"class", "reason"}),
		guard: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skewgate_incompatible_total", Help: "Calls between versions that the matrix says do not understand each other, served or not.",
		}, []string{"class", "caller", "version", "rule"}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skewgate_store_seconds", Help: "Time of calls to the ownership store.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5},
		}, []string{"call"}),
		storeErrs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skewgate_store_errors_total", Help: "Calls to the ownership store that failed.",
		}, []string{"call"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skewgate_held_requests", Help: "Requests that wait for an owner now.",
		}),
	}
	cached := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skewgate_cached_pins", Help: "Objects whose owner this gateway believes to know.",
	}, func() float64 { return float64(p.len()) })
	bytes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skewgate_held_bytes", Help: "Bytes of request bodies that are kept now, to be sent again if a gate refuses.",
	}, func() float64 { return float64(b.total()) })
	reg.MustRegister(m.requests, m.seconds, m.refusals, m.moves, m.guard, m.store, m.storeErrs, m.held, cached, bytes)
	return m
}

func (m *metrics) request(ev *Event) {
	caller, version := m.callers.fold(ev.Caller), m.versions.fold(ev.ObjectVersion)
	m.requests.WithLabelValues(ev.Class, caller, version, ev.Code).Inc()
	if !ev.Upgrade {
		m.seconds.WithLabelValues(ev.Class, version).Observe(ev.Duration.Seconds())
	}
	if ev.Move != nil {
		m.moves.WithLabelValues(ev.Class, ev.Move.Reason).Inc()
	}
}

func (m *metrics) refusal(reason string) { m.refusals.WithLabelValues(reason).Inc() }

func (m *metrics) incompatible(ev *Event) {
	m.guard.WithLabelValues(ev.Class, m.callers.fold(ev.Caller), m.versions.fold(ev.ObjectVersion), ev.Rule).Inc()
}

func (m *metrics) storeCall(call string, start time.Time, err error) {
	m.store.WithLabelValues(call).Observe(time.Since(start).Seconds())
	if err != nil {
		m.storeErrs.WithLabelValues(call).Inc()
	}
}

// labels keeps the number of values of one label bounded.
type labels struct {
	mu   sync.RWMutex
	seen map[string]bool
}

func (l *labels) fold(s string) string {
	if s == "" {
		return ""
	}
	l.mu.RLock()
	ok, full := l.seen[s], len(l.seen) >= maxLabels
	l.mu.RUnlock()
	if ok {
		return s
	}
	if full {
		return "other"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	if len(l.seen) >= maxLabels && !l.seen[s] {
		return "other"
	}
	l.seen[s] = true
	return s
}
