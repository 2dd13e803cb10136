package owners_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// What a pin may take in Redis, so that a million stay below 250 MB.
const bytesPerPin = 250

// A pin that is owned and confirmed is small, and one operation on it is one
// call of the client. The control is a pin with an id of full length, which is not small.
func TestPinsAreSmallAndTakeOneCallEach(t *testing.T) {
	t.Parallel()
	const pins = 20_000
	server := testenv.StartRedis(t)
	s, c := open(t, owners.Options{URL: "redis://" + server.Addr}), server.Client()
	sid, _ := owned(t, s, owners.Key{Class: "Cart", ID: "warm"})
	before, calls := usedMemory(t, c), scriptCalls(t, c)
	for i := range pins {
		k := owners.Key{Class: "Cart", ID: fmt.Sprintf("user-%07d", i)}
		p, won, err := s.Acquire(t.Context(), owners.Acquire{Key: k, SID: sid})
		if err != nil || !won {
			t.Fatal(p, won, err)
		}
		if ok, err := s.Confirm(t.Context(), k, sid, p.Token); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	if each := (usedMemory(t, c) - before) / pins; each > bytesPerPin {
		t.Errorf("a pin takes %d bytes, at most %d are allowed", each, bytesPerPin)
	} else {
		t.Logf("a pin takes %d bytes", each)
	}
	if n := scriptCalls(t, c) - calls; n > 2*pins+10 { // the first call of a script is sent twice
		t.Errorf("%d pins were acquired and confirmed by %d calls", pins, n)
	}
	before = usedMemory(t, c)
	for i := range 200 {
		k := owners.Key{Class: "Cart", ID: fmt.Sprint(strings.Repeat("x", owners.MaxIDLen-5), i)}
		if _, won, err := s.Acquire(t.Context(), owners.Acquire{Key: k, SID: sid}); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	if each := (usedMemory(t, c) - before) / 200; each <= bytesPerPin {
		t.Errorf("control: a pin with an id of %d bytes takes %d", owners.MaxIDLen, each)
	}
}

func usedMemory(t *testing.T, c *redis.Client) int64 {
	t.Helper()
	return infoNumber(t, c, "memory", "used_memory:%d")
}

func scriptCalls(t *testing.T, c *redis.Client) int64 {
	t.Helper()
	return infoNumber(t, c, "commandstats", "cmdstat_evalsha:calls=%d")
}

func infoNumber(t *testing.T, c *redis.Client, section, format string) (n int64) {
	t.Helper()
	text, err := c.Info(context.Background(), section).Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if _, err := fmt.Sscanf(line, format, &n); err == nil {
			return n
		}
	}
	t.Fatalf("INFO %s has no line %s", section, format)
	return 0
}
