package xds

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// register shows a client's state to Prometheus; reg may be nil.
func (c *Client) register(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	gauge := func(name, help string, value func(State) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(c.State()) }))
	}
	gauge("skewgate_xds_connected", "1 while control answers this gateway.", func(s State) float64 {
		if s.Connected {
			return 1
		}
		return 0
	})
	gauge("skewgate_xds_table_age_seconds", "How long this gateway's table may have been out of date.", func(s State) float64 { return s.Age(time.Now()).Seconds() })
	gauge("skewgate_xds_refused_types", "Resource types whose last configuration this gateway refused.", func(s State) float64 { return float64(len(s.Refused)) })
}
