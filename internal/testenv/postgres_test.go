package testenv

import (
	"context"
	"testing"
	"time"
)

// A PostgreSQL that is paused answers nobody, in no process; one that was
// killed comes back with what it had acknowledged.
func TestPostgresIsPausedAndKilled(t *testing.T) {
	t.Parallel()
	p := Postgres(t)
	db := p.open(t)
	defer db.Close()
	for _, statement := range []string{"CREATE TABLE seen (n int)", "INSERT INTO seen VALUES (1)"} {
		p.Exec(t, statement)
	}
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	p.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	err := db.PingContext(ctx) // over the connection that stands
	cancel()
	if err == nil {
		t.Error("a paused server answers")
	}
	p.Resume()
	p.Exec(t, "INSERT INTO seen VALUES (2)")
	p.Kill()
	if err := db.Ping(); err == nil {
		t.Error("a killed server answers")
	}
	p.Start()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM seen").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v; want 2", n, err)
	}
}
