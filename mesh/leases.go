package mesh

// leases holds the inequalities of the ownership protocol.
func (v *validator) leases() {
	m := v.mesh
	switch {
	case m.Leases.Host <= 0:
		v.fail(at("leases", "host"), "give a time such as 15s", "leases.host is %s", m.Leases.Host)
	case m.Leases.Max < m.Leases.Host:
		v.fail(at("leases", "max"), "raise leases.max or shorten leases.host", "leases.max %s is shorter than leases.host %s", m.Leases.Max, m.Leases.Host)
	}
}
