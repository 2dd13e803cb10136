package storage

// LeaveBlockers is a negative control: whoever is in a claim's way stays there.
func (p *Postgres) LeaveBlockers() { p.look = 0 }

// Connections is how many the pool has, idle or not, and how many it has made so far.
func (p *Postgres) Connections() (now, made int) {
	s := p.calls.pool.Stat()
	return int(s.TotalConns()), int(s.NewConnsCount())
}
