package owners

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A store that takes calls and answers none keeps nobody longer than a call may
// take: not those that went out, not those that wait for a free runner, and not
// those whose callers have less time.
func TestACallThatIsNotAnsweredEndsInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb := redis.NewClient(&redis.Options{
			Protocol: 2, MaxRetries: -1, DisableIdentity: true, ContextTimeoutEnabled: true,
			ReadTimeout: time.Hour, WriteTimeout: time.Hour,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, far) }()
				return near, nil
			},
		})
		b := NewBatcher(rdb, BatchOptions{Timeout: 2 * time.Second})
		script, start := NewScript("any", "return 1"), time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for i := range runners + 6 {
			ctx, want := t.Context(), 2*time.Second
			if i >= runners+3 {
				ctx, want = short, time.Second
			}
			wg.Go(func() {
				_, _, err := b.Run(ctx, script, []string{"k"})
				if took := time.Since(start); took != want {
					t.Errorf("call %d took %v, want %v", i, took, want)
				}
				if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("call %d: %v", i, err)
				}
			})
			synctest.Wait() // the first ones take the runners
		}
		wg.Wait()
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
		b.Rest()
	})
}
