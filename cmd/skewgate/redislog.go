package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// redisLog takes the lines that go-redis would print to stderr by itself, one
// for every attempt to dial. What matters of them comes back as errors, which
// are logged or answered where they are of use; so these are for debugging.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis client", "says", fmt.Sprintf(format, args...))
	}
}

// logRedis is for main only: the client has one logger for the whole process.
func logRedis(l *slog.Logger) { redis.SetLogger(redisLog{l}) }
