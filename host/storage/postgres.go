package storage

import (
	"context"
	"errors"
	"time"
)

// PostgresOptions say how to keep objects in PostgreSQL.
type PostgresOptions struct {
	Lease time.Duration // of the host
}

// OpenPostgres connects.
func OpenPostgres(ctx context.Context, url string, o PostgresOptions) (Driver, error) {
	return nil, errors.New("PostgreSQL storage is not built in yet")
}
