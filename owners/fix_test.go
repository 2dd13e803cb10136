package owners_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// What an operator gets wrong is answered with what to do, each by a real server.
func TestWhatCannotBeOpenedIsExplained(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t, "--user", "poor", "on", ">pw", "~{p0}:*", "-@all", "+hello", "+eval", "+evalsha")
	_, replicas := testenv.RedisReplicas(t, 1)
	for url, want := range map[string]string{
		"redis://poor:guess@" + server:                                     "user and password",
		"redis://poor:pw@" + server:                                        "docs/ownership.md",
		"redis://" + replicas[0].Addr:                                      "point the URL at the master",
		fmt.Sprintf("redis://127.0.0.1:%d", testenv.Port(t)):               "is the server up",
		"rediss://" + server:                                               "TLS",
		"redis://no-such-host.invalid":                                     "does not resolve",
		fmt.Sprintf("redis+sentinel://127.0.0.1:%d/main", testenv.Port(t)): "no sentinel of the URL answers",
		"redis://" + testenv.Redis(t, "--cluster-enabled", "yes"):          "not supported yet",
		"redis+sentinel://" + server:                                       "redis+sentinel://host:port,host:port/MASTER",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		s, err := owners.Open(ctx, owners.Options{URL: url, Timeout: time.Second})
		cancel()
		if err == nil {
			t.Errorf("%s was opened", url)
			_ = s.Close()
		} else if got := owners.Fix(err); !strings.Contains(got, want) {
			t.Errorf("%s: %v: %q does not say %q", url, err, got, want)
		}
	}
	if got := owners.Fix(fmt.Errorf("something else")); got != "" {
		t.Errorf("advice without knowledge: %q", got)
	}
}
