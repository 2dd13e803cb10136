package owners

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogRedis sends to l, at level debug, the lines that go-redis prints to stderr
// by itself: one for every attempt to dial, and what Sentinels say. What matters
// of them comes back as errors, which are logged or answered where they are of
// use. go-redis has one logger for all clients of a process, also for those that are not
// skewgate's: no package here sets it, and main may, before it opens a store.
func LogRedis(l *slog.Logger) { redis.SetLogger(redisLog{l}) }

type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis client", "says", fmt.Sprintf(format, v...))
	}
}
