package mesh

import (
	"strings"

	"github.com/skewgate/skewgate/owners"
)

// leases holds the inequalities of the ownership protocol (owners.CheckLeases);
// each that fails is a problem of its own, at the key that it names.
func (v *validator) leases() {
	m := v.mesh
	switch {
	case m.Leases.Host <= 0:
		v.fail(at("leases", "host"), "give a time such as 15s", "leases.host is %s", m.Leases.Host)
		return
	case m.Leases.Max < m.Leases.Host:
		v.fail(at("leases", "max"), "raise leases.max or shorten leases.host", "leases.max %s is shorter than leases.host %s", m.Leases.Max, m.Leases.Host)
		return
	}
	err := owners.CheckLeases(owners.Leases{Host: m.Leases.Host, Max: m.Leases.Max, Failover: m.Store.Failover})
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		line = strings.TrimPrefix(line, owners.ErrLease.Error()+": ")
		v.fail(at("leases", "host"), "leases.host must outlive store.failover and two renewals, and be at least "+owners.MinLease.String(), "%s", line)
	}
}
