package storage

// LeaveBlockers is a negative control: whoever is in a claim's way stays there.
func (p *Postgres) LeaveBlockers() { p.look = 0 }
